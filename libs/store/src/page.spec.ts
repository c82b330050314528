import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatCursor, pageLimit, parseCursor, toPage } from './page.ts';

describe('a cursor', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(fc.nat(), fc.string({ unit: 'grapheme' }), (atMs, text) => {
        const id = text.replaceAll('\0', '');
        expect(parseCursor(formatCursor({ atMs, id }))).toEqual({ atMs, id });
      }),
    );
  });

  test.each([
    '',
    'x',
    'W10',
    Buffer.from('[1,2]').toString('base64url'),
    Buffer.from('[1e99,"a"]').toString('base64url'),
    Buffer.from('[253402300800000,"a"]').toString('base64url'), // year 10000: Postgres can not read how it is written
    Buffer.from('[-1,"a"]').toString('base64url'),
  ])('is not made of %p', (text) => {
    expect(parseCursor(text)).toBeUndefined();
  });
});

describe('a page', () => {
  test('has 50 entries when nothing is said, and 250 at most', () => {
    expect([{}, { limit: 9999 }, { limit: 0 }].map(pageLimit)).toEqual([50, 250, 1]);
  });

  test('says that more follow exactly when there are more', () => {
    const keyOf = (n: number) => ({ atMs: n, id: 'x' });
    expect(toPage([3, 2, 1], 3, String, keyOf)).toEqual({ data: ['3', '2', '1'] });
    expect(toPage([4, 3, 2, 1], 3, String, keyOf)).toEqual({
      data: ['4', '3', '2'],
      next: formatCursor({ atMs: 2, id: 'x' }),
    });
  });
});
