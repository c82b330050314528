import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeKeyRates } from './key-rates.ts';

describe('the rate of an API key', () => {
  test('a burst of one second passes, then one at a time', () => {
    let nowMs = 0;
    const rates = makeKeyRates(() => nowMs);
    const taken = Array.from({ length: 12 }, () => rates.take('key_1', 600));
    expect(taken).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 100]);
    nowMs += 100;
    expect([rates.take('key_1', 600), rates.take('key_1', 600)]).toEqual([0, 100]);
  });

  test('another key has a budget of its own', () => {
    const rates = makeKeyRates(() => 0);
    expect([rates.take('key_1', 1), rates.take('key_1', 1), rates.take('key_2', 1)]).toEqual([0, 60_000, 0]);
  });

  test('whatever the arrivals, a minute never sees more than the rate and one burst', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6_000 }),
        fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 500 }),
        (requestsPerMinute, gapsMs) => {
          let nowMs = 0;
          const rates = makeKeyRates(() => nowMs);
          const passed: number[] = [];
          for (const gap of gapsMs) {
            nowMs += gap;
            if (rates.take('key_1', requestsPerMinute) === 0) passed.push(nowMs);
          }
          const burst = Math.max(1, requestsPerMinute / 60);
          for (const start of passed) {
            const within = passed.filter((at) => at >= start && at < start + 60_000).length;
            expect(within).toBeLessThanOrEqual(requestsPerMinute + burst);
          }
        },
      ),
    );
  });

  test('who is told to wait gets through after exactly that', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 3_000 }), (rate, requests) => {
        let nowMs = 0;
        const rates = makeKeyRates(() => nowMs);
        for (let i = 0; i < requests; i++) rates.take('key_1', rate);
        const waitMs = rates.take('key_1', rate);
        nowMs += Math.ceil(waitMs);
        if (waitMs > 0) expect(rates.take('key_1', rate)).toBe(0);
      }),
    );
  });

  test.each([1, 6_000])('at %d a minute a clock that is set back makes nobody wait for it', (rate) => {
    let nowMs = 86_400_000;
    const rates = makeKeyRates(() => nowMs);
    while (rates.take('key_1', rate) === 0);
    nowMs = 1_000;
    expect(rates.take('key_1', rate)).toBeLessThanOrEqual(60_000 / rate);
    nowMs += 60_000 / rate;
    expect(rates.take('key_1', rate)).toBe(0);
  });
});
