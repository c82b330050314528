import { describe, expect, test } from '@jest/globals';
import { entityTag, ifMatch } from './entity-tag.ts';

describe('If-Match', () => {
  test.each<[string, boolean]>([
    ['"7"', true],
    ['"6", "7"', true],
    ['*', true],
    ['"6"', false],
    ['W/"7"', false],
    ['7', false],
    ['', false],
  ])('%s: the revision 7 matches %s', (header, matches) => {
    expect(ifMatch(header)?.(7)).toBe(matches);
  });

  test('asks nothing when it is not there', () => {
    expect(ifMatch(undefined)).toBeUndefined();
  });

  test('is answered by the tag of the same revision', () => {
    expect(ifMatch(entityTag(12))?.(12)).toBe(true);
  });
});
