import { describe, expect, test } from '@jest/globals';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import type { Outcome } from '../delivery/outcome.ts';
import type { Subscription, SubscriptionSpec } from '../registry/subscription.ts';
import { makeFailureWindow } from './failure-window.ts';
import type { LaneMessage } from './lane-message.ts';
import { makeLaneOwner, type LaneOwnerOptions, type LaneStep, type SentMember } from './lane-owner.ts';
import type { LaneState, OpenCircuit } from './lane-state.ts';

type Config = Partial<SubscriptionSpec['config']>;

const NOW = 1_000_000;

function subscribed(config: Config, traits: Partial<Subscription> = {}): Subscription {
  return aSubscription({ spec: aSpec({ config }), ...traits });
}

function aMessage(laneSeq: number, traits: Partial<LaneMessage> = {}): LaneMessage {
  const message = { laneSeq, eventSeq: laneSeq, key: '', bytes: 100, attempt: 1, storedAtMs: NOW };
  return { ...message, deadlineAtMs: NOW + 86_400_000, ...traits };
}

/** An owner and the little of a driver that reads, asks for the floor, and stores at once. */
function aLane(config: Config, list: readonly LaneMessage[], options: Partial<LaneOwnerOptions> = {}) {
  let nowMs = NOW;
  let eventFloor = Infinity;
  let known = 0;
  let mostKnown = 0;
  const lane = new Map(list.map((message) => [message.laneSeq, message]));
  const owner = makeLaneOwner({
    subscription: subscribed(config),
    state: undefined,
    failures: makeFailureWindow(),
    startsUntilMs: Infinity,
    heldSinceMs: NOW,
    isTakeover: false,
    ...options,
  });

  function next(): LaneStep {
    for (;;) {
      const step = owner.next(nowMs);
      if (step.kind === 'read') {
        const page = [...lane.values()].filter((message) => message.laneSeq >= step.fromSeq).slice(0, step.limit);
        const last = page.at(-1)?.laneSeq ?? step.fromSeq - 1;
        owner.messages(page, last, page.length < step.limit, nowMs);
        known += page.length;
        mostKnown = Math.max(mostKnown, known);
      } else if (step.kind === 'floor') owner.floor(eventFloor, nowMs);
      else return step;
    }
  }

  /** Everything that is sent now, until there is something else to do. */
  function sent(): number[][] {
    const requests: number[][] = [];
    for (let step = next(); step.kind === 'send'; step = next()) requests.push([...step.laneSeqs]);
    return requests;
  }

  function ends(laneSeqs: readonly number[], outcome: Outcome, then: SentMember['next'], untilMs?: number) {
    const members = laneSeqs.map((laneSeq) => ({ laneSeq, next: then }));
    const exchange = { outcome, ...(untilMs === undefined ? {} : { askedUntilMs: untilMs }) };
    const settlement = owner.settled({ exchange, members }, nowMs, 0.5);
    for (const laneSeq of settlement.remove) lane.delete(laneSeq);
    owner.stored(laneSeqs);
    known -= laneSeqs.length;
    return settlement;
  }

  return {
    owner,
    next,
    sent,
    delivered: (...laneSeqs: number[]) => ends(laneSeqs, 'delivered', { kind: 'delivered' }),
    failed: (laneSeq: number, atMs = nowMs + 10_000, attempt = 2) =>
      ends([laneSeq], 'retryable', { kind: 'retry', attempt, atMs }),
    throttled: (laneSeq: number, untilMs: number) =>
      ends([laneSeq], 'throttled', { kind: 'retry', attempt: 2, atMs: untilMs }, untilMs),
    died: (laneSeq: number) => ends([laneSeq], 'permanent', { kind: 'dead', reason: 'rejected_by_sink' }),
    stored: (state: LaneState | undefined, changes: Parameters<typeof owner.changed>[0]) =>
      owner.changed(changes, state),
    add: (message: LaneMessage) => lane.set(message.laneSeq, message),
    mostKnown: () => mostKnown,
    pass(ms: number) {
      nowMs += ms;
    },
    floorIs(seq: number) {
      eventFloor = seq;
    },
  };
}

