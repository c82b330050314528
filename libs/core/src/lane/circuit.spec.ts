import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_CIRCUIT_POLICY, type CircuitPolicy } from './circuit-policy.ts';
import { changeLane, disableReasonOf, isBlocked, isOpen, probeDueAtMs, type LaneChange } from './circuit.ts';
import type { LaneState, OpenCircuit } from './lane-state.ts';

const policy = DEFAULT_CIRCUIT_POLICY;
const DAY_MS = 86_400_000;

const failure = { atMs: 1000, failingSinceMs: 400, revision: 1, random: 0.5 };

function fold(...changes: LaneChange[]): LaneState | undefined {
  return changes.reduce<LaneState | undefined>((state, change) => changeLane(state, change, policy), undefined);
}

function openOf(state: LaneState | undefined): OpenCircuit {
  const circuit = state?.circuit;
  if (circuit?.kind !== 'open') throw new Error(`the circuit is ${circuit?.kind ?? 'not there'}`);
  return circuit;
}

/** What is waited after so many probes have failed. */
function probeDelayMs(failedProbes: number, random: number): number {
  const report = { ...failure, random };
  if (failedProbes === 0) return openOf(fold({ kind: 'opened', ...report })).nextProbeAtMs - report.atMs;
  const open = openOf(fold({ kind: 'opened', ...failure }));
  const circuit = { ...open, kind: 'half_open', failedProbes: failedProbes - 1 } as const;
  const atMs = open.nextProbeAtMs;
  const failed = changeLane({ circuit }, { kind: 'probe_failed', cause: 'failures', ...report, atMs }, policy);
  return openOf(failed).nextProbeAtMs - atMs;
}

const failures = fc.record({
  atMs: fc.integer({ min: 1000, max: 1_000_000 }),
  failingSinceMs: fc.integer({ min: 0, max: 1_000_000 }),
  revision: fc.integer({ min: 1, max: 2 }),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  status: fc.constantFrom(500, 429, 401),
});
const reports: fc.Arbitrary<LaneChange> = fc.oneof(
  failures.map((f) => ({ kind: 'opened' as const, ...f })),
  failures.chain((f) => fc.nat({ max: 5_000_000 }).map((untilMs) => ({ kind: 'throttled' as const, untilMs, ...f }))),
  failures.map((f) => ({ kind: 'gone' as const, ...f })),
);
const states: fc.Arbitrary<LaneState | undefined> = fc.oneof(
  fc.constant(undefined),
  fc.constant<LaneState>({ circuit: { kind: 'closed', sinceMs: 0 }, heads: [{ laneSeq: 1, attempt: 2, dueAtMs: 3 }] }),
  fc.constant<LaneState>({ circuit: { kind: 'recovering', sinceMs: 0 } }),
  reports.map((report) => fold(report)),
);

