import { expect, test } from '@jest/globals';
import { keepLatest } from './keep-latest.ts';

test('the entry that was set least recently has to go, and is told', () => {
  const map = new Map<string, number>();
  const dropped = (['a', 'b', 'a', 'c', 'a', 'd'] as const).map((key, i) => keepLatest(map, key, i, 2));
  expect(dropped).toEqual([undefined, undefined, undefined, 1, undefined, 3]);
  expect([...map]).toEqual([
    ['a', 4],
    ['d', 5],
  ]);
});