function openSince(atMs: number): OpenCircuit {
  return {
    kind: 'open',
    sinceMs: atMs,
    failingSinceMs: atMs,
    lastFailureAtMs: atMs,
    cause: 'failures',
    failedProbes: 0,
    nextProbeAtMs: atMs + 60_000,
    revision: 1,
  };
}

const messages = (count: number) => Array.from({ length: count }, (_, i) => aMessage(i + 1));

describe('the holder of a lane without order', () => {
  test('sends the oldest first, up to maxInFlight at once', () => {
    const lane = aLane({ maxInFlight: 3 }, messages(10));
    expect(lane.sent()).toEqual([[1], [2], [3]]);
    lane.delivered(2);
    expect(lane.sent()).toEqual([[4]]);
    expect(lane.owner.inFlightCount()).toBe(3);
  });

  test('sends by the order of publishing, as far as it knows it, not by that of the matchers', () => {
    const lane = aLane({ maxInFlight: 1 }, [
      aMessage(1, { eventSeq: 12 }),
      aMessage(2, { eventSeq: 11 }),
      aMessage(3, { eventSeq: 10 }),
    ]);
    const order = [lane.sent(), (lane.delivered(3), lane.sent()), (lane.delivered(2), lane.sent())];
    expect(order).toEqual([[[3]], [[2]], [[1]]]);
  });

  test('knows a window of a long lane, not all of it', () => {
    const lane = aLane({ maxInFlight: 1 }, messages(5000), { state: { circuit: { kind: 'closed', sinceMs: 0 } } });
    const sent: number[] = [];
    let step = lane.next();
    for (; step.kind === 'send'; step = lane.next()) {
      sent.push(...step.laneSeqs);
      lane.delivered(...step.laneSeqs);
    }
    expect(sent).toEqual(messages(5000).map((message) => message.laneSeq));
    expect(step.kind).toBe('close');
    expect(lane.mostKnown()).toBeLessThanOrEqual(512);
  });

  test('gives a failed delivery back to RETRIES', () => {
    const lane = aLane({}, messages(1));
    lane.sent();
    expect(lane.failed(1)).toEqual({ changes: [], keep: [], remove: [1] });
  });

  test('lets all know when more than one round is waiting', () => {
    const step = aLane({ maxInFlight: 2 }, messages(9)).next();
    expect(step).toMatchObject({ kind: 'send', changes: [{ kind: 'overflowed' }] });
    expect(aLane({ maxInFlight: 9 }, messages(2)).next()).toMatchObject({ kind: 'send', changes: [] });
  });

  test('closes when the lane is empty, forgets its state, and asks for a second look', () => {
    const lane = aLane({}, [], { state: { circuit: { kind: 'recovering', sinceMs: 0 } } });
    expect(lane.next()).toEqual({ kind: 'close', changes: [{ kind: 'drained' }], lookFromSeq: 0 });
  });

  test('looks for new messages while requests are under way', () => {
    const lane = aLane({ maxInFlight: 2 }, messages(1));
    expect(lane.sent()).toEqual([[1]]);
    lane.add(aMessage(2));
    expect(lane.sent()).toEqual([]);
    lane.owner.appended();
    expect(lane.sent()).toEqual([[2]]);
  });
});

