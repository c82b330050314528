import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import type { LaneEntry } from '#bus/lane-store';
import type { LaneLease } from '#bus/lane-lease';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { changeLane } from '#core/lane/circuit';
import { makeFailureWindow } from '#core/lane/failure-window';
import type { LaneState } from '#core/lane/lane-state';
import type { DeliveryId, SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { anEvent } from '#testkit/an-event';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { eventually } from '#testkit/eventually';
import type { CompletedAttempt, ReadyDelivery } from '../attempt-delivery.ts';
import type { BeforeRequest } from '../send-notification.ts';
import { makeDrainLane, type DrainLanePorts } from './drain-lane.ts';
import { makeFairSlots } from '../fair-slots.ts';

const laneKey = 'sub_1' as SubscriptionId;
const active = aSubscription({ id: laneKey, spec: aSpec({ config: { maxInFlight: 2 } }) });
const open: LaneState = {
  circuit: {
    kind: 'open',
    sinceMs: 0,
    failingSinceMs: 0,
    lastFailureAtMs: 0,
    cause: 'failures',
    failedProbes: 0,
    nextProbeAtMs: Date.now() + 3_600_000,
    revision: 1,
  },
};

afterEach(() => {
  jest.useRealTimers();
});

interface Given {
  readonly count?: number;
  readonly target?: Subscription | undefined;
  readonly state?: LaneState;
  readonly ports?: Partial<DrainLanePorts>;
  /** How the lease ends. */
  readonly isReleased?: boolean;
}

/** A lane with messages 1 … count, and a log of what is done in which order. */
function aLane({ count = 0, target = active, state: given, ports, isReleased = true }: Given) {
  const log: string[] = [];
  const stored = new Set(Array.from({ length: count }, (_, i) => i + 1));
  const aborting = new AbortController();
  let state = given;
  let isSafe = true;
  const lease: LaneLease = {
    subscription: laneKey,
    takenOver: false,
    signal: aborting.signal,
    isSafe: () => isSafe,
    safeForMs: () => (isSafe ? 30_000 : 0),
    release: () => Promise.resolve((log.push('release'), isReleased)),
    giveBack: () => Promise.resolve((log.push('give back'), true)),
  };
  const lane = makeDrainLane({
    findTarget: () => Promise.resolve(target),
    laneState: () => state,
    findState: () => Promise.resolve(state),
    failuresOf: () => makeFailureWindow(),
    readLane(_key, fromSeq, limit) {
      const entries = [...stored]
        .filter((seq) => seq >= fromSeq)
        .slice(0, limit)
        .map(entryOf);
      return Promise.resolve({ entries, readUpToSeq: entries.at(-1)?.laneSeq ?? fromSeq, isEnd: true });
    },
    readTask: (_key, { laneSeq }) => Promise.resolve(taskOf(laneSeq)),
    describe: ({ laneSeq, storedAtMs }, { attempt }) =>
      Promise.resolve({ laneSeq, storedAtMs, attempt, eventSeq: laneSeq, key: '', bytes: 1, deadlineAtMs: Infinity }),
    changeState(_key, changes, of) {
      log.push(...changes.map(({ kind }) => kind));
      for (const change of changes) state = changeLane(state, change, (of ?? active).spec.config.circuit);
      return Promise.resolve(state);
    },
    matchedFloor: () => Promise.resolve(1_000),
    prepare: (task) => Promise.resolve(readyOf(task, target)),
    async send({ task }, before) {
      await before?.();
      log.push(`send ${task.eventSeq}`);
      return delivered(task);
    },
    sendBatch: () => Promise.reject(new Error('no batch')),
    end: (task, reason) => {
      const completed = delivered(task);
      return Promise.resolve({ ...completed, fact: { ...completed.fact, next: { kind: 'dead', reason } } });
    },
    settle: ({ eventSeq }, { fact }) => Promise.resolve(void log.push(`settle ${eventSeq} ${fact.next.kind}`)),
    hold: () => Promise.reject(new Error('no hold')),
    remove(laneSeq) {
      stored.delete(laneSeq);
      return Promise.resolve(void log.push(`remove ${laneSeq}`));
    },
    newestSeq: () => Promise.resolve(Math.max(0, ...stored)),
    wake: () => Promise.resolve(void log.push('wake')),
    wakeAt: () => Promise.resolve(void log.push('timer')),
    tellVerdict: () => Promise.resolve(),
    observe: () => undefined,
    observeProbeLateness: () => undefined,
    slots: makeFairSlots(10),
    probeSlots: makeFairSlots(10),
    now: Date.now,
    random: () => 0.5,
    sleep: () => Promise.resolve(),
    ...ports,
  })(lease);
  return {
    lane,
    log,
    append: (seq: number) => stored.add(seq),
    /** Another process has stored a state. */
    others(now: LaneState | undefined) {
      state = now;
      lane.stateChanged(now);
    },
    stop: () => aborting.abort(),
    loseLease() {
      isSafe = false;
      aborting.abort();
    },
  };
}

const entryOf = (laneSeq: number): LaneEntry => ({ laneSeq, storedAtMs: 0, data: new Uint8Array() });

function taskOf(eventSeq: number): DeliveryTask {
  return {
    delivery: `dlv_${eventSeq}` as DeliveryId,
    tenant: active.tenant,
    subscription: laneKey,
    eventSeq,
    acceptedAtMs: 0,
    attempt: 1,
    firstAttempt: 1,
    event: { kind: 'inline', value: anEvent() },
  };
}

function readyOf(task: DeliveryTask, target: Subscription): ReadyDelivery {
  return { task: { ...task, deadlineAtMs: Infinity }, event: anEvent(), target };
}

function delivered({
  delivery,
  tenant,
  subscription,
  eventSeq,
  acceptedAtMs,
  attempt,
}: DeliveryTask): CompletedAttempt {
  return {
    fact: {
      kind: 'attempt',
      delivery,
      tenant,
      subscription,
      eventSeq,
      acceptedAtMs,
      attempt,
      source: '/s',
      id: 'e',
      type: 't',
      startedAtMs: 0,
      durationMs: 1,
      request: { outcome: 'delivered', status: 204 },
      next: { kind: 'delivered' },
    },
    exchange: { outcome: 'delivered', status: 204 },
  };
}

describe('a drained lane', () => {
  test('has each delivery settled before it is removed, then its state removed, and then the lease released', async () => {
    const { lane, log } = aLane({ count: 2, state: { circuit: { kind: 'closed', sinceMs: 0 } } });
    await lane.done;
    for (const seq of [1, 2]) expect(log.indexOf(`settle ${seq} delivered`)).toBeLessThan(log.indexOf(`remove ${seq}`));
    expect(log.slice(-2)).toEqual(['drained', 'release']);
  });

  test('is woken again when something came between the last look and the release', async () => {
    const { lane, log, append } = aLane({
      count: 1,
      ports: { newestSeq: () => Promise.resolve((append(7), 7)) },
    });
    await lane.done;
    expect(log.slice(-2)).toEqual(['release', 'wake']);
  });

  test('is woken and left alone when nobody confirms that the lease is released', async () => {
    const { lane, log } = aLane({ count: 1, isReleased: false });
    await lane.done;
    expect(log.slice(-2)).toEqual(['release', 'wake']);
  });
});

describe('a lane that has to wait', () => {
  test('stores its timer before the lease is released, and keeps what it has', async () => {
    const { lane, log } = aLane({ count: 3, state: open });
    await lane.done;
    expect(log).toEqual(['timer', 'release']);
  });

  test('is woken when it is resumed while the lease is being released', async () => {
    const paused = { ...active, state: 'paused' as const };
    const { lane, log } = aLane({
      count: 1,
      target: paused,
      ports: {
        wakeAt() {
          lane.targetChanged({ ...active, revision: 2 });
          return Promise.resolve();
        },
        describe: ({ laneSeq }) =>
          Promise.resolve({
            laneSeq,
            storedAtMs: 0,
            attempt: 1,
            eventSeq: 1,
            key: '',
            bytes: 1,
            deadlineAtMs: Date.now() + 60_000,
          }),
      },
    });
    await lane.done;
    expect(log).toEqual(['release', 'wake']);
  });

  test('of a subscription that is gone ends in dead letters', async () => {
    const { lane, log } = aLane({ count: 2, ports: { findTarget: () => Promise.resolve(undefined) } });
    await lane.done;
    expect(log.filter((entry) => entry.startsWith('settle')).sort()).toEqual(['settle 1 dead', 'settle 2 dead']);
    expect(log.some((entry) => entry.startsWith('send'))).toBe(false);
  });
});

describe('a lease that ends early', () => {
  /** A send that waits until it is let go. */
  function held() {
    const { promise, resolve } = Promise.withResolvers<void>();
    const begun: number[] = [];
    const send: DrainLanePorts['send'] = async ({ task }, before) => {
      begun.push(task.eventSeq);
      await promise;
      await before?.();
      return delivered(task);
    };
    return { send, begun, letGo: resolve };
  }

  test('by shutdown has what is in flight end and be settled, and starts nothing more', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { lane, log, stop } = aLane({
      count: 5,
      ports: { send: ({ task }) => promise.then(() => delivered(task)) },
    });
    await eventually(() => lane.inFlightCount() === 2);
    stop();
    resolve();
    await lane.done;
    expect(log.filter((entry) => entry.startsWith('remove')).sort()).toEqual(['remove 1', 'remove 2']);
    expect(log).not.toContain('release');
  });

  test('by loss has no request start that was about to: the lane is somebody else’s', async () => {
    const { send, begun, letGo } = held();
    const { lane, log, loseLease } = aLane({ count: 5, ports: { send } });
    await eventually(() => begun.length === 2);
    loseLease();
    letGo();
    await lane.done;
    expect(begun).toHaveLength(2);
    expect(log.filter((entry) => /settle|remove|release/.test(entry))).toEqual([]);
  });

  test('by trouble rejects, so that it is given to somebody after a pause, and removes nothing that is not settled', async () => {
    const { lane, log } = aLane({ count: 1, ports: { settle: () => Promise.reject(new Error('no leader')) } });
    await expect(lane.done).rejects.toThrow('no leader');
    expect(log.filter((entry) => entry.startsWith('remove'))).toEqual([]);
  });
});

