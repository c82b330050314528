import { describe, expect, test } from '@jest/globals';
import { BusUnavailable } from './bus-errors.ts';
import { makeSharedRead, reachEnd } from './follow.ts';

describe('makeSharedRead', () => {
  test('shares one read among all who come while another is under way, and never that other one', async () => {
    const reads: PromiseWithResolvers<number>[] = [];
    const read = makeSharedRead(() => {
      const next = Promise.withResolvers<number>();
      reads.push(next);
      return next.promise;
    });
    const first = read();
    const second = read();
    const third = read();
    expect(reads).toHaveLength(1);
    reads[0]?.resolve(1);
    expect(await first).toBe(1);
    await Promise.resolve();
    expect(reads).toHaveLength(2);
    reads[1]?.resolve(2);
    expect(await Promise.all([second, third])).toEqual([2, 2]);
  });

  test('reads again after a failure', async () => {
    let calls = 0;
    const read = makeSharedRead(() => (calls++ === 0 ? Promise.reject(new Error('no leader')) : Promise.resolve(7)));
    const [first, second] = [read(), read()];
    await expect(first).rejects.toThrow('no leader');
    expect(await second).toBe(7);
  });
});

describe('reachEnd', () => {
  function behind(...tries: (() => Promise<void>)[]) {
    const warned: [object, string][] = [];
    const catchUp = () => tries.shift()?.() ?? Promise.resolve();
    const quiet = (): void => undefined;
    const logger = {
      debug: quiet,
      info: quiet,
      warn: (fields: object, message: string) => void warned.push([fields, message]),
      error: quiet,
    };
    return { warned, reached: reachEnd({ catchUp, position: () => 7 }, logger, 'still waiting') };
  }

  const late = () => Promise.reject(new BusUnavailable('not yet'));

  test('goes on after every try that was not in time, and says so each time', async () => {
    const { reached, warned } = behind(late, late);
    await reached;
    expect(warned).toEqual(Array(2).fill([{ position: 7 }, 'still waiting']));
  });

  test('does not go on after anything else', async () => {
    const { reached, warned } = behind(() => Promise.reject(new TypeError('a mistake')));
    await expect(reached).rejects.toThrow('a mistake');
    expect(warned).toEqual([]);
  });
});
