import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeFairTurns, TurnsClosed, type FairTurnsOptions } from './fair-turns.ts';

/** Lets one piece end at a time, and writes down in which order they begin. */
function stage(options: FairTurnsOptions) {
  const turns = makeFairTurns(options);
  const begun: string[] = [];
  const underWay: PromiseWithResolvers<void>[] = [];
  async function endOne(failure?: Error): Promise<void> {
    const end = underWay.shift();
    if (failure === undefined) end?.resolve();
    else end?.reject(failure);
    await new Promise(setImmediate);
  }

  return {
    turns,
    begun,
    underWay,
    endOne,
    async endAll() {
      while (underWay.length > 0) await endOne();
    },
    run: (tenant: string, name: string, count: number) =>
      turns.run(tenant, count, (index) => {
        const end = Promise.withResolvers<void>();
        begun.push(`${name}${index}`);
        underWay.push(end);
        return end.promise;
      }),
  };
}

describe('fair turns', () => {
  test('a small fan-out that comes after a blocked large one of another tenant is begun next', async () => {
    const { run, begun, endOne } = stage({ maxUnderWay: 4 });
    void run('big', 'a', 10_000);
    void run('small', 'x', 1);
    expect(begun).toEqual(['a0', 'a1', 'a2', 'a3']);
    await endOne();
    await endOne();
    expect(begun.slice(4)).toContain('x0');
  });

  test('tenants take turns, and so do the events of one tenant', async () => {
    const { run, begun, endAll } = stage({ maxUnderWay: 1 });
    const all = [run('acme', 'a', 4), run('acme', 'b', 2), run('other', 'x', 3)];
    await endAll();
    await Promise.all(all);
    expect(begun).toEqual(['a0', 'a1', 'x0', 'b0', 'x1', 'a2', 'x2', 'b1', 'a3']);
  });

  test('only so many of a tenant take turns: the oldest end first', async () => {
    const { run, endAll } = stage({ maxUnderWay: 1, runsPerTenant: 2 });
    const ended: string[] = [];
    const runs = ['a', 'b', 'c', 'd'].map(async (name) => {
      await run('acme', name, 10);
      ended.push(name);
    });
    await endAll();
    await Promise.all(runs);
    expect(ended).toEqual(['a', 'b', 'c', 'd']);
  });

  test('begins every piece once, never more at a time than it may, and ends', async () => {
    const anyRun = fc.record({ tenant: fc.constantFrom('a', 'b', 'c'), count: fc.nat({ max: 30 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyRun, { maxLength: 20 }),
        fc.integer({ min: 1, max: 9 }),
        async (runs, maxUnderWay) => {
          const { run, begun, underWay, endOne } = stage({ maxUnderWay, runsPerTenant: 3 });
          const all = Promise.all(runs.map(({ tenant, count }, i) => run(tenant, `${i}:`, count)));
          while (underWay.length > 0) {
            expect(underWay.length).toBeLessThanOrEqual(maxUnderWay);
            await endOne();
          }
          await all;
          expect(begun.toSorted()).toEqual(
            runs.flatMap(({ count }, i) => Array.from({ length: count }, (_, index) => `${i}:${index}`)).toSorted(),
          );
        },
      ),
      { numRuns: 50 },
    );
  });

  test('a run that failed begins nothing more, and is told when what it had under way has ended', async () => {
    const { run, begun, endOne, endAll } = stage({ maxUnderWay: 2 });
    let told: unknown;
    const failed = run('acme', 'a', 100).catch((error: unknown) => (told = error));
    const other = run('acme', 'b', 3);
    await endOne(new Error('no leader'));
    expect(told).toBeUndefined();
    await endAll();
    await Promise.all([failed, other]);
    expect(told).toMatchObject({ message: 'no leader' });
    expect(begun.filter((name) => name.startsWith('a')).length).toBeLessThan(4);
    expect(begun).toContain('b2');
  });

  test('closed, it begins nothing more and gives back what is not complete', async () => {
    const { turns, run, begun, endAll } = stage({ maxUnderWay: 2 });
    const given = [run('acme', 'a', 100), run('acme', 'b', 1)].map((one) => expect(one).rejects.toThrow(TurnsClosed));
    turns.close();
    await endAll();
    await Promise.all(given);
    await expect(run('acme', 'c', 1)).rejects.toThrow(TurnsClosed);
    expect(begun).toEqual(['a0', 'a1']);
  });
});
