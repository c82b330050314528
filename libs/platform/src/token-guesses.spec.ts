import { beforeEach, describe, expect, test } from '@jest/globals';
import { makeTokenGuesses, WINDOW_MS, type TokenGuesses } from './token-guesses.ts';

const GUESSES_PER_WINDOW = 20;

let nowMs = 0;
let guesses: TokenGuesses;

beforeEach(() => {
  nowMs = 1_000;
  guesses = makeTokenGuesses(() => nowMs, GUESSES_PER_WINDOW);
});

function fail(address: string, times: number): void {
  for (let i = 0; i < times; i++) guesses.failed(address);
}

describe('wrong credentials', () => {
  test('below the limit nobody waits', () => {
    fail('192.0.2.1', GUESSES_PER_WINDOW - 1);
    expect(guesses.waitMs('192.0.2.1')).toBe(0);
  });

  test('at the limit the address waits for the rest of the window, and nobody else does', () => {
    fail('192.0.2.1', 1);
    nowMs += 10_000;
    fail('192.0.2.1', GUESSES_PER_WINDOW - 1);
    expect(guesses.waitMs('192.0.2.1')).toBe(WINDOW_MS - 10_000);
    expect(guesses.waitMs('192.0.2.2')).toBe(0);
  });

  test('the window ends by itself, and the next one counts from nothing', () => {
    fail('192.0.2.1', GUESSES_PER_WINDOW);
    nowMs += WINDOW_MS;
    expect(guesses.waitMs('192.0.2.1')).toBe(0);
    fail('192.0.2.1', GUESSES_PER_WINDOW - 1);
    expect(guesses.waitMs('192.0.2.1')).toBe(0);
  });

  test.each([
    ['2001:db8:1:2::1', '2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:3::1'],
    ['2001:db8::', '2001:db8:0:0:1::', '2001:db8:0:1::'],
    ['::ffff:192.0.2.1', '192.0.2.1', '::ffff:192.0.2.2'],
    ['::ffff:c000:201', '::ffff:192.0.2.1', '192.0.2.2'],
    ['fe80::1%eth0', 'fe80::2%eth0', 'fe80:0:0:1::1%eth0'],
    ['192.0.2.1:50001', '192.0.2.1:50002', '192.0.2.2:50001'],
    ['[2001:db8:1:2::1]:50001', '2001:db8:1:2::2', '[2001:db8:1:3::1]:50001'],
    ['unknown', 'unknown', '_hidden'],
  ])(
    '%s and %s are one client, which has all addresses of its /64 and all ports, and %s is another',
    (one, same, other) => {
      fail(one, GUESSES_PER_WINDOW);
      expect(guesses.waitMs(same)).toBe(WINDOW_MS);
      expect(guesses.waitMs(other)).toBe(0);
    },
  );

  test('a clock that is set back does not make the window longer', () => {
    nowMs = 86_400_000;
    fail('192.0.2.1', GUESSES_PER_WINDOW);
    nowMs = 1_000;
    expect(guesses.waitMs('192.0.2.1')).toBe(0);
    fail('192.0.2.1', GUESSES_PER_WINDOW);
    expect(guesses.waitMs('192.0.2.1')).toBe(WINDOW_MS);
  });

  test('memory is bounded: with very many addresses the oldest windows are forgotten', () => {
    fail('192.0.2.1', GUESSES_PER_WINDOW);
    for (let i = 0; i < 65_535; i++) guesses.failed(`10.0.${i >> 8}.${i & 255}`);
    expect(guesses.waitMs('192.0.2.1')).toBeGreaterThan(0);
    guesses.failed('192.0.2.99');
    expect(guesses.waitMs('192.0.2.1')).toBe(0);
  });
});
