import { describe, expect, test } from '@jest/globals';
import { compileLike, likePrefix, likeSuffix } from './like.ts';

const isLike = (text: string, pattern: string) => compileLike(pattern)(text, { steps: 0 });

describe('LIKE (CQ-6)', () => {
  test.each([
    ['😀', '_', true],
    ['😀', '__', false],
    ['a😀b', 'a_b', true],
    ['ö', '_', true],
    ['a\nb', 'a_b', true],
    ['a\nb', 'a%b', true],
    ['abc', 'ABC', false],
    ['a.c', 'a_c', true],
    ['abc', 'a.c', false],
    ['', '%', true],
    ['', '', true],
    ['', '_', false],
    ['ab', '%%', true],
    ['aXbXc', 'a%b%c', true],
    ['abab', 'ab%ab', true],
    ['aba', 'ab%ba', false],
    ['abcbd', '%b_', true],
    ['aab', '%a_b%', true],
    ['ab', '%a_b%', false],
    ['xaab', '%_ab', true],
    ['50%', String.raw`50\%`, true],
    ['505', String.raw`50\%`, false],
    ['a_b', String.raw`a\_b`, true],
    ['axb', String.raw`a\_b`, false],
    [String.raw`a\b`, String.raw`a\b`, true],
    [String.raw`a\%`, String.raw`a\\%`, true],
    ['a', String.raw`a\\%`, false],
    ['x.*', '%.*', true],
    ['aaab', '%aab', true],
    ['mississippi', 'm%iss%ip%i', true],
    ['mississippi', 'm%ss%iss%iss%i', false],
  ])('%j LIKE %j is %s', (text, pattern, wanted) => expect(isLike(text, pattern)).toBe(wanted));

  test('takes linear time for patterns that kill regular expressions', () => {
    const startMs = performance.now();
    expect(isLike('a'.repeat(100_000), `${'%a'.repeat(1000)}%b`)).toBe(false);
    expect(isLike('a'.repeat(20_000), `${'%a_'.repeat(100)}%b`)).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(1000);
  });

  test('knows what every match starts and ends with', () => {
    expect(likePrefix('com.%')).toEqual({ text: 'com.', isAll: false });
    expect(likePrefix('com')).toEqual({ text: 'com', isAll: true });
    expect(likePrefix(String.raw`50\%_x`)).toEqual({ text: '50%', isAll: false });
    expect(likePrefix('%x')).toEqual({ text: '', isAll: false });
    expect([likeSuffix('%.ca'), likeSuffix('a_b'), likeSuffix('a%'), likeSuffix('abc')]).toEqual([
      '.ca',
      'b',
      '',
      'abc',
    ]);
  });
});
