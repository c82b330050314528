import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ExactNumber, readJsonData, valueAt, type JsonValue } from './json-data.ts';

function read(text: string): JsonValue | undefined {
  return readJsonData({ form: 'json', bytes: new TextEncoder().encode(text) });
}

type Reviver = (key: string, value: unknown, context: { readonly source: string }) => unknown;

/** As the language reads it, with the digits of long numbers. */
function readByReviver(text: string): unknown {
  const keepDigits: Reviver = (_key, value, { source }) =>
    typeof value === 'number' && /.{16}|[eE]/.test(source) ? new ExactNumber(source) : value;
  return JSON.parse(text, keepDigits as never);
}

describe('data with long numbers', () => {
  test('is read as any other, but for their digits (JF-9)', () => {
    const odd = fc.constantFrom(
      ' { "a" : [ ] , "b" : { } , "a" : -0 } ',
      '{"__proto__":{"x":1},"":"\\u0041\\"\\\\","2":true,"1":[null,false]}',
      '"12345678901234567890"',
      '\t-1.5E+3\n',
    );
    fc.assert(
      fc.property(fc.oneof(fc.json(), odd), (json) => {
        const text = `[9007199254740993,${json}]`;
        expect(JSON.stringify(read(text))).toBe(JSON.stringify(readByReviver(text)));
      }),
    );
  });

  test('is read however deep it is', () => {
    const value = read(`{"state":"paid","id":9007199254740993,"deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
    expect(valueAt(value, ['state'])).toBe('paid');
    expect(valueAt(value, ['id'])).toEqual(new ExactNumber('9007199254740993'));
    expect(valueAt(value, ['deep', '0', '0'])).toBeInstanceOf(Array);
  });
});