describe('what this process knows late', () => {
  test('is looked up when the lease begins: whoever had it before may have opened the circuit a moment ago', async () => {
    let known: LaneState | undefined;
    const { lane, log } = aLane({
      count: 1,
      ports: { laneState: () => known, findState: () => Promise.resolve((known = open)) },
    });
    await lane.done;
    expect(log).toEqual(['timer', 'release']);
  });

  test('does not replace what it is told while it looks: a resume in that moment would be lost', async () => {
    const paused = { ...active, state: 'paused' as const };
    const { promise, resolve } = Promise.withResolvers<Subscription>();
    const { lane, log } = aLane({ count: 1, target: paused, ports: { findTarget: () => promise } });
    lane.targetChanged({ ...active, revision: 2 });
    resolve(paused);
    await lane.done;
    expect(log).toContain('send 1');
  });

  test('does not end what waits for a subscription that is resumed: the lease is given back, nothing is settled', async () => {
    const disabled = { ...active, state: 'disabled' as const };
    const answers = [disabled, active];
    const { lane, log } = aLane({ count: 2, ports: { findTarget: () => Promise.resolve(answers.shift() ?? active) } });
    await lane.done;
    expect(log).toEqual([]);
  });

  test('is not forgotten for one’s own change, which is answered later (WH-5)', async () => {
    const throttled: LaneState = { circuit: { ...open.circuit, cause: 'throttled' } as LaneState['circuit'] };
    const own: LaneState = { circuit: { ...open.circuit, nextProbeAtMs: Date.now() - 1 } as LaneState['circuit'] };
    let told = 0;
    const { lane, log, others } = aLane({
      count: 3,
      target: aSubscription({ id: laneKey, spec: aSpec({ config: { maxInFlight: 1 } }) }),
      ports: {
        send: ({ task }) => {
          log.push(`send ${task.eventSeq}`);
          return Promise.resolve({ ...delivered(task), exchange: { outcome: 'throttled', status: 429 } });
        },
        // The state is stored, then the fact is published; meanwhile another process stores what its sink has asked for.
        async changeState() {
          if (told++ > 0) return throttled;
          await delay(1);
          others(throttled);
          return own;
        },
      },
    });
    await lane.done;
    expect(log.filter((entry) => entry.startsWith('send'))).toEqual(['send 1']);
    expect(log.slice(-2)).toEqual(['timer', 'release']);
  });
});

