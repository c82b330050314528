import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { classify } from './classify.ts';
import type { NextStep, Outcome } from './outcome.ts';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './retry-policy.ts';
import { deadlineOf, decideNext, retryDelayMs, type AttemptResult } from './retry-schedule.ts';

const exact: RetryPolicy = { ...DEFAULT_RETRY_POLICY, jitter: 0 };

function anAttempt(overrides: Partial<AttemptResult> = {}): AttemptResult {
  const result = { outcome: 'retryable' as const, attempt: 1, firstAttempt: 1, policy: exact };
  return { ...result, nowMs: 1_000_000, deadlineAtMs: 1_000_000 + 86_400_000, random: 0.5, ...overrides };
}

/** What a sink answers to an attempt that starts at this instant, and how long it takes for that. */
type Answer = (attempt: number, atMs: number) => Partial<AttemptResult> & { readonly takesMs?: number };

const FAILS: Answer = () => ({});

/** Every attempt's start from the first to the end, on a clock that nothing else moves. The event is accepted at 0. */
function play(
  policy: RetryPolicy,
  answer: Answer = FAILS,
  random: () => number = () => 0.5,
): { atMs: number[]; end: NextStep } {
  const atMs = [0];
  for (let attempt = 1; ; attempt++) {
    const startedAtMs = atMs.at(-1) ?? 0;
    const { takesMs = 0, ...result } = answer(attempt, startedAtMs);
    const deadlineAtMs = deadlineOf(policy, 0);
    const nowMs = startedAtMs + takesMs;
    const end = decideNext(anAttempt({ attempt, policy, nowMs, deadlineAtMs, random: random(), ...result }));
    if (end.kind !== 'retry') return { atMs, end };
    atMs.push(end.atMs);
  }
}

const secondsOf = ({ atMs }: { readonly atMs: readonly number[] }): number[] => atMs.map((at) => at / 1000);

