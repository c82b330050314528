import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Delivered } from '#bus/delivered';
import { makeSlots } from '#bus/slots';
import { encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { LaneState } from '#core/lane/lane-state';
import type { Subscription } from '#core/registry/subscription';
import { anEvent } from '#testkit/an-event';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { eventually } from '#testkit/eventually';
import type { CompletedAttempt } from '../attempt-delivery.ts';
import { makeDoor, type Door } from './door.ts';
import { makeTakeRoad, type TakeRoadPorts } from './take-road.ts';

const id = 'sub_1' as SubscriptionId;
const road = { name: 'common' as const, slots: makeSlots(100) };
const closed: LaneState = { circuit: { kind: 'closed', sinceMs: 0 } };

let door: Door;
let log: string[];
let state: LaneState | undefined;

beforeEach(() => {
  door = makeDoor({ slow: makeSlots(10), now: () => performance.now() });
  log = [];
  state = undefined;
});

afterEach(() => {
  door.close();
});

const task: DeliveryTask = {
  delivery: 'dlv_1' as DeliveryId,
  tenant: 'acme' as TenantId,
  subscription: id,
  eventSeq: 7,
  acceptedAtMs: 0,
  attempt: 1,
  firstAttempt: 1,
  event: { kind: 'inline', value: anEvent() },
};

const completed: CompletedAttempt = {
  fact: {
    kind: 'attempt',
    delivery: task.delivery,
    tenant: task.tenant,
    subscription: id,
    eventSeq: 7,
    acceptedAtMs: 0,
    source: '/s',
    id: 'e',
    type: 't',
    attempt: 1,
    startedAtMs: 0,
    durationMs: 1,
    next: { kind: 'delivered' },
  },
};

function aMessage(data = encodeDeliveryTask(task)): Delivered {
  return {
    subject: 'deliver.0.sub_1',
    seq: 1,
    timestampMs: 0,
    data,
    headers: undefined,
    deliveryCount: 1,
    ack: () => void log.push('ack'),
    nak: () => void log.push('nak'),
    working: () => undefined,
  };
}

function taker(target: Subscription | undefined, ports: Partial<TakeRoadPorts> = {}) {
  const note = (what: string) => Promise.resolve(void log.push(what));
  const takeRoad = makeTakeRoad(
    {
      targetOf: () => target,
      findTarget: () => Promise.resolve(target),
      laneState: () => state,
      shareOf: () => 1,
      overflow: () => {
        state = closed;
        return note('overflow');
      },
      moveToLane: (_key, _message, { isAsleep }) => note(isAsleep ? 'append to a lane that sleeps' : 'append'),
      prepare: (one) =>
        Promise.resolve({
          task: { ...one, deadlineAtMs: Infinity },
          event: anEvent(),
          target: target ?? aSubscription(),
        }),
      send: () => note('send').then(() => completed),
      settle: () => note('settle'),
      account: () => note('account'),
      hold: () => note('hold'),
      setAside: () => note('set aside'),
      observe: () => undefined,
      observeLane: (reason) => void log.push(`because of ${reason}`),
      observeLateness: (lateMs) => void log.push(`late by ${lateMs} ms`),
      now: () => 1_000,
      ...ports,
    },
    door,
  );
  return (message = aMessage(), on: Parameters<typeof takeRoad>[0] = road) => {
    let hasGoneOn = false;
    const done = takeRoad(on, message, () => (hasGoneOn = true));
    return { done, hasGoneOn: () => hasGoneOn };
  };
}

const healthy = aSubscription({ id });

describe('a message of a common road', () => {
  test('is attempted, settled and only then acknowledged', async () => {
    await taker(healthy)().done;
    expect(log).toEqual(['send', 'account', 'settle', 'ack']);
  });

  test.each<[string, Partial<Subscription>, string]>([
    ['ordered', { spec: aSpec({ config: { ordering: 'subscription' } }) }, 'append'],
    ['rated', { spec: aSpec({ config: { rate: { requestsPerMinute: 60 } } }) }, 'append'],
    ['batched', { spec: aSpec({ config: { batch: { maxEvents: 2, maxBytes: 1024, maxWaitMs: 1 } } }) }, 'append'],
    ['paused', { state: 'paused' }, 'append to a lane that sleeps'],
    ['pending', { state: 'pending' }, 'append to a lane that sleeps'],
  ])('goes to the lane of a subscription that is %s, and is then acknowledged', async (_what, traits, appended) => {
    await taker(aSubscription({ id, ...traits }))().done;
    expect(log).toEqual([appended, 'ack', 'because of rules']);
  });

  test('goes to the lane while there is a lane state', async () => {
    state = closed;
    await taker(healthy)().done;
    expect(log).toEqual(['append', 'ack', 'because of circuit']);
  });

  test('of a subscription that nobody here has heard of is looked up first: it may be ordered', async () => {
    const ordered = aSubscription({ id, spec: aSpec({ config: { ordering: 'subscription' } }) });
    await taker(undefined, { findTarget: () => Promise.resolve(ordered) })().done;
    expect(log).toEqual(['append', 'ack', 'because of rules']);
  });

  test('of one that takes nothing any more ends by the attempt, without a place at the door', async () => {
    await taker(aSubscription({ id, state: 'disabled' }), { prepare: () => Promise.resolve(completed) })().done;
    expect(log).toEqual(['settle', 'ack']);
  });

  test('that is no task is set aside', async () => {
    await taker(healthy)(aMessage(new Uint8Array([1]))).done;
    expect(log).toEqual(['set aside', 'ack']);
  });

  test('of the retry road tells how late its timer was', async () => {
    const take = taker(healthy);
    await take(aMessage(encodeDeliveryTask({ ...task, attempt: 2, dueAtMs: 900 })), { ...road, name: 'retry' }).done;
    expect(log[0]).toBe('late by 100 ms');
  });
});

describe('a message that has to wait at the door', () => {
  /** The first request of the subscription is in flight until it is let go. */
  function occupied() {
    const { promise, resolve } = Promise.withResolvers<CompletedAttempt>();
    let isFirst = true;
    const take = taker(healthy, {
      send() {
        if (!isFirst) return Promise.resolve(completed);
        isFirst = false;
        return promise;
      },
    });
    const first = take();
    return { take, first, letGo: () => resolve(completed) };
  }

  test('lets others be pulled meanwhile, and goes when it is its turn', async () => {
    const { take, first, letGo } = occupied();
    const second = take();
    expect(second.hasGoneOn()).toBe(true);
    letGo();
    await Promise.all([first.done, second.done]);
    expect(log.filter((entry) => entry === 'ack')).toHaveLength(2);
  });

  test('goes to the lane when its subscription does', async () => {
    const { take, first, letGo } = occupied();
    const second = take();
    state = closed;
    door.sendToLane(id);
    await second.done;
    expect(log).toEqual(['append', 'ack', 'because of circuit']);
    letGo();
    await first.done;
  });

  test('goes to the lane though it has its turn, when that came together with the state', async () => {
    const { take, first, letGo } = occupied();
    const second = take();
    state = closed;
    letGo();
    await Promise.all([first.done, second.done]);
    expect(log).toContain('append');
    expect(door.inFlight(id)).toBe(0);
  });

  test('in a line that does not move makes all use the lane, before it is put there itself', async () => {
    const { take, first, letGo } = occupied();
    const waiting = [take(), take(), take()];
    await eventually(() => log.includes('because of overflow'));
    expect(log.slice(0, 3)).toEqual(['overflow', 'append', 'ack']);
    letGo();
    await Promise.all([first, ...waiting].map(({ done }) => done));
  });

  test('is given back at shutdown; what is in flight ends', async () => {
    const { take, first, letGo } = occupied();
    const second = take();
    door.close();
    await second.done;
    expect(log).toEqual(['nak']);
    letGo();
    await first.done;
    expect(log.at(-1)).toBe('ack');
  });
});

describe('a subscription that this process knows to be disabled', () => {
  const disabled = aSubscription({ id, state: 'disabled' });

  test('is asked for again before anything ends: it may be resumed and the event be newer than that', async () => {
    await taker(disabled, { findTarget: () => Promise.resolve(aSubscription({ id })) })().done;
    expect(log).toContain('send');
  });

  test('and is resumed while its event is read, has the delivery come once more: it may have to go by the lane', async () => {
    await taker(disabled)().done;
    expect(log).toEqual(['nak']);
  });
});