describe('the circuit, as the holder sees it', () => {
  const circuit = {
    kind: 'open',
    sinceMs: NOW,
    failingSinceMs: NOW,
    lastFailureAtMs: NOW,
    cause: 'failures',
    failedProbes: 0,
    nextProbeAtMs: NOW + 10_000,
    revision: 1,
  } as const;
  const open: LaneState = { circuit };

  test('sleeps until the next probe, then sends the oldest alone', () => {
    const lane = aLane({}, messages(3), { state: open });
    expect(lane.next()).toEqual({ kind: 'sleep', untilMs: NOW + 10_000 });
    lane.pass(10_000);
    expect(lane.next()).toMatchObject({
      kind: 'send',
      laneSeqs: [1],
      as: 'probe',
      changes: [{ kind: 'probe_started' }],
    });
    expect(lane.next().kind).toBe('wait');
  });

  test('a failed probe goes its own way; the next one takes the next oldest', () => {
    const lane = aLane({}, messages(3), { state: { circuit: { ...circuit, nextProbeAtMs: NOW } } });
    expect(lane.sent()).toEqual([[1]]);
    expect(lane.failed(1)).toMatchObject({ remove: [1], changes: [{ kind: 'probe_failed', cause: 'failures' }] });
    lane.pass(20_000);
    expect(lane.sent()).toEqual([[2]]);
  });

  test('one that always fails and comes back is not every probe: what was tried least is, the oldest of that', () => {
    const lane = aLane({}, [aMessage(1, { attempt: 7 }), aMessage(2), aMessage(3)], {
      state: { circuit: { ...circuit, nextProbeAtMs: NOW } },
    });
    expect(lane.sent()).toEqual([[2]]);
    lane.delivered(2);
    expect(lane.sent()).toEqual([[3]]);
    lane.delivered(3);
    expect(lane.sent()).toEqual([[1]]);
  });

  test('after a delivered probe concurrency rises with successes (peers 6.5: endpoint recovers)', () => {
    const lane = aLane({ maxInFlight: 8 }, messages(40), { state: { circuit: { ...circuit, nextProbeAtMs: NOW } } });
    lane.sent();
    lane.delivered(1);
    const rounds: number[] = [];
    for (let i = 0; i < 5; i++) {
      const round = lane.sent().flat();
      rounds.push(round.length);
      for (const seq of round) lane.delivered(seq);
    }
    expect(rounds).toEqual([1, 2, 4, 8, 8]);
  });

  test('a failure while it recovers halves that, and one alone opens it again', () => {
    const lane = aLane({ maxInFlight: 8 }, messages(40), { state: { circuit: { kind: 'recovering', sinceMs: 0 } } });
    lane.sent();
    expect(lane.failed(1).changes).toMatchObject([{ kind: 'opened' }]);
  });

  test('429 stops the whole lane at once (WH-5)', () => {
    const lane = aLane({ maxInFlight: 2 }, messages(5));
    lane.sent();
    const { changes } = lane.throttled(1, NOW + 60_000);
    expect(changes).toMatchObject([{ kind: 'throttled', untilMs: NOW + 60_000 }]);
    expect(lane.sent()).toEqual([]);
    lane.delivered(2);
    lane.pass(59_999);
    expect(lane.sent()).toEqual([]);
    lane.pass(1);
    expect(lane.sent()).toHaveLength(1);
  });

  test('stays when the lane is empty: the next delivery will be the probe', () => {
    expect(aLane({}, [], { state: open }).next()).toMatchObject({ kind: 'close' });
  });

  test('410 disables the subscription (D9), then everything ends', () => {
    const lane = aLane({ maxInFlight: 1 }, messages(3));
    lane.sent();
    lane.owner.settled(
      { exchange: { outcome: 'gone', status: 410 }, members: [{ laneSeq: 1, next: { kind: 'dead', reason: 'gone' } }] },
      NOW,
      0.5,
    );
    lane.owner.stored([1]);
    expect(lane.next()).toMatchObject({ kind: 'disable', revision: 1 });
    lane.owner.rules(subscribed({}, { state: 'disabled', revision: 2 }));
    expect(lane.next()).toMatchObject({ kind: 'end', laneSeqs: [2, 3], reason: 'subscription_disabled' });
  });
});

describe('a lane whose registry does not answer, or that it knows nothing of', () => {
  const gone = { ...openSince(NOW), cause: 'gone' } as const;

  test('is not kept awake by a command that has no effect: it sleeps until its probe, and the command is given again then', () => {
    const lane = aLane({}, messages(3), { state: { circuit: gone } });
    expect(lane.next()).toMatchObject({ kind: 'disable', revision: 1 });
    expect(lane.next()).toEqual({ kind: 'sleep', untilMs: NOW + 60_000 });
    lane.pass(60_000);
    expect(lane.next()).toMatchObject({ kind: 'disable', revision: 1 });
    expect(lane.next()).toMatchObject({ kind: 'send', as: 'probe', laneSeqs: [1] });
  });

  test('has what is over end meanwhile', () => {
    const lane = aLane({}, [aMessage(1, { deadlineAtMs: NOW + 10_000 }), aMessage(2)], { state: { circuit: gone } });
    expect(lane.next()).toMatchObject({ kind: 'disable' });
    expect(lane.next()).toEqual({ kind: 'sleep', untilMs: NOW + 10_001 });
    lane.pass(10_001);
    expect(lane.next()).toMatchObject({ kind: 'end', laneSeqs: [1], reason: 'deadline_passed' });
  });
});

