import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CATCH_UP_MS, makePace } from './pace.ts';

/** Starts as soon as the pace lets it, `lateMs` later each time. */
function startsOf(perMinute: number, lateMs: readonly number[]): readonly number[] {
  const pace = makePace(perMinute);
  let nowMs = 0;
  return lateMs.map((late) => {
    nowMs = Math.max(nowMs, pace.nextAtMs(nowMs)) + late;
    pace.started(nowMs);
    return nowMs;
  });
}

describe('a pace', () => {
  test('begins at once and then goes evenly', () => {
    expect(startsOf(60, [0, 0, 0, 0])).toEqual([0, 1000, 2000, 3000]);
  });

  test('makes up for a late timer, and for no more than that', () => {
    expect(startsOf(6_000, [0, 1, 1, 1])).toEqual([0, 11, 21, 31]);
    expect(startsOf(60, [0, 5_000, 0, 0])).toEqual([0, 6_000, 7_000 - CATCH_UP_MS, 8_000 - CATCH_UP_MS]);
  });

  test('never begins more in any window than it allows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60_000 }),
        fc.array(fc.oneof(fc.constant(0), fc.nat(5), fc.nat(10_000)), { minLength: 2, maxLength: 60 }),
        (perMinute, late) => {
          const starts = startsOf(perMinute, late);
          const distanceMs = 60_000 / perMinute;
          for (const [i, from] of starts.entries()) {
            for (const [j, to] of starts.entries()) {
              if (j < i) continue;
              expect(j - i + 1).toBeLessThanOrEqual(1 + (to - from + CATCH_UP_MS) / distanceMs + 1e-6);
            }
          }
        },
      ),
    );
  });

  test('goes on a distance after the clock was set back', () => {
    const pace = makePace(60);
    pace.started(3_600_000);
    expect(pace.nextAtMs(0)).toBe(1000);
    pace.started(1000);
    expect(pace.nextAtMs(1000)).toBe(2000);
  });
});
