import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makePace, startDistanceMs } from './pace.ts';

const MINUTE_MS = 60_000;

/** No 61st of 60: every closed minute that begins with a start. */
function expectNoMoreThan(rate: number, starts: readonly number[]): void {
  starts.forEach((atMs, i) => {
    const over = starts[i + rate];
    if (over !== undefined) expect(over - atMs).toBeGreaterThan(MINUTE_MS);
  });
}

describe('the pace of a rated lane', () => {
  test('never has more starts than the rate in any closed minute (WH-11, WH-17)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 600 }),
        fc.array(fc.nat({ max: 5000 }), { maxLength: 1500 }),
        (rate, delays) => {
          const pace = makePace();
          let nowMs = 0;
          const starts = delays.map((delayMs) => {
            nowMs = Math.max(nowMs + (delayMs % 7 === 0 ? delayMs : 0), pace.nextStartAtMs(rate, nowMs));
            pace.started(nowMs);
            return nowMs;
          });
          expectNoMoreThan(rate, starts);
        },
      ),
    );
  });

  test('holds for large rates, whatever the rounding', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), (rate) => {
        expect(startDistanceMs(rate) * rate).toBeGreaterThan(MINUTE_MS);
      }),
    );
  });

  test('holds across crashes: who takes over waits one distance first', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 120 }),
        fc.array(fc.record({ starts: fc.nat({ max: 150 }), quietMs: fc.nat({ max: 20_000 }) }), { maxLength: 6 }),
        (rate, holders) => {
          const starts: number[] = [];
          let nowMs = 0;
          for (const [i, { starts: count, quietMs }] of holders.entries()) {
            const pace = makePace(i === 0 ? undefined : nowMs);
            for (let n = 0; n < count; n++) {
              nowMs = Math.max(nowMs, pace.nextStartAtMs(rate, nowMs));
              pace.started(nowMs);
              starts.push(nowMs);
            }
            nowMs += quietMs;
          }
          expectNoMoreThan(rate, starts);
        },
      ),
    );
  });

  test('spreads evenly: 60 per minute are at least 1.01 s apart, and uses 99 % of the rate', () => {
    expect([1, 60, 600].map(startDistanceMs)).toEqual([60_600, 1010, 101]);
  });

  test('does not pace without a rate', () => {
    const pace = makePace(0);
    pace.started(5);
    expect(pace.nextStartAtMs(undefined, 5)).toBe(-Infinity);
  });

  test('waits a distance after the clock was set back, not until it is again what it was', () => {
    const pace = makePace();
    pace.started(3_600_000);
    expect(pace.nextStartAtMs(60, 0)).toBe(1010);
    expect(pace.nextStartAtMs(60, 1010)).toBe(1010);
    pace.started(1010);
    expect(pace.nextStartAtMs(60, 1010)).toBe(2020);
  });
});