test('a lane that sleeps, or is only probed, is not read by the page: ten thousand wake at once', () => {
  const probed = aLane({}, messages(5000), { state: { circuit: { ...openSince(NOW), nextProbeAtMs: NOW } } });
  expect(probed.next()).toMatchObject({ kind: 'send', as: 'probe', laneSeqs: [1] });
  expect(probed.mostKnown()).toBeLessThanOrEqual(16);
  const paused = aLane({}, messages(5000), { subscription: subscribed({}, { state: 'paused' }) });
  expect(paused.next()).toMatchObject({ kind: 'sleep' });
  expect(paused.mostKnown()).toBeLessThanOrEqual(16);
});

describe('the holder of an ordered lane', () => {
  test('sends by the sequence of EVENTS, one at a time, and only up to the floor', () => {
    const lane = aLane({ ordering: 'subscription' }, [aMessage(1, { eventSeq: 20 }), aMessage(2, { eventSeq: 10 })]);
    lane.floorIs(15);
    expect(lane.sent()).toEqual([[2]]);
    lane.delivered(2);
    expect(lane.sent()).toEqual([]);
    lane.floorIs(20);
    lane.pass(500);
    expect(lane.sent()).toEqual([[1]]);
  });

  test('what was stored before the floor was asked for is read before anything starts', () => {
    const owner = makeLaneOwner({
      subscription: subscribed({ ordering: 'subscription' }),
      state: undefined,
      failures: makeFailureWindow(),
      startsUntilMs: Infinity,
      heldSinceMs: NOW,
      isTakeover: false,
    });
    expect(owner.next(NOW)).toMatchObject({ kind: 'read', fromSeq: 0 });
    owner.messages([aMessage(1, { eventSeq: 20 })], 1, true, NOW);
    expect(owner.next(NOW)).toEqual({ kind: 'floor' });
    owner.floor(20, NOW);
    expect(owner.next(NOW)).toMatchObject({ kind: 'read', fromSeq: 2 });
    owner.messages([aMessage(2, { eventSeq: 10 })], 2, true, NOW);
    expect(owner.next(NOW)).toMatchObject({ kind: 'send', laneSeqs: [2] });
  });

  test('a failed delivery stays as head and is sent again when due, with the next number', () => {
    const lane = aLane({ ordering: 'subscription' }, messages(2));
    lane.sent();
    const settlement = lane.failed(1, NOW + 10_000);
    expect(settlement).toMatchObject({ keep: [1], remove: [] });
    expect(settlement.changes).toMatchObject([
      { kind: 'heads', heads: [{ laneSeq: 1, attempt: 2, dueAtMs: NOW + 10_000 }] },
    ]);
    lane.stored({ circuit: { kind: 'closed', sinceMs: NOW } }, settlement.changes);
    lane.pass(100);
    expect(lane.next()).toMatchObject({ kind: 'sleep', untilMs: NOW + 10_000 });
    lane.pass(10_000);
    expect(lane.next()).toMatchObject({ kind: 'send', laneSeqs: [1], attempts: [2] });
  });

  test('a head keeps in the lane state what was tried otherwise: a second try is made once in a round (D9)', () => {
    const lane = aLane({ ordering: 'subscription' }, messages(1));
    lane.sent();
    const tried = { contentModeFallback: 'structured' } as const;
    const next = { kind: 'retry', attempt: 3, atMs: NOW + 10_000, tried } as const;
    const { changes } = lane.owner.settled({ members: [{ laneSeq: 1, next }] }, NOW, 0.5);
    expect(changes).toMatchObject([{ kind: 'heads', heads: [{ laneSeq: 1, attempt: 3, tried }] }]);
  });

  test('the next holder finds the head in the lane state', () => {
    const heads = [{ laneSeq: 1, attempt: 4, dueAtMs: NOW + 5 }];
    const lane = aLane({ ordering: 'subscription' }, messages(2), {
      state: { circuit: { kind: 'closed', sinceMs: 0 }, heads },
    });
    expect(lane.sent()).toEqual([]);
    lane.pass(5);
    expect(lane.next()).toMatchObject({ kind: 'send', laneSeqs: [1], attempts: [4] });
  });

  test('a head whose deadline has passed meanwhile ends, and is not sent again', () => {
    const lane = aLane({ ordering: 'subscription' }, [aMessage(1, { deadlineAtMs: NOW + 5_000 }), aMessage(2)]);
    lane.sent();
    const { changes } = lane.failed(1, NOW + 4_000);
    lane.stored({ circuit: { kind: 'closed', sinceMs: NOW } }, changes);
    lane.pass(5_001);
    expect(lane.next()).toMatchObject({ kind: 'end', laneSeqs: [1], reason: 'deadline_passed' });
  });

  test.each([
    ['of the one that is over', undefined, 'deadline_passed'],
    [
      'of a subscription that is disabled',
      subscribed({ ordering: 'subscription' }, { state: 'disabled' }),
      'subscription_disabled',
    ],
  ])('a head that the next holder ends keeps the number of its attempt: %s', (_what, subscription, reason) => {
    const heads = [{ laneSeq: 1, attempt: 5, dueAtMs: NOW + 3_600_000 }];
    const lane = aLane({ ordering: 'subscription' }, [aMessage(1, { deadlineAtMs: NOW + 5_000 })], {
      state: { circuit: { kind: 'closed', sinceMs: 0 }, heads },
      ...(subscription === undefined ? {} : { subscription }),
    });
    if (subscription === undefined) {
      expect(lane.next()).toEqual({ kind: 'sleep', untilMs: NOW + 5_001, lookFromSeq: 2 });
      lane.pass(5_001);
    }
    expect(lane.next()).toMatchObject({ kind: 'end', laneSeqs: [1], attempts: [5], reason });
  });

  test('by partition key: keys do not wait for each other, events without one share a key', () => {
    const keys = ['a', 'a', 'b', '', ''];
    const list = keys.map((key, i) => aMessage(i + 1, { key }));
    const lane = aLane({ ordering: 'partitionkey' }, list);
    expect(lane.sent()).toEqual([[1], [3], [4]]);
    lane.failed(1);
    lane.delivered(3);
    lane.delivered(4);
    expect(lane.sent()).toEqual([[5]]);
  });

  test('remembers 64 heads at most; further keys wait for those', () => {
    const list = Array.from({ length: 100 }, (_, i) => aMessage(i + 1, { key: `k${i}` }));
    const circuit = { ...aSpec().config.circuit, consecutiveFailures: 1000, minimumRequests: 1000 };
    const lane = aLane({ ordering: 'partitionkey', maxInFlight: 200, circuit }, list);
    const first = lane.sent().flat();
    expect(first).toHaveLength(64);
    for (const seq of first) lane.failed(seq, NOW + 5000);
    expect(lane.sent()).toEqual([]);
    lane.pass(5000);
    lane.sent();
    lane.delivered(1);
    expect(lane.sent()).toEqual([[65]]);
  });

  test('asks for the pause only when the dead letter that blocks is stored', () => {
    const lane = aLane({ ordering: 'subscription', onDeadLetter: 'block' }, messages(2));
    lane.sent();
    const dead = { laneSeq: 1, next: { kind: 'dead', reason: 'rejected_by_sink' } } as const;
    const { changes } = lane.owner.settled({ exchange: { outcome: 'permanent' }, members: [dead] }, NOW, 0.5);
    expect(lane.next()).toMatchObject({ kind: 'wait' });
    lane.stored({ circuit: { kind: 'closed', sinceMs: NOW }, blockedAtRevision: 1 }, changes);
    lane.owner.stored([1]);
    expect(lane.next()).toMatchObject({ kind: 'pause', revision: 1 });
  });

  test('goes on after a dead letter, or stops there until it was paused and resumed', () => {
    const skip = aLane({ ordering: 'subscription' }, messages(2));
    skip.sent();
    skip.died(1);
    expect(skip.sent()).toEqual([[2]]);

    const block = aLane({ ordering: 'subscription', onDeadLetter: 'block' }, messages(2));
    block.sent();
    const { changes } = block.died(1);
    expect(changes).toEqual([{ kind: 'blocked', revision: 1, atMs: NOW }]);
    expect(block.next()).toMatchObject({ kind: 'pause', revision: 1 });
    block.stored({ circuit: { kind: 'closed', sinceMs: NOW }, blockedAtRevision: 1 }, changes);
    block.owner.rules(
      subscribed({ ordering: 'subscription', onDeadLetter: 'block' }, { state: 'paused', revision: 2 }),
    );
    expect(block.next()).toMatchObject({ kind: 'sleep' });
    block.owner.rules(subscribed({ ordering: 'subscription', onDeadLetter: 'block' }, { revision: 3 }));
    expect(block.sent()).toEqual([[2]]);
  });

  test('puts 70 000 in order though it remembers 50 000 (peers 6.5: memory flat)', () => {
    const count = 70_000;
    const list = Array.from({ length: count }, (_, i) => aMessage(i + 1, { eventSeq: ((i * 7919) % count) + 1 }));
    const byEvent = new Map(list.map((message) => [message.laneSeq, message.eventSeq]));
    const owner = makeLaneOwner({
      subscription: subscribed({ ordering: 'subscription' }),
      state: undefined,
      failures: makeFailureWindow(),
      startsUntilMs: Infinity,
      heldSinceMs: NOW,
      isTakeover: false,
    });
    const gone = new Set<number>();
    const sent: (number | undefined)[] = [];
    for (let step = owner.next(NOW); sent.length < 65_000; step = owner.next(NOW)) {
      if (step.kind === 'read') {
        const page = list.slice(Math.max(0, step.fromSeq - 1), Math.max(0, step.fromSeq - 1) + 5000);
        const readUpTo = page.at(-1)?.laneSeq ?? count;
        owner.messages(
          page.filter((message) => !gone.has(message.laneSeq)),
          readUpTo,
          readUpTo === count,
          NOW,
        );
      } else if (step.kind === 'floor') owner.floor(count, NOW);
      else if (step.kind === 'send') {
        const [seq = 0] = step.laneSeqs;
        sent.push(byEvent.get(seq));
        gone.add(seq);
        owner.settled(
          { exchange: { outcome: 'delivered' }, members: [{ laneSeq: seq, next: { kind: 'delivered' } }] },
          NOW,
          0,
        );
        owner.stored([seq]);
      } else throw new Error(`unexpected ${step.kind}`);
    }
    expect(sent).toEqual(Array.from({ length: sent.length }, (_, i) => i + 1));
  });

  test('begins anew when the order is changed', () => {
    const lane = aLane({ maxInFlight: 1 }, [
      aMessage(1, { eventSeq: 9 }),
      aMessage(2, { eventSeq: 8 }),
      aMessage(3, { eventSeq: 7 }),
    ]);
    expect(lane.sent()).toEqual([[3]]);
    lane.owner.rules(subscribed({ ordering: 'subscription' }));
    expect(lane.sent()).toEqual([]);
    lane.delivered(3);
    expect(lane.sent()).toEqual([[2]]);
  });
});

