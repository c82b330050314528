import { describe, expect, test } from '@jest/globals';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import type { Subscription, SubscriptionSpec } from '../registry/subscription.ts';
import type { LaneState, OpenCircuit } from './lane-state.ts';
import { mayRest, requestsPerMinuteOf, roadOf } from './road.ts';

const NOW = 1_000_000;

function subscribed(config: Partial<SubscriptionSpec['config']>, traits: Partial<Subscription> = {}): Subscription {
  return aSubscription({ spec: aSpec({ config }), ...traits });
}

function opened(traits: Partial<OpenCircuit> = {}): LaneState {
  const circuit: OpenCircuit = {
    kind: 'open',
    sinceMs: NOW - 10,
    failingSinceMs: NOW - 10,
    lastFailureAtMs: NOW - 10,
    cause: 'failures',
    failedProbes: 0,
    nextProbeAtMs: NOW + 10_000,
    revision: 1,
    ...traits,
  };
  return { circuit };
}

const granted = { status: 'granted', attempts: 1 } as const;
const closed: LaneState = { circuit: { kind: 'closed', sinceMs: NOW } };

describe('roadOf', () => {
  test.each<[string, Subscription, LaneState | undefined, string]>([
    ['well', subscribed({}), undefined, 'common'],
    [
      'granted without a limit',
      subscribed({}, { validation: { ...granted, allowedRatePerMinute: '*' } }),
      undefined,
      'common',
    ],
    ['in order', subscribed({ ordering: 'subscription' }), undefined, 'lane'],
    ['in order by key', subscribed({ ordering: 'partitionkey' }), undefined, 'lane'],
    ['rated', subscribed({ rate: { requestsPerMinute: 5 } }), undefined, 'lane'],
    [
      'granted a rate (WH-11)',
      subscribed({}, { validation: { ...granted, allowedRatePerMinute: 5 } }),
      undefined,
      'lane',
    ],
    ['in batches', subscribed({ batch: { maxEvents: 2, maxBytes: 1024, maxWaitMs: 0 } }), undefined, 'lane'],
    ['over its share', subscribed({}), closed, 'lane'],
    ['recovering', subscribed({}), { circuit: { kind: 'recovering', sinceMs: 0 } }, 'lane'],
    ['open and due', subscribed({}), opened({ nextProbeAtMs: NOW }), 'lane'],
    ['open', subscribed({}), opened(), 'lane, asleep'],
    ['open, and changed since', subscribed({}, { revision: 2 }), opened(), 'lane'],
    [
      'throttled, and changed since (WH-5)',
      subscribed({}, { revision: 2 }),
      opened({ askedUntilMs: NOW + 5 }),
      'lane, asleep',
    ],
    ['blocked', subscribed({ ordering: 'subscription' }), { ...closed, blockedAtRevision: 1 }, 'lane, asleep'],
    ['resumed', subscribed({ ordering: 'subscription' }, { revision: 3 }), { ...closed, blockedAtRevision: 1 }, 'lane'],
    ['paused', subscribed({}, { state: 'paused' }), undefined, 'lane, asleep'],
    ['pending', subscribed({}, { state: 'pending' }), undefined, 'lane, asleep'],
    ['disabled', subscribed({}, { state: 'disabled' }), opened(), 'end'],
    ['expired by its own limits', subscribed({}, { state: 'expired', stateReason: 'max_events' }), undefined, 'common'],
  ])('of one that is %s', (_what, subscription, state, expected) => {
    const { road, isAsleep } = roadOf(subscription, state, NOW);
    expect(isAsleep ? `${road}, asleep` : road).toBe(expected);
  });
});

describe('requestsPerMinuteOf', () => {
  test.each<[number | undefined, number | '*' | undefined, number | undefined]>([
    [undefined, undefined, undefined],
    [undefined, '*', undefined],
    [10, undefined, 10],
    [10, '*', 10],
    [undefined, 7, 7],
    [10, 7, 7],
    [7, 10, 7],
  ])('is the lower of %p, wanted, and %p, granted (WH-11, WH-17)', (wanted, allowed, expected) => {
    const validation = { ...granted, ...(allowed === undefined ? {} : { allowedRatePerMinute: allowed }) };
    const rate = wanted === undefined ? {} : { rate: { requestsPerMinute: wanted } };
    expect(requestsPerMinuteOf(subscribed(rate, { validation }))).toBe(expected);
  });
});

describe('mayRest', () => {
  const heads = [{ laneSeq: 1, attempt: 2, dueAtMs: NOW + 60_000 }];

  test.each<[string, boolean, Subscription | undefined, LaneState | undefined]>([
    ['deleted', false, undefined, opened()],
    ['disabled', false, subscribed({}, { state: 'disabled' }), undefined],
    ['active without a state', false, subscribed({}), undefined],
    ['closed', false, subscribed({}), closed],
    ['open until later', true, subscribed({}), opened()],
    ['open, its timer overdue', false, subscribed({}), opened({ nextProbeAtMs: NOW - 30_000 })],
    ['paused', true, subscribed({}, { state: 'paused' }), undefined],
    ['waiting for its head', true, subscribed({ ordering: 'subscription' }), { ...closed, heads }],
    ['waiting for one key of several', false, subscribed({ ordering: 'partitionkey' }), { ...closed, heads }],
    ['blocked but not paused', false, subscribed({ ordering: 'subscription' }), { ...closed, blockedAtRevision: 1 }],
  ])('of a lane that nobody holds and is %s: %p', (_what, expected, subscription, state) => {
    expect(mayRest(subscription, state, NOW)).toBe(expected);
  });
});