describe('a probe for which there is no room', () => {
  const due: LaneState = { circuit: { ...open.circuit, nextProbeAtMs: 0 } as LaneState['circuit'] };

  async function crowded() {
    const probeSlots = makeFairSlots(1);
    await probeSlots.acquire('sub_2');
    void probeSlots.acquire('sub_3');
    return probeSlots;
  }

  test('is put off, so that the lease is free for a lane that has something to do', async () => {
    const { lane, log } = aLane({ count: 1, state: due, ports: { probeSlots: await crowded() } });
    await lane.done;
    expect(log).toEqual(['timer', 'release']);
  });

  test('does not keep the deliveries of a disabled subscription from ending', async () => {
    const target = { ...active, state: 'disabled' as const };
    const { lane, log } = aLane({ count: 1, target, state: due, ports: { probeSlots: await crowded() } });
    await lane.done;
    expect(log).toContain('settle 1 dead');
  });
});

test('a timer that fires while the lease is being released is not lost: its wake was refused', async () => {
  let nowMs = Date.now();
  const soon: LaneState = { circuit: { ...open.circuit, nextProbeAtMs: nowMs + 5_000 } as LaneState['circuit'] };
  const { lane, log } = aLane({
    count: 1,
    state: soon,
    ports: {
      now: () => nowMs,
      wakeAt() {
        nowMs += 6_000;
        return Promise.resolve();
      },
    },
  });
  await lane.done;
  expect(log).toEqual(['release', 'wake']);
});