describe('rate, batch, pause, lease', () => {
  test('starts are a distance apart, and the lease is kept one distance after the last (WH-17)', () => {
    const lane = aLane({ rate: { requestsPerMinute: 60 } }, messages(2));
    expect(lane.sent()).toEqual([[1]]);
    lane.pass(1009);
    expect(lane.sent()).toEqual([]);
    lane.pass(1);
    expect(lane.sent()).toEqual([[2]]);
    lane.delivered(1);
    lane.delivered(2);
    lane.pass(1009);
    expect(lane.next().kind).toBe('wait');
    lane.pass(1);
    expect(lane.next().kind).toBe('close');
  });

  test('after a crash the first start waits a distance', () => {
    const lane = aLane({ rate: { requestsPerMinute: 60 } }, messages(1), { isTakeover: true });
    expect(lane.sent()).toEqual([]);
    lane.pass(1010);
    expect(lane.sent()).toEqual([[1]]);
  });

  test('a batch goes when it is full by number or bytes, or when its first has waited (WH-11: a batch is one request)', () => {
    const batch = { maxEvents: 3, maxBytes: 1024, maxWaitMs: 200 };
    const lane = aLane({ batch }, messages(4));
    expect(lane.sent()).toEqual([[1, 2, 3]]);
    lane.pass(200);
    expect(lane.sent()).toEqual([[4]]);
    const large = [aMessage(1, { bytes: 600 }), aMessage(2, { bytes: 600 }), aMessage(3, { bytes: 5000 })];
    const heavy = aLane({ batch }, large);
    expect(heavy.sent()).toEqual([[1], [2]]);
    heavy.pass(200);
    expect(heavy.sent()).toEqual([[3]]);
  });

  test('the outcome of a batch is that of each member, and one request to the circuit', () => {
    const lane = aLane({ batch: { maxEvents: 3, maxBytes: 1024, maxWaitMs: 0 } }, messages(3));
    lane.sent();
    expect(lane.delivered(1, 2, 3)).toEqual({ changes: [], keep: [], remove: [1, 2, 3] });
    expect(lane.owner.inFlightCount()).toBe(0);
  });

  test('paused sleeps until the first deadline and ends what is over; resumed goes on (Outpost EnableAfterDisable)', () => {
    const list = [aMessage(1, { deadlineAtMs: NOW + 60_000 }), aMessage(2)];
    const lane = aLane({}, list, { subscription: subscribed({}, { state: 'paused' }) });
    expect(lane.next()).toEqual({ kind: 'sleep', untilMs: NOW + 60_001 });
    lane.pass(60_001);
    expect(lane.next()).toEqual({ kind: 'end', laneSeqs: [1], attempts: [1], reason: 'deadline_passed', changes: [] });
    lane.owner.stored([1]);
    lane.owner.rules(subscribed({}, { revision: 2 }));
    expect(lane.sent()).toEqual([[2]]);
  });

  test('deleted ends everything and leaves nothing', () => {
    const lane = aLane({}, messages(1), { state: { circuit: { kind: 'closed', sinceMs: 0 } } });
    lane.owner.rules(undefined);
    expect(lane.next()).toMatchObject({ kind: 'end', laneSeqs: [1], reason: 'subscription_deleted' });
    lane.owner.stored([1]);
    expect(lane.next()).toMatchObject({ kind: 'close', changes: [{ kind: 'ended' }] });
  });

  test('starts nothing when the lease is not confirmed in time (peers 6.5: no double-run)', () => {
    const lane = aLane({}, messages(1), { startsUntilMs: NOW });
    expect(lane.next()).toEqual({ kind: 'wait', untilMs: undefined });
    lane.owner.lease(NOW + 1);
    expect(lane.sent()).toEqual([[1]]);
  });

  test('stopped starts nothing, waits for what is under way, then leaves', () => {
    const lane = aLane({ maxInFlight: 1 }, messages(2));
    lane.sent();
    lane.owner.stop();
    expect(lane.next().kind).toBe('wait');
    lane.delivered(1);
    expect(lane.next()).toEqual({ kind: 'leave' });
  });

  test('a clock that is set back ends the lease: whoever goes on knows no instants that are to come again', () => {
    const lane = aLane({ maxInFlight: 1, ordering: 'subscription' }, messages(2));
    lane.sent();
    lane.pass(-500);
    lane.delivered(1);
    expect(lane.sent()).toEqual([[2]]);
    lane.pass(-3_600_000);
    expect(lane.next().kind).toBe('wait');
    lane.delivered(2);
    expect(lane.next()).toEqual({ kind: 'leave' });
  });

  test('a delivery without a request says nothing about the sink', () => {
    const lane = aLane({}, messages(1), { failures: makeFailureWindow() });
    lane.sent();
    const dead = { kind: 'dead', reason: 'unsignable' } as const;
    expect(lane.owner.settled({ members: [{ laneSeq: 1, next: dead }] }, NOW, 0.5)).toEqual({
      changes: [],
      keep: [],
      remove: [1],
    });
  });
});
