import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { timestampToUnixMs } from './timestamp.ts';

describe('timestampToUnixMs', () => {
  test.each([
    ['1970-01-01T00:00:00Z', 0],
    ['1985-04-12T23:20:50.52Z', Date.UTC(1985, 3, 12, 23, 20, 50, 520)],
    ['1996-12-19T16:39:57-08:00', Date.UTC(1996, 11, 20, 0, 39, 57)],
    ['1937-01-01T12:00:27.87+00:20', Date.UTC(1937, 0, 1, 11, 40, 27, 870)],
    ['2018-04-05T17:31:00.000000000Z', Date.UTC(2018, 3, 5, 17, 31)],
    ['2018-04-05t17:31:00z', Date.UTC(2018, 3, 5, 17, 31)],
    ['2018-04-05T17:31:00-00:00', Date.UTC(2018, 3, 5, 17, 31)],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
    ['2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
    ['1990-12-31T23:59:60Z', Date.UTC(1991, 0, 1)],
    ['1990-12-31T15:59:60-08:00', Date.UTC(1991, 0, 1)],
  ])('reads %s as an instant (CE-9)', (text, unixMs) => {
    expect(timestampToUnixMs(text)).toBe(unixMs);
  });

  test.each([
    'lunchtime',
    '',
    '2018-04-05T18:31Z',
    '2018-04-05T18:31:00',
    '2018-04-05T18:31:00X',
    '2018-04-05T18:31:00+05',
    '2018-04-05T18:31:00+0530',
    '2018-04-05T18:31:00+25:00',
    '2018-04-05T18:31:00+05:60',
    '2018-04-05T18:31:00+xx:00',
    '2018-04-05 18:31:00Z',
    '2018-04-05T18:31:00.Z',
    '2018-04-05T18:31:00,5Z',
    '2018-04-05T24:00:00Z',
    '2018-04-05T18:60:00Z',
    '2018-04-05T18:31:61Z',
    '2018-04-05T18:31:60Z',
    '2018-04-31T18:31:00Z',
    '2018-00-05T18:31:00Z',
    '2018-13-05T18:31:00Z',
    '2018-04-00T18:31:00Z',
    '2023-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '18-04-05T18:31:00Z',
    ' 2018-04-05T18:31:00Z',
    '2018-04-05T18:31:00Z\n',
    '２018-04-05T18:31:00Z',
  ])('refuses %j (CE-9)', (text) => {
    expect(timestampToUnixMs(text)).toBeUndefined();
  });

  test('agrees with Date on every instant that Date can write', () => {
    const years1To9999 = {
      min: new Date('0001-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59Z'),
      noInvalidDate: true,
    };
    fc.assert(
      fc.property(fc.date(years1To9999), (date) => {
        expect(timestampToUnixMs(date.toISOString())).toBe(date.getTime());
      }),
    );
  });
});
