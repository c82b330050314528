import { expect, test } from '@jest/globals';
import { atEndOfTurn, endOfTurn } from './end-of-turn.ts';

test('runs what was given in one turn together, in order, and not before the turn is over', async () => {
  const seen: string[] = [];
  atEndOfTurn(() => seen.push('first'));
  await Promise.resolve();
  atEndOfTurn(() => seen.push('second'));
  expect(seen).toEqual([]);
  await endOfTurn();
  expect(seen).toEqual(['first', 'second']);
});

test('leaves what is given while it runs to the next turn', async () => {
  const seen: string[] = [];
  atEndOfTurn(() => {
    seen.push('outer');
    atEndOfTurn(() => seen.push('inner'));
  });
  await endOfTurn();
  expect(seen).toEqual(['outer']);
  await endOfTurn();
  expect(seen).toEqual(['outer', 'inner']);
});
