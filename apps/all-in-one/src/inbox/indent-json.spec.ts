import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { indentJson } from './indent-json.ts';

describe('indentJson', () => {
  test('leaves every token as it stands', () => {
    const text = '{"n":12345678901234567890,"d":1.10,"s":"a, \\"b\\": {}","e":{},"l":[1,[ ]]}';
    expect(indentJson(text)).toBe(
      [
        '{',
        '  "n": 12345678901234567890,',
        '  "d": 1.10,',
        '  "s": "a, \\"b\\": {}",',
        '  "e": {},',
        '  "l": [',
        '    1,',
        '    []',
        '  ]',
        '}',
      ].join('\n'),
    );
  });

  test('prints what JSON.stringify prints', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(indentJson(JSON.stringify(value))).toBe(JSON.stringify(value, undefined, 2));
      }),
    );
  });

  test.each(['', 'not json', '{"a":', '<p>'])('returns what is not JSON unchanged: %j', (text) => {
    expect(indentJson(text)).toBe(text);
  });
});
