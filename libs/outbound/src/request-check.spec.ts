import { describe, expect, test } from '@jest/globals';
import { makeRequestCheck } from './request-check.ts';

const check = makeRequestCheck({ maxRequestHeaderBytes: 20, maxRequestBytes: 10 });
const origin = 'https://sink.example:8443';

describe('makeRequestCheck', () => {
  test('lets through what is within the limits, to the byte', () => {
    expect(
      check({
        origin,
        headers: [
          ['abcde', '12345'],
          ['a', 'b'],
        ],
        body: new Uint8Array(10),
      }),
    ).toBeUndefined();
  });

  test('refuses for good what is larger, and says what and by how much', () => {
    expect(
      check({
        origin,
        headers: [
          ['abcde', '12345'],
          ['a', 'bc'],
        ],
        body: null,
      }),
    ).toEqual({
      kind: 'error',
      error: 'message_too_large',
      message: 'The headers have 21 bytes; at most 20 are sent.',
    });
    expect(check({ origin, headers: [], body: new Uint8Array(11) })).toEqual({
      kind: 'error',
      error: 'message_too_large',
      message: 'The body has 11 bytes; at most 10 are sent.',
    });
  });

  test.each([
    ['https://sink.example:8443', 'SINK.example:8443', true],
    ['https://sink.example:8443', 'sink.example', false],
    ['https://sink.example', 'sink.example', true],
    ['https://sink.example', 'other.example', false],
  ])('to %s takes the Host %s: %j', (to, host, isTaken) => {
    const refusal = makeRequestCheck({})({ origin: to, headers: [['hOsT', host]], body: null });
    expect(refusal === undefined).toBe(isTaken);
  });
});
