import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts';

const vectors = JSON.parse(readFileSync('test/vectors/cloudevents/http-header-values.json', 'utf8')) as {
  encode: { value: string; header: string }[];
  decode: { header: string; value?: string; error?: boolean | null }[];
};
const decodable = vectors.decode.filter(({ error }) => error === undefined);
const undecodable = vectors.decode.filter(({ error }) => error === true);

describe('encodeHeaderValue', () => {
  test.each(vectors.encode)('writes $value as $header (HB-7)', ({ value, header }) => {
    expect(encodeHeaderValue(value)).toBe(header);
  });

  test('gives printable ASCII without space and quote for any Unicode (HB-7)', () => {
    fc.assert(fc.property(anyUnicode(), (text) => /^[\x21\x23-\x7e]*$/.test(encodeHeaderValue(text))));
  });
});

describe('decodeHeaderValue', () => {
  test.each(decodable)('reads $header as $value (HB-8)', ({ header, value }) => {
    expect(decodeHeaderValue(header)).toBe(value);
  });

  test.each(undecodable)('refuses $header (HB-8)', ({ header }) => {
    expect(decodeHeaderValue(header)).toBeUndefined();
  });

  test.each(['100%', '%4', '%zz', '%u20ac', '%F4%90%80%80', '%E2%82'])(
    'refuses the stray percent of %j (HB-8)',
    (header) => {
      expect(decodeHeaderValue(header)).toBeUndefined();
    },
  );

  test.each(['"open', '"a"b', 'a "b" c', 'x"', '"', '"a\\"'])(
    'keeps %j, which is no quoted string, as it is',
    (header) => {
      expect(decodeHeaderValue(header)).toBe(header);
    },
  );

  test('undoes every encoding (HB-7, HB-8)', () => {
    fc.assert(
      fc.property(anyUnicode(), (text) => {
        expect(decodeHeaderValue(encodeHeaderValue(text))).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  test('undoes a quoted string with percent-encoded content (HB-8)', () => {
    fc.assert(
      fc.property(anyUnicode(), (text) => {
        const quoted = `"${encodeHeaderValue(text).replaceAll('\\', '\\\\')}"`;
        expect(decodeHeaderValue(quoted)).toBe(text);
      }),
    );
  });
});

function anyUnicode(): fc.Arbitrary<string> {
  return fc.string({ unit: 'binary' });
}
