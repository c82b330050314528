import { describe, expect, test } from '@jest/globals';
import { makeInTurn } from './in-turn.ts';

describe('in turn', () => {
  test('runs work on one key in order and never at once', async () => {
    const inTurn = makeInTurn();
    const seen: string[] = [];
    const work = (name: string) => async () => {
      seen.push(`${name} begins`);
      await Promise.resolve();
      seen.push(`${name} ends`);
      return name;
    };
    expect(await Promise.all([inTurn('k', work('a')), inTurn('k', work('b'))])).toEqual(['a', 'b']);
    expect(seen).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  test('goes on after a failure, which only its own caller sees', async () => {
    const inTurn = makeInTurn();
    const failing = inTurn('k', () => Promise.reject(new Error('no')));
    const next = inTurn('k', () => Promise.resolve(1));
    await expect(failing).rejects.toThrow('no');
    expect(await next).toBe(1);
  });

  test('does not hold up another key', async () => {
    const inTurn = makeInTurn();
    let release = (): void => undefined;
    const held = inTurn('a', () => new Promise<void>((resolve) => (release = resolve)));
    expect(await inTurn('b', () => Promise.resolve(2))).toBe(2);
    release();
    await held;
  });
});
