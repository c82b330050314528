import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as peer from 'structured-headers';
import { decodeBase64 } from '../event/base64.ts';
import { canonicalField, parseDictionary, parseItem, parseList } from './structured-fields.ts';

/** What the structured-headers package makes of a field, or `undefined` when it refuses it. */
function peerCanonical(text: string, type: 'dictionary' | 'list' | 'item'): string | undefined {
  try {
    if (type === 'dictionary') return peer.serializeDictionary(peer.parseDictionary(text));
    return type === 'list' ? peer.serializeList(peer.parseList(text)) : peer.serializeItem(peer.parseItem(text));
  } catch {
    return undefined;
  }
}

/** Texts that are nearly structured fields: whole ones and their debris. */
const pieces = fc.constantFrom(
  'a',
  'b*',
  'A',
  '_x',
  '=',
  ';',
  ',',
  ' ',
  '  ',
  '\t',
  '(',
  ')',
  '"',
  '\\',
  '"s"',
  '"\\""',
  '?1',
  '?0',
  '?2',
  ':',
  ':AAAA:',
  ':A:',
  '1',
  '-1',
  '1.5',
  '1.',
  '-',
  '.5',
  '999999999999999',
  '1000000000000000',
  '123456789012.345',
  'tok/en',
  '*t',
  'é',
);
const nearly = fc
  .array(pieces, { maxLength: 12 })
  .map((parts) => parts.join(''))
  .filter((text) => !hasLooseBase64(text));

/** Base64 without its padding, or with bits left over: the package repairs it, we refuse it. */
function hasLooseBase64(text: string): boolean {
  return /:/.test(text) && [...text.matchAll(/(?<=:)[^:]*(?=:)/g)].some(([part]) => decodeBase64(part) === undefined);
}

describe('structured fields (RFC 8941)', () => {
  test.each(['dictionary', 'list', 'item'] as const)(
    'read and write a %s as the structured-headers package does',
    (type) => {
      fc.assert(
        fc.property(nearly, (text) => {
          expect(canonicalField(text, type)).toBe(peerCanonical(text, type));
        }),
        { numRuns: 20_000 },
      );
    },
  );

  test.each([
    ['  a=1,    b=2;x=1;y=2,   c=(a   b   c)', 'a=1, b=2;x=1;y=2, c=(a b c)'],
    ['a=?1, b;c=?1, d=?0', 'a, b;c, d=?0'],
    ['a=1, b=2, a=3', 'b=2, a=3'],
    ['', ''],
  ])('have one spelling: "%s" (RFC 9421 2.1.1)', (text, canonical) => {
    expect(canonicalField(text, 'dictionary')).toBe(canonical);
  });

  test.each(['a=1,', 'a=1 b=2', 'a==1', 'a=(b', 'a=(b"c")', 'a="b', 'A=1', 'a=:é:'])('refuse "%s"', (text) => {
    expect(parseDictionary(text)).toBeUndefined();
  });

  test('refuse an unquoted nonce that begins with a digit (MS-2)', () => {
    expect(parseDictionary('sig1=("date");nonce=27fde337ab04852f23c8eccf3bc4e8a4')).toBeUndefined();
    expect(parseDictionary('sig1=("date");nonce="27fde337ab04852f23c8eccf3bc4e8a4"')).toBeDefined();
  });

  test('keep the bytes and the type of a value', () => {
    expect(parseItem(':AQI=:;a')).toMatchObject({ bare: { type: 'bytes', value: Uint8Array.of(1, 2) } });
    expect(parseList('1, 1.0, "1", t1')?.map((one) => (one.kind === 'item' ? one.bare.type : ''))).toEqual([
      'integer',
      'decimal',
      'string',
      'token',
    ]);
  });
});
