import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fieldLines, fieldValue } from './http-message.ts';
import { parseDraft05 } from './http-signatures-draft05.ts';

describe('the lines of a field', () => {
  test('are trimmed, and obsolete folds become one blank (RFC 9421 2.1)', () => {
    const text = fc.string({ unit: fc.constantFrom(' ', '\t', '\r\n', '\n', 'a', 'b') });
    fc.assert(
      fc.property(text, (value) => {
        const [line] = fieldLines([['X', value]], 'x');
        expect(line).toBe(value.replace(/[ \t]*\r?\n[ \t]+/g, ' ').replace(/^[ \t]+|[ \t]+$/g, ''));
      }),
      { numRuns: 1000 },
    );
    expect(
      fieldValue(
        [
          ['x', ' a\r\n  b '],
          ['y', ''],
          ['X', 'c  d'],
        ],
        'x',
      ),
    ).toBe('a b, c  d');
  });

  // Whoever sends a request writes its headers. These take minutes if a pattern goes back at each blank, and the runner ends that.
  test.each([
    ['blanks', 'signature', `a${' '.repeat(15_000)}b`],
    ['blanks in a list', 'signature-input', `a=("x"${' '.repeat(15_000)}y)`],
    ['lists that do not end', 'signature', '('.repeat(15_000)],
    ['strings that do not end', 'signature-input', `${'"a"'.repeat(5_000)}"`],
  ])('are read once, whatever is in them: %s', async (_, name, value) => {
    for (let i = 0; i < 500; i++) {
      expect(fieldValue([[name, value]], name)).toBe(value);
      expect(
        parseDraft05([
          ['signature', 'a=:AAAA:'],
          ['signature-input', 'a=()'],
          [name, value],
        ]),
      ).toBeDefined();
      await setImmediate();
    }
  });
});
