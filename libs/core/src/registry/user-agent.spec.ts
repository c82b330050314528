import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isUserAgent } from './user-agent.ts';

describe('a User-Agent (RFC 9110 10.1.5)', () => {
  test.each([
    'Acme',
    'Acme/1.0',
    'Acme-Hooks/1.0 (+https://acme.example/hooks)',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)',
    'A/1 (a (nested (one)) b) B',
    String.raw`A/1 (an escaped \) and \\)`,
    'A/1  (two blanks)   B/2',
    'A ()',
  ])('is %s', (text) => {
    expect(isUserAgent(text)).toBe(true);
  });

  test.each([
    ['nothing', ''],
    ['a comment first', '(only) A/1'],
    ['a blank first', ' A/1'],
    ['a blank last', 'A/1 '],
    ['no product version', 'A/'],
    ['two versions', 'A/1/2'],
    ['no blank before a comment', 'A/1(b)'],
    ['an open comment', 'A/1 (b'],
    ['a comment open after an escape', String.raw`A/1 (b\)`],
    ['a comment that ends twice', 'A/1 (b))'],
    ['what is no token', 'A/1 "b"'],
    ['a backslash outside of comments', String.raw`A \B`],
    ['a line break', 'A/1\r\nX-Injected: 1'],
    ['a tab', 'A/1\t(b)'],
    ['letters outside of ASCII', 'Äcme/1'],
    ['such in a comment', 'A/1 (ä)'],
  ])('is not with %s', (_, text) => {
    expect(isUserAgent(text)).toBe(false);
  });

  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/);
  const product = fc.oneof(
    token,
    fc.tuple(token, token).map(([name, version]) => `${name}/${version}`),
  );
  const { comment } = fc.letrec<{ comment: string; part: string }>((tie) => ({
    comment: fc.array(tie('part'), { maxLength: 3 }).map((parts) => `(${parts.join('')})`),
    part: fc.oneof(
      { maxDepth: 3 },
      fc.stringMatching(/^[\x20-\x27\x2a-\x5b\x5d-\x7e]{0,6}$/),
      fc.stringMatching(/^\\[\x20-\x7e]$/),
      tie('comment'),
    ),
  }));

  test('is whatever the grammar makes', () => {
    const parts = fc.array(fc.tuple(fc.constantFrom(' ', '  '), fc.oneof(product, comment)), { maxLength: 4 });
    fc.assert(
      fc.property(product, parts, (first, more) => {
        expect(isUserAgent(first + more.map((part) => part.join('')).join(''))).toBe(true);
      }),
    );
  });
});
