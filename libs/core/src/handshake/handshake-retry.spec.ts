import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nextAskAtMs } from './handshake-retry.ts';

describe('a sink that could not be asked', () => {
  test('is asked again after 2, 5, 15, 30 and then 60 seconds', () => {
    const waits = [1, 2, 3, 4, 5, 6, 99].map((ask) => nextAskAtMs(ask, { nowMs: 0, deadlineAtMs: Infinity }));
    expect(waits).toEqual([2_000, 5_000, 15_000, 30_000, 60_000, 60_000, 60_000]);
  });

  test('is asked not earlier than it wishes, and never after the deadline (WH-5, WH-16)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.nat(600_000),
        fc.nat(600_000),
        (ask, retryAfterMs, deadlineAtMs) => {
          const at = nextAskAtMs(ask, { nowMs: 1000, deadlineAtMs, retryAfterMs });
          if (at === undefined) return;
          expect(at).toBeGreaterThanOrEqual(1000 + retryAfterMs);
          expect(at).toBeLessThan(deadlineAtMs);
        },
      ),
    );
  });
});