test('a head of an order that ends in the lane ends with the number of the attempt that it waited for (D9)', async () => {
  const ordered = aSubscription({
    id: laneKey,
    state: 'disabled',
    spec: aSpec({ config: { ordering: 'subscription' } }),
  });
  const settled: number[] = [];
  const { lane } = aLane({
    count: 2,
    target: ordered,
    state: { circuit: { kind: 'closed', sinceMs: 0 }, heads: [{ laneSeq: 1, attempt: 5, dueAtMs: 0 }] },
    ports: { settle: ({ attempt }) => Promise.resolve(void settled.push(attempt)) },
  });
  await lane.done;
  expect(settled).toEqual([5, 1]);
});

test('a head that the next holder sends goes as it went last: a second try is made once in a round (D9)', async () => {
  const ordered = aSubscription({ id: laneKey, spec: aSpec({ config: { ordering: 'subscription' } }) });
  const tried = { contentModeFallback: 'structured' } as const;
  const sent: (string | undefined)[] = [];
  const { lane } = aLane({
    count: 2,
    target: ordered,
    state: { circuit: { kind: 'closed', sinceMs: 0 }, heads: [{ laneSeq: 1, attempt: 3, dueAtMs: 0, tried }] },
    ports: {
      send({ task }) {
        sent.push(task.contentModeFallback);
        return Promise.resolve(delivered(task));
      },
    },
  });
  await lane.done;
  expect(sent).toEqual(['structured', undefined]);
});