describe('the circuit of a lane', () => {
  test('is the same when two report the same thing, or one thing twice', () => {
    fc.assert(
      fc.property(states, reports, (state, report) => {
        const once = changeLane(state, report, policy);
        expect(changeLane(once, report, policy)).toEqual(once);
      }),
    );
  });

  test('is the same in whatever order two report', () => {
    fc.assert(
      fc.property(states, reports, reports, (state, a, b) => {
        const inOrder = changeLane(changeLane(state, a, policy), b, policy);
        expect(changeLane(changeLane(state, b, policy), a, policy)).toEqual(inOrder);
      }),
    );
  });

  test('keeps the latest instant that the sink asked for, and no probe goes before it (WH-5)', () => {
    fc.assert(
      fc.property(states, fc.array(reports, { minLength: 1, maxLength: 6 }), (before, changes) => {
        const state = changes.reduce<LaneState | undefined>((s, c) => changeLane(s, c, policy), before);
        const asked = changes.map((change) => (change.kind === 'throttled' ? (change.untilMs ?? 0) : 0));
        expect(openOf(state).nextProbeAtMs).toBeGreaterThanOrEqual(Math.max(...asked));
      }),
    );
  });

  test('opens after failures, with the first probe about 10 s later', () => {
    expect(fold({ kind: 'opened', ...failure, status: 500 })).toEqual({
      circuit: {
        kind: 'open',
        sinceMs: 1000,
        failingSinceMs: 400,
        lastFailureAtMs: 1000,
        cause: 'failures',
        failedProbes: 0,
        nextProbeAtMs: 11_000,
        revision: 1,
        lastStatus: 500,
      },
    });
  });

  test('throttled without an instant waits as for the first probe; asked for nothing at all, a second', () => {
    expect(openOf(fold({ kind: 'throttled', ...failure })).nextProbeAtMs).toBe(11_000);
    expect(openOf(fold({ kind: 'throttled', untilMs: 0, ...failure })).nextProbeAtMs).toBe(2000);
  });

  test('probes ever more seldom: 10 s doubled up to 30 min, 20 % to both sides', () => {
    const delays = Array.from({ length: 10 }, (_, n) => probeDelayMs(n, 0.5) / 1000);
    expect(delays).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 1500, 1500]);
    fc.assert(
      fc.property(fc.nat({ max: 100 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (n, random) => {
        const delayMs = probeDelayMs(n, random);
        const listedMs = probeDelayMs(n, 0.5);
        expect(delayMs).toBeLessThanOrEqual(1_800_000);
        expect(Math.abs(delayMs - listedMs)).toBeLessThanOrEqual(listedMs * 0.2 + 1);
      }),
    );
  });

  test('a failed probe waits twice as long, and never less than the sink asked for (WH-5)', () => {
    const probing = fold({ kind: 'opened', ...failure }, { kind: 'probe_started', atMs: 11_000 });
    expect(probing?.circuit.kind).toBe('half_open');
    const failed = { kind: 'probe_failed', ...failure, atMs: 11_500, failingSinceMs: 11_500 } as const;
    const after = (change: LaneChange) => openOf(changeLane(probing, change, policy));
    expect(after({ ...failed, cause: 'failures' })).toMatchObject({
      failedProbes: 1,
      nextProbeAtMs: 31_500,
      failingSinceMs: 400,
      sinceMs: 1000,
    });
    expect(after({ ...failed, cause: 'throttled', untilMs: 90_000 }).nextProbeAtMs).toBe(90_000);
    expect(after({ ...failed, cause: 'failures', untilMs: 90_000 }).nextProbeAtMs).toBe(90_000);
  });

  test('takes no sink at its word that asks for more than a day: it may have meant another unit (WH-5)', () => {
    const day = 86_400_000;
    const never = { kind: 'throttled' as const, ...failure, untilMs: 1e15 };
    expect(openOf(fold(never)).nextProbeAtMs).toBe(failure.atMs + day);
    expect(openOf(fold(never, { ...never, atMs: failure.atMs + 1 })).askedUntilMs).toBe(failure.atMs + 1 + day);
  });

  test('a failed probe that is written twice counts once', () => {
    const failed = { kind: 'probe_failed', cause: 'failures', ...failure, atMs: 11_500 } as const;
    const once = fold({ kind: 'opened', ...failure }, { kind: 'probe_started', atMs: 11_000 }, failed);
    expect(changeLane(once, failed, policy)).toEqual(once);
  });

  test('a delivered probe lets it recover; an empty lane forgets it', () => {
    const recovering = fold(
      { kind: 'opened', ...failure },
      { kind: 'probe_started', atMs: 11_000 },
      { kind: 'probe_delivered', atMs: 11_100 },
    );
    expect(recovering).toEqual({ circuit: { kind: 'recovering', sinceMs: 11_100 } });
    expect(changeLane(recovering, { kind: 'drained' }, policy)).toBeUndefined();
  });

  test('late failures do not disturb a probe, but a sink that asks for quiet meanwhile gets it (WH-5)', () => {
    const probing = fold({ kind: 'opened', ...failure }, { kind: 'probe_started', atMs: 11_000 });
    const late = { ...failure, atMs: 11_050 };
    const delivered: LaneChange = { kind: 'probe_delivered', atMs: 11_100 };
    const disturbed = changeLane(probing, { kind: 'opened', ...late }, policy);
    expect(changeLane(disturbed, delivered, policy)?.circuit.kind).toBe('recovering');
    const throttled = changeLane(probing, { kind: 'throttled', untilMs: 99_000, ...late }, policy);
    expect(openOf(changeLane(throttled, delivered, policy)).nextProbeAtMs).toBe(99_000);
  });

  test('stays open when its lane is empty, and is forgotten when the subscription ends', () => {
    const probing = fold({ kind: 'opened', ...failure }, { kind: 'probe_started', atMs: 11_000 });
    expect(changeLane(probing, { kind: 'drained' }, policy)?.circuit.kind).toBe('open');
    expect(changeLane(probing, { kind: 'ended' }, policy)).toBeUndefined();
  });

  test('keeps heads and the block through everything but the end of the lane', () => {
    const heads = [{ laneSeq: 7, attempt: 2, dueAtMs: 5000 }];
    const state = fold(
      { kind: 'heads', heads, atMs: 1 },
      { kind: 'blocked', revision: 3, atMs: 2 },
      { kind: 'opened', ...failure },
    );
    expect(state).toMatchObject({ heads, blockedAtRevision: 3, circuit: { kind: 'open' } });
    expect(changeLane(state, { kind: 'heads', heads: [], atMs: 3 }, policy)).not.toHaveProperty('heads');
    expect(fold({ kind: 'heads', heads: [], atMs: 1 })).toBeUndefined();
  });

  test('closed by overflow says nothing about a circuit that is open', () => {
    expect(fold({ kind: 'overflowed', atMs: 5 })).toEqual({ circuit: { kind: 'closed', sinceMs: 5 } });
    expect(fold({ kind: 'opened', ...failure }, { kind: 'overflowed', atMs: 5 })?.circuit.kind).toBe('open');
  });

  test('tries a changed subscription at once, unless the sink asked to wait', () => {
    const circuit = openOf(fold({ kind: 'opened', ...failure }));
    expect([probeDueAtMs(circuit, 1), probeDueAtMs(circuit, 2)]).toEqual([11_000, -Infinity]);
    expect(probeDueAtMs({ ...circuit, askedUntilMs: 9000 }, 2)).toBe(9000);
  });
});

