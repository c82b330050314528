import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseHttpDate, parseRetryAfter } from './retry-after.ts';

const NOW = Date.UTC(2015, 9, 21, 7, 0, 0);

const vectors = JSON.parse(readFileSync('test/vectors/webhook-handshake-and-delivery.json', 'utf8')) as {
  retryAfter: { value: string; seconds?: number; httpDate?: boolean; invalid?: boolean; note?: string }[];
};

describe('parseRetryAfter', () => {
  // "120.5" is invalid by the letter; like svix we round it up, because a sink that sends it means it (WH-5).
  test.each(vectors.retryAfter.filter(({ value }) => value !== '120.5'))('reads "$value" (WH-5)', (vector) => {
    const expected = vector.invalid ? undefined : vector.httpDate ? 28 * 60_000 : (vector.seconds ?? 0) * 1000;
    expect(parseRetryAfter(vector.value, NOW)).toBe(expected);
  });

  test.each([
    ['120.5', 121_000],
    ['0.001', 1000],
    [' 30 ', 30_000],
    ['Wed, 21 Oct 2015 06:00:00 GMT', 0],
    ['Sun Nov  1 00:00:00 2015', 10 * 86_400_000 + 17 * 3_600_000],
  ])('reads "%s" as %d ms, never earlier than asked (WH-5)', (value, expected) => {
    expect(parseRetryAfter(value, NOW)).toBe(expected);
  });

  test.each([
    '',
    '-1',
    '+1',
    '1e3',
    '0x10',
    '1,2',
    '5 seconds',
    'Infinity',
    'NaN',
    '2015-10-21T07:28:00Z',
    'Wed, 21 Oct 2015 07:28:00 CET',
    'Wed, 31 Feb 2015 07:28:00 GMT',
    'Wed, 21 Oct 2015 24:00:00 GMT',
    'wed, 21 oct 2015 07:28:00 gmt',
  ])('ignores "%s" (WH-5)', (value) => {
    expect(parseRetryAfter(value, NOW)).toBeUndefined();
  });

  test('stays a number however large the wish', () => {
    const waited = parseRetryAfter('9'.repeat(400), NOW);
    expect(waited).toBeGreaterThan(86_400_000);
    expect(Number.isSafeInteger(waited)).toBe(true);
  });
});

describe('parseHttpDate', () => {
  const instants = fc.integer({ min: 0, max: Date.UTC(2100, 0, 1) / 1000 }).map((seconds) => seconds * 1000);

  test('agrees with the calendar in all three forms (RFC 9110 5.6.7)', () => {
    fc.assert(
      fc.property(instants, (atMs) => {
        const fixdate = new Date(atMs).toUTCString();
        const [, day = '', month = '', year = '', time = ''] = fixdate.split(' ');
        const asctime = `${fixdate.slice(0, 3)} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`;
        expect(parseHttpDate(fixdate, NOW)).toBe(atMs);
        expect(parseHttpDate(asctime, NOW)).toBe(atMs);
        expect(parseHttpDate(`Monday, ${day}-${month}-${year.slice(2)} ${time} GMT`, atMs)).toBe(atMs);
      }),
    );
  });

  test('takes a two-digit year more than 50 years ahead for the past (RFC 9110 5.6.7)', () => {
    expect(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT', NOW)).toBe(Date.UTC(1994, 10, 6, 8, 49, 37));
    expect(parseHttpDate('Sunday, 06-Nov-64 08:49:37 GMT', NOW)).toBe(Date.UTC(2064, 10, 6, 8, 49, 37));
    expect(parseHttpDate('Sunday, 06-Nov-05 08:49:37 GMT', Date.UTC(2095, 0, 1))).toBe(
      Date.UTC(2105, 10, 6, 8, 49, 37),
    );
  });
});