test('a longer or shorter deadline has the lane read anew: what waits has its own', async () => {
  const { retry } = active.spec.config;
  const target = aSubscription({ id: laneKey, spec: aSpec({ config: { maxInFlight: 1 } }) });
  const longer = aSpec({ config: { maxInFlight: 1, retry: { ...retry, deadlineSeconds: 60 } } });
  const { promise, resolve } = Promise.withResolvers<void>();
  const { lane, log } = aLane({ count: 5, target, ports: { send: ({ task }) => promise.then(() => delivered(task)) } });
  await eventually(() => lane.inFlightCount() === 1);
  lane.targetChanged({ ...target, revision: 2, spec: longer });
  resolve();
  await lane.done;
  expect(log.filter((entry) => /remove|release/.test(entry))).toEqual(['remove 1']);
});

test('shutdown does not wait for the turns nor for the distances of requests that have not begun', async () => {
  const slots = makeFairSlots(1);
  await slots.acquire('sub_2');
  const { lane, log, stop } = aLane({ count: 2, ports: { slots } });
  await eventually(() => slots.waiting() === 2);
  stop();
  slots.release('sub_2');
  await lane.done;
  expect(log.some((entry) => entry.startsWith('send'))).toBe(false);

  const rated = aSubscription({ id: laneKey, spec: aSpec({ config: { rate: { requestsPerMinute: 1 } } }) });
  const slow = aLane({
    count: 1,
    target: rated,
    ports: {
      sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
    },
  });
  await eventually(() => slow.log.includes('remove 1'));
  slow.stop();
  await slow.lane.done;
  expect(slow.log).not.toContain('release');
});

test('a request of a rated lane waits no longer than its distance when the clock is set back meanwhile', async () => {
  jest.useFakeTimers();
  const rated = aSubscription({ id: laneKey, spec: aSpec({ config: { rate: { requestsPerMinute: 600 } } }) });
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
  let backMs = 0;
  const { lane, log } = aLane({
    count: 2,
    target: rated,
    ports: {
      now: () => Date.now() - backMs,
      sleep: wait,
      async send({ task }, before) {
        if (task.eventSeq === 1) await wait(250);
        await before?.();
        backMs = 3_600_000;
        log.push(`send ${task.eventSeq}`);
        return delivered(task);
      },
    },
  });
  let isDone = false;
  void lane.done.then(() => (isDone = true));
  await jest.advanceTimersByTimeAsync(20_000);
  expect([isDone, log.filter((entry) => entry.startsWith('send'))]).toEqual([true, ['send 2', 'send 1']]);
});

interface Signing {
  readonly how: string;
  sign(slowly: () => Promise<void>, before: BeforeRequest | undefined): Promise<void>;
}

test.each<Signing>([
  {
    how: 'signing is uneven (WH-11)',
    async sign(slowly, before) {
      await slowly();
      await before?.();
    },
  },
  {
    how: 'one has grown old and is signed again in its turn (SA-10)',
    async sign(slowly, before) {
      await before?.(slowly);
    },
  },
])('requests of a rated lane keep their distance though $how', async ({ sign }) => {
  jest.useFakeTimers();
  const rated = aSubscription({ id: laneKey, spec: aSpec({ config: { rate: { requestsPerMinute: 600 } } }) });
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
  const times: number[] = [];
  let signing = 0;
  const { lane } = aLane({
    count: 4,
    target: rated,
    ports: {
      sleep: wait,
      async send({ task }, before) {
        const isSlow = signing++ === 0;
        await sign(async () => {
          if (isSlow) await wait(250);
        }, before);
        times.push(Date.now());
        return delivered(task);
      },
    },
  });
  await jest.advanceTimersByTimeAsync(5_000);
  await lane.done;
  const distances = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  expect(times).toHaveLength(4);
  expect(Math.min(...distances)).toBeGreaterThanOrEqual(100);
});