describe('disableReasonOf', () => {
  const short: CircuitPolicy = { ...policy, disableAfterSeconds: 5 * 86_400 };
  const failingFor = (ms: number) =>
    fold(
      { kind: 'opened', ...failure, failingSinceMs: 0, atMs: 10 },
      { kind: 'probe_failed', cause: 'failures', ...failure, atMs: ms },
    )?.circuit;

  test('names nothing but failures for five days', () => {
    expect(disableReasonOf(failingFor(5 * DAY_MS - 1), short, 1)).toBeUndefined();
    expect(disableReasonOf(failingFor(5 * DAY_MS), short, 1)).toBe(
      'the sink has failed for 5 d without a single success',
    );
  });

  test('names 410 at once (D9)', () => {
    expect(disableReasonOf(fold({ kind: 'gone', ...failure })?.circuit, policy, 1)).toBe('the sink answered 410 Gone');
  });

  test('does not hold the past against a subscription that was changed or resumed since', () => {
    expect(disableReasonOf(failingFor(5 * DAY_MS), short, 2)).toBeUndefined();
    const resumed = changeLane(
      fold({ kind: 'opened', ...failure, failingSinceMs: 0 }),
      { kind: 'probe_failed', cause: 'failures', ...failure, failingSinceMs: 0, atMs: 6 * DAY_MS, revision: 3 },
      policy,
    );
    expect(disableReasonOf(resumed?.circuit, policy, 3)).toBeUndefined();
    expect(isOpen(resumed?.circuit)).toBe(true);
  });
});

describe('isBlocked', () => {
  const blocked = fold({ kind: 'blocked', revision: 4, atMs: 1 });

  test('until it was paused and resumed: two revisions', () => {
    expect([4, 5, 6].map((revision) => isBlocked(blocked, { revision, state: 'active' }))).toEqual([true, true, false]);
  });

  test('not when it can not be paused any more', () => {
    expect(isBlocked(blocked, { revision: 4, state: 'expired' })).toBe(false);
  });
});
