import { describe, expect, test } from '@jest/globals';
import { holdUntilMs } from './hold.ts';

describe('a delivery that has to wait', () => {
  test('is looked at after 5 s, and then twice as long each time, up to a minute', () => {
    expect([0, 1, 2, 3, 4, 5, 99].map((holds) => holdUntilMs(holds, 0, 1e9) / 1000)).toEqual([
      5, 10, 20, 40, 60, 60, 60,
    ]);
  });

  test('is looked at right after its deadline', () => {
    expect(holdUntilMs(5, 1000, 2000)).toBe(2001);
    expect(holdUntilMs(0, 3000, 2000)).toBe(3000);
  });
});
