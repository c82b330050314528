import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NextStep, Outcome } from './outcome.ts';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './retry-policy.ts';
import { deadlineOf, decideNext, retryDelayMs, type AttemptResult } from './retry-schedule.ts';

const exact: RetryPolicy = { ...DEFAULT_RETRY_POLICY, jitter: 0 };

function anAttempt(overrides: Partial<AttemptResult> = {}): AttemptResult {
  const result = { outcome: 'retryable' as const, attempt: 1, firstAttempt: 1, policy: exact };
  return { ...result, nowMs: 1_000_000, deadlineAtMs: 1_000_000 + 86_400_000, random: 0.5, ...overrides };
}

/** Every attempt's start from the first to the end, each failing the instant it starts. */
function play(policy: RetryPolicy, random: () => number): { atMs: number[]; end: NextStep } {
  const atMs = [0];
  for (let attempt = 1; ; attempt++) {
    const nowMs = atMs.at(-1) ?? 0;
    const end = decideNext(
      anAttempt({ attempt, policy, nowMs, deadlineAtMs: deadlineOf(policy, 0), random: random() }),
    );
    if (end.kind !== 'retry') return { atMs, end };
    atMs.push(end.atMs);
  }
}

const policies: fc.Arbitrary<RetryPolicy> = fc.record({
  delaysSeconds: fc.array(fc.integer({ min: 1, max: 86_400 }), { minLength: 1, maxLength: 20 }),
  whenExhausted: fc.constantFrom('repeat-last', 'stop'),
  deadlineSeconds: fc.integer({ min: 60, max: 86_400 }),
  jitter: fc.double({ min: 0, max: 0.5, noNaN: true }),
});
const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('retryDelayMs', () => {
  test('stays within the jitter band of the listed delay', () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 20 }), randoms, (policy, n, random) => {
        const listed = policy.delaysSeconds[n - 1];
        fc.pre(listed !== undefined);
        const delay = retryDelayMs(policy, n, random) ?? -1;
        expect(delay).toBeGreaterThanOrEqual(Math.floor(listed * 1000 * (1 - policy.jitter)));
        expect(delay).toBeLessThanOrEqual(Math.ceil(listed * 1000 * (1 + policy.jitter)));
      }),
    );
  });

  test('grows with random and is the same for the same random', () => {
    fc.assert(
      fc.property(policies, randoms, randoms, (policy, a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        expect(retryDelayMs(policy, 1, low)).toBeLessThanOrEqual(retryDelayMs(policy, 1, high) ?? -1);
        expect(retryDelayMs(policy, 1, a)).toBe(retryDelayMs(policy, 1, a));
      }),
    );
  });

  test('repeats the last delay, or stops, when the list is at its end', () => {
    const stop: RetryPolicy = { ...exact, delaysSeconds: [1, 2], whenExhausted: 'stop' };
    expect([1, 2, 3].map((n) => retryDelayMs(stop, n, 0))).toEqual([1000, 2000, undefined]);
    expect([1, 2, 3, 9].map((n) => retryDelayMs({ ...stop, whenExhausted: 'repeat-last' }, n, 0))).toEqual([
      1000, 2000, 2000, 2000,
    ]);
  });
});

describe('decideNext', () => {
  test('plays the default schedule to the second over 24 hours (D7)', () => {
    const { atMs, end } = play(exact, () => 0.5);
    expect(atMs.map((at) => at / 1000)).toEqual([
      0, 10, 40, 100, 400, 1000, 2800, 6400, 17_200, 38_800, 60_400, 82_000,
    ]);
    expect(end).toEqual({ kind: 'dead', reason: 'deadline_passed' });
  });

  test('moves forward and never plans an attempt after the deadline', () => {
    fc.assert(
      fc.property(policies, fc.array(randoms, { minLength: 1 }), (policy, sequence) => {
        fc.pre(policy.deadlineSeconds / Math.min(...policy.delaysSeconds) < 5000);
        let i = 0;
        const { atMs } = play(policy, () => sequence[i++ % sequence.length] ?? 0);
        atMs.slice(1).forEach((at, k) => {
          expect(at).toBeGreaterThan(atMs[k] ?? Infinity);
        });
        expect(atMs.at(-1)).toBeLessThanOrEqual(policy.deadlineSeconds * 1000);
      }),
    );
  });

  test.each<[Outcome, NextStep]>([
    ['delivered', { kind: 'delivered' }],
    ['permanent', { kind: 'dead', reason: 'rejected_by_sink' }],
    ['gone', { kind: 'dead', reason: 'gone' }],
    ['retryable', { kind: 'retry', atMs: 1_010_000 }],
    ['throttled', { kind: 'retry', atMs: 1_010_000 }],
  ])('turns %s into its next step', (outcome, expected) => {
    expect(decideNext(anAttempt({ outcome }))).toEqual(expected);
  });

  test('ends as exhausted when the policy stops', () => {
    const policy: RetryPolicy = { ...exact, delaysSeconds: [5], whenExhausted: 'stop' };
    expect(decideNext(anAttempt({ policy, attempt: 2 }))).toEqual({ kind: 'dead', reason: 'attempts_exhausted' });
  });

  test('starts the schedule again with a redelivery', () => {
    expect(decideNext(anAttempt({ attempt: 13, firstAttempt: 13 }))).toEqual({ kind: 'retry', atMs: 1_010_000 });
  });

  test('waits as long as the sink asks, and no shorter than the schedule (WH-5)', () => {
    expect(decideNext(anAttempt({ retryAfter: '120' }))).toEqual({ kind: 'retry', atMs: 1_120_000 });
    expect(decideNext(anAttempt({ retryAfter: '3' }))).toEqual({ kind: 'retry', atMs: 1_010_000 });
    expect(decideNext(anAttempt({ retryAfter: 'soon' }))).toEqual({ kind: 'retry', atMs: 1_010_000 });
  });

  test('gives up at once when the sink asks for more than the deadline allows (WH-5)', () => {
    const asked = (retryAfter: string) => decideNext(anAttempt({ retryAfter }));
    expect(asked('86400')).toEqual({ kind: 'retry', atMs: 1_000_000 + 86_400_000 });
    expect(asked('86401')).toEqual({ kind: 'dead', reason: 'deadline_passed' });
  });

  test('spreads what was throttled together to later, never earlier than asked nor over the deadline (WH-5)', () => {
    fc.assert(
      fc.property(randoms, fc.integer({ min: 20, max: 86_400 }), (random, seconds) => {
        const policy = DEFAULT_RETRY_POLICY;
        const next = decideNext(anAttempt({ policy, random, retryAfter: String(seconds) }));
        const waitedMs = next.kind === 'retry' ? next.atMs - 1_000_000 : -1;
        expect(waitedMs).toBeGreaterThanOrEqual(seconds * 1000);
        expect(waitedMs).toBeLessThanOrEqual(Math.min(86_400_000, seconds * 1200));
      }),
    );
  });
});
