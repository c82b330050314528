import { describe, expect, test } from '@jest/globals';
import type { Circuit, OpenCircuit } from '#core/lane/lane-state';
import type { Subscription } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { NOON } from '#testkit/facts';
import { describeHealth, type HealthFacts } from './describe-health.ts';

const open: OpenCircuit = {
  kind: 'open',
  sinceMs: NOON - 60_000,
  failingSinceMs: NOON - 120_000,
  lastFailureAtMs: NOON - 1000,
  cause: 'failures',
  failedProbes: 2,
  nextProbeAtMs: NOON + 30_000,
  revision: 1,
  lastStatus: 503,
};

function health(facts: Partial<HealthFacts> = {}) {
  const nothing = { lane: undefined, waiting: 0, oldestAcceptedAtMs: undefined, answers: [], workers: 0 };
  return describeHealth({ subscription: aSubscription(), ...nothing, ...facts }, NOON);
}

const withCircuit = (circuit: Circuit, subscription: Partial<Subscription> = {}) =>
  health({ lane: { circuit }, subscription: aSubscription(subscription) });

function answer(inFlight: number, successes: number, failures: number) {
  return { inFlight, window: { successes, failures } };
}

describe('the health of a subscription', () => {
  test('on the common road that has nothing to do', () => {
    expect(health({ workers: 1, answers: [answer(0, 0, 0)] })).toEqual({
      id: aSubscription().id,
      state: 'active',
      circuit: { state: 'closed' },
      waiting: 0,
      oldestWaitingAt: null,
      inFlight: 0,
      successRatio: null,
      window: { seconds: 60, successes: 0, failures: 0 },
      nextProbeAt: null,
      rate: null,
      workers: 1,
      silentWorkers: 0,
    });
  });

  test('adds up what the workers know, and says how many did not answer', () => {
    const answers = [answer(2, 10, 5), answer(1, 0, 0)];
    expect(health({ answers, workers: 3 })).toMatchObject({
      inFlight: 3,
      successRatio: 0.6667,
      window: { successes: 10, failures: 5 },
      workers: 2,
      silentWorkers: 1,
    });
    expect(health({ answers, workers: 1 }).silentWorkers).toBe(0);
  });

  test('says why it is not active, and since when its deliveries wait', () => {
    const subscription = aSubscription({ state: 'paused', stateReason: 'r' });
    const shown = health({ subscription, waiting: 3, oldestAcceptedAtMs: NOON });
    expect(shown).toMatchObject({
      state: 'paused',
      stateReason: 'r',
      waiting: 3,
      oldestWaitingAt: '2026-11-22T12:00:00.000Z',
    });
  });
});

describe('its circuit', () => {
  test('is shown with its cause and the next probe', () => {
    expect(withCircuit(open)).toMatchObject({
      circuit: {
        state: 'open',
        since: '2026-11-22T11:59:00.000Z',
        cause: 'failures',
        failingSince: '2026-11-22T11:58:00.000Z',
        lastFailureAt: '2026-11-22T11:59:59.000Z',
        failedProbes: 2,
        lastStatus: 503,
      },
      nextProbeAt: '2026-11-22T12:00:30.000Z',
    });
  });

  test('with a probe under way waits for none', () => {
    expect(withCircuit({ ...open, kind: 'half_open' })).toMatchObject({
      circuit: { state: 'half_open', failedProbes: 2 },
      nextProbeAt: null,
    });
  });

  test('of a subscription that was changed since is probed now, unless the sink itself asked for quiet', () => {
    expect(withCircuit(open, { revision: 2 }).nextProbeAt).toBe('2026-11-22T12:00:00.000Z');
    const asked: OpenCircuit = { ...open, cause: 'throttled', askedUntilMs: NOON + 20_000 };
    expect(withCircuit(asked, { revision: 2 }).nextProbeAt).toBe('2026-11-22T12:00:20.000Z');
  });

  test.each(['paused', 'pending', 'disabled', 'retired'] as const)('of one that is %s is not probed', (state) => {
    expect(withCircuit(open, { state }).nextProbeAt).toBeNull();
  });

  test('that recovers says since when; one that is closed with a long lane is closed', () => {
    expect(withCircuit({ kind: 'recovering', sinceMs: NOON }).circuit).toEqual({
      state: 'recovering',
      since: '2026-11-22T12:00:00.000Z',
    });
    expect(withCircuit({ kind: 'closed', sinceMs: NOON }).circuit).toEqual({ state: 'closed' });
  });
});

describe('its rate (WH-11, WH-17)', () => {
  const rated = (wanted: number | undefined, granted: number | '*' | undefined) =>
    health({
      subscription: aSubscription({
        spec: aSpec({ config: wanted === undefined ? {} : { rate: { requestsPerMinute: wanted } } }),
        validation: {
          status: 'granted',
          attempts: 1,
          ...(granted === undefined ? {} : { allowedRatePerMinute: granted }),
        },
      }),
    }).rate;

  test.each([
    [undefined, undefined, null],
    [undefined, '*', null],
    [60, undefined, { requestsPerMinute: 60, source: 'config' }],
    [60, '*', { requestsPerMinute: 60, source: 'config' }],
    [60, 120, { requestsPerMinute: 60, source: 'config' }],
    [120, 60, { requestsPerMinute: 60, source: 'grant' }],
    [undefined, 60, { requestsPerMinute: 60, source: 'grant' }],
  ] as const)('is the lower of config %p and grant %p', (wanted, granted, shown) => {
    expect(rated(wanted, granted)).toEqual(shown);
  });
});