const statuses = fc.constantFrom(404, 408, 425, 429, 500, 502, 503, 599);
const delays = fc.integer({ min: 1, max: 86_400 });
const policies: fc.Arbitrary<RetryPolicy> = fc.record(
  {
    delaysSeconds: fc.array(delays, { minLength: 1, maxLength: 20 }),
    whenExhausted: fc.constantFrom('repeat-last', 'stop'),
    maxAttempts: fc.integer({ min: 1, max: 1000 }),
    deadlineSeconds: fc.integer({ min: 60, max: 86_400 }),
    jitter: fc.double({ min: 0, max: 0.5, noNaN: true }),
    floorsSeconds: fc.dictionary(fc.oneof(statuses.map(String), fc.constantFrom('4xx', '5xx')), delays),
  },
  { requiredKeys: ['delaysSeconds', 'whenExhausted', 'deadlineSeconds', 'jitter', 'floorsSeconds'] },
);
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
  test('moves forward and never plans an attempt after the deadline, nor one too many', () => {
    fc.assert(
      fc.property(policies, fc.array(randoms, { minLength: 1 }), statuses, (policy, sequence, status) => {
        fc.pre(policy.deadlineSeconds / Math.min(...policy.delaysSeconds) < 5000);
        let i = 0;
        const played = play(
          policy,
          () => ({ status }),
          () => sequence[i++ % sequence.length] ?? 0,
        );
        played.atMs.slice(1).forEach((at, k) => {
          expect(at).toBeGreaterThan(played.atMs[k] ?? Infinity);
        });
        expect(played.atMs.at(-1)).toBeLessThanOrEqual(policy.deadlineSeconds * 1000);
        expect(played.atMs.length).toBeLessThanOrEqual(policy.maxAttempts ?? Infinity);
        expect(played.end.kind).toBe('dead');
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

  test('ends as exhausted with the last attempt that is permitted, counted from a redelivery', () => {
    const policy: RetryPolicy = { ...exact, maxAttempts: 3 };
    const exhausted = { kind: 'dead', reason: 'attempts_exhausted' };
    expect(decideNext(anAttempt({ policy, attempt: 2 }))).toMatchObject({ kind: 'retry' });
    expect(decideNext(anAttempt({ policy, attempt: 3 }))).toEqual(exhausted);
    expect(decideNext(anAttempt({ policy, attempt: 14, firstAttempt: 13 }))).toMatchObject({ kind: 'retry' });
    expect(decideNext(anAttempt({ policy, attempt: 15, firstAttempt: 13 }))).toEqual(exhausted);
    expect(decideNext(anAttempt({ policy: { ...exact, maxAttempts: 1 } }))).toEqual(exhausted);
  });

  test('waits at least as long as the floor of the status, of its hundred otherwise', () => {
    const policy: RetryPolicy = { ...exact, floorsSeconds: { 503: 45, '5xx': 20 } };
    const waited = (result: Partial<AttemptResult>) => decideNext(anAttempt({ policy, ...result }));
    expect(waited({ status: 503 })).toEqual({ kind: 'retry', atMs: 1_045_000 });
    expect(waited({ status: 502 })).toEqual({ kind: 'retry', atMs: 1_020_000 });
    expect(waited({ status: 404 })).toEqual({ kind: 'retry', atMs: 1_010_000 });
    expect(waited({})).toEqual({ kind: 'retry', atMs: 1_010_000 });
    expect(waited({ status: 503, attempt: 5 })).toEqual({ kind: 'retry', atMs: 1_600_000 });
    expect(waited({ status: 503, retryAfter: '50' })).toEqual({ kind: 'retry', atMs: 1_050_000 });
    expect(waited({ status: 503, retryAfter: '5' })).toEqual({ kind: 'retry', atMs: 1_045_000 });
  });

  test('never waits less than schedule, floor and sink each ask for', () => {
    fc.assert(
      fc.property(policies, statuses, randoms, fc.nat(86_400), (policy, status, random, asked) => {
        const next = decideNext(anAttempt({ policy, status, random, retryAfter: String(asked) }));
        fc.pre(next.kind === 'retry');
        const waitedMs = next.atMs - 1_000_000;
        const floor = policy.floorsSeconds[status] ?? policy.floorsSeconds[`${String(status).charAt(0)}xx`] ?? 0;
        const scheduledMs = retryDelayMs(policy, 1, random) ?? 0;
        expect(waitedMs).toBeGreaterThanOrEqual(Math.max(scheduledMs, floor * 1000, asked * 1000));
        const spread = 1 + policy.jitter;
        expect(waitedMs).toBeLessThanOrEqual(
          Math.ceil(Math.max(scheduledMs, floor * 1000 * spread, asked * 1000 * spread)),
        );
      }),
    );
  });

  test.each(['120', 'Thu, 01 Jan 1970 00:18:40 GMT', 'Thursday, 01-Jan-70 00:18:40 GMT', 'Thu Jan  1 00:18:40 1970'])(
    'keeps to the Retry-After "%s" of a 429, a 503 and any other 5xx (WH-5)',
    (retryAfter) => {
      for (const status of [429, 500, 502, 503, 504]) {
        const outcome = classify({ kind: 'response', status, retryAfter });
        expect(decideNext(anAttempt({ outcome, status, retryAfter }))).toEqual({ kind: 'retry', atMs: 1_120_000 });
      }
    },
  );

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

describe('a second try', () => {
  const refused = { outcome: 'permanent', hasSecondTry: true } as const;

  test('follows at once, whatever the schedule', () => {
    expect(decideNext(anAttempt(refused))).toEqual({ kind: 'retry', atMs: 1_000_000 });
    expect(decideNext(anAttempt({ ...refused, outcome: 'retryable' }))).toEqual({ kind: 'retry', atMs: 1_000_000 });
    expect(decideNext(anAttempt({ ...refused, hasSecondTry: false }))).toEqual({
      kind: 'dead',
      reason: 'rejected_by_sink',
    });
  });

  test('uses up no delay, so that the schedule begins at its beginning', () => {
    const afterIt = anAttempt({ attempt: 2, secondTries: 1 });
    expect(decideNext(afterIt)).toEqual({ kind: 'retry', atMs: 1_010_000 });
    const stop: RetryPolicy = { ...exact, delaysSeconds: [1], whenExhausted: 'stop' };
    expect(play(stop, (attempt) => (attempt === 1 ? refused : { secondTries: 1 }))).toEqual({
      atMs: [0, 0, 1000],
      end: { kind: 'dead', reason: 'attempts_exhausted' },
    });
  });

  test('is not made when it is one attempt too many, or too late', () => {
    const rejected = { kind: 'dead', reason: 'rejected_by_sink' };
    expect(decideNext(anAttempt({ ...refused, policy: { ...exact, maxAttempts: 1 } }))).toEqual(rejected);
    expect(decideNext(anAttempt({ ...refused, deadlineAtMs: 999_999 }))).toEqual(rejected);
    expect(decideNext(anAttempt({ ...refused, expiresAtMs: 1_000_000 }))).toEqual(rejected);
  });
});

describe('an event that expires', () => {
  const expired = { kind: 'dead', reason: 'event_expired' };

  test('is not sent at its expirytime nor after it (CloudEvents expirytime)', () => {
    expect(decideNext(anAttempt({ expiresAtMs: 1_010_000 }))).toEqual(expired);
    expect(decideNext(anAttempt({ expiresAtMs: 1_010_001 }))).toEqual({ kind: 'retry', atMs: 1_010_000 });
  });

  test('ends for the limit that comes first', () => {
    const retryAfter = String(2 * 86_400);
    expect(decideNext(anAttempt({ retryAfter, expiresAtMs: 5_000_000 }))).toEqual(expired);
    expect(decideNext(anAttempt({ retryAfter, expiresAtMs: 1_000_000 + 86_400_001 }))).toEqual({
      kind: 'dead',
      reason: 'deadline_passed',
    });
  });

  test('is tried as long as it is worth something', () => {
    const played = play(exact, () => ({ expiresAtMs: 1_000_000 }));
    expect(secondsOf(played)).toEqual([0, 10, 40, 100, 400]);
    expect(played.end).toEqual(expired);
  });

  test('is not carried over its expiry by the spread of a Retry-After', () => {
    const next = decideNext(
      anAttempt({ policy: DEFAULT_RETRY_POLICY, random: 0.9, retryAfter: '100', expiresAtMs: 1_100_001 }),
    );
    expect(next).toEqual({ kind: 'retry', atMs: 1_100_000 });
  });
});

describe('24 hours of the default schedule (D7)', () => {
  const passed = { kind: 'dead', reason: 'deadline_passed' };

  test('are played to the second', () => {
    const played = play(exact);
    expect(secondsOf(played)).toEqual([0, 10, 40, 100, 400, 1000, 2800, 6400, 17_200, 38_800, 60_400, 82_000]);
    expect(played.end).toEqual(passed);
  });

  test('are the table of docs/retries.md', () => {
    const row = /^\| after +\|(.+)\|$/m.exec(readFileSync('docs/retries.md', 'utf8'))?.[1] ?? '';
    const unit = { h: 3600, min: 60, s: 1 } as const;
    const shown = row
      .split('|')
      .map((cell) =>
        [...cell.matchAll(/(\d+) (h|min|s)/g)].reduce(
          (sum, [, n, name]) => sum + Number(n) * unit[name as keyof typeof unit],
          0,
        ),
      );
    expect(shown).toEqual(secondsOf(play(exact)));
  });

  test('count each delay from the end of the attempt before, so a sink that hangs for 15 s shifts them', () => {
    const played = play(exact, () => ({ takesMs: 15_000 }));
    expect(secondsOf(played)).toEqual([0, 25, 70, 145, 460, 1075, 2890, 6505, 17_320, 38_935, 60_550, 82_165]);
    expect(played.end).toEqual(passed);
  });

  test('begin slower with a sink that is away for maintenance: the floor of 503', () => {
    const played = play(exact, () => ({ status: 503 }));
    expect(secondsOf(played)).toEqual([0, 30, 60, 120, 420, 1020, 2820, 6420, 17_220, 38_820, 60_420, 82_020]);
    expect(played.end).toEqual(passed);
  });

  test.each([
    [408, 30],
    [429, 30],
    [503, 30],
    [500, 10],
    [404, 10],
  ])('wait after a first %d for %d s', (status, expected) => {
    expect(decideNext(anAttempt({ status }))).toEqual({ kind: 'retry', atMs: 1_000_000 + expected * 1000 });
  });

  test('go on where they were after a Retry-After', () => {
    const played = play(exact, (attempt) => (attempt === 3 ? { status: 503, retryAfter: '7200' } : {}));
    expect(secondsOf(played)).toEqual([0, 10, 40, 7240, 7540, 8140, 9940, 13_540, 24_340, 45_940, 67_540]);
    expect(played.end).toEqual(passed);
  });

  test('have their attempts within 20 % of the plan with jitter, whatever chance does', () => {
    const planned = secondsOf(play(exact));
    fc.assert(
      fc.property(fc.array(randoms, { minLength: 12, maxLength: 12 }), (sequence) => {
        let i = 0;
        const played = play(DEFAULT_RETRY_POLICY, FAILS, () => sequence[i++] ?? 0);
        secondsOf(played).forEach((at, k) => {
          const plan = planned[k] ?? 82_000 + 21_600;
          expect(at).toBeGreaterThanOrEqual(plan * 0.8 - 1);
          expect(at).toBeLessThanOrEqual(Math.min(86_400, plan * 1.2 + 1));
        });
        expect(played.atMs.length).toBeGreaterThanOrEqual(11);
        expect(played.atMs.length).toBeLessThanOrEqual(14);
        expect(played.end).toEqual(passed);
      }),
    );
  });
});
