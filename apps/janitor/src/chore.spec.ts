import { describe, expect, test } from '@jest/globals';
import { startChore, type Timer } from './chore.ts';

function fakeTimer() {
  const waiting: { delayMs: number; tick: () => void }[] = [];
  const timer: Timer = {
    after(delayMs, tick) {
      const entry = { delayMs, tick };
      waiting.push(entry);
      return () => waiting.splice(waiting.indexOf(entry), 1);
    },
  };
  return { timer, waiting };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('startChore', () => {
  test('does a round at once, and the next when the time has come', async () => {
    const { timer, waiting } = fakeTimer();
    let rounds = 0;
    const round = (): Promise<void> => {
      rounds++;
      return Promise.resolve();
    };
    const chore = startChore(round, { timer, everyMs: 1000, retryMs: 10, onFailure: () => undefined });
    await settled();
    expect([rounds, waiting.map(({ delayMs }) => delayMs)]).toEqual([1, [1000]]);
    waiting.shift()?.tick();
    await settled();
    expect([rounds, waiting.length]).toEqual([2, 1]);
    await chore.stop();
    expect(waiting).toEqual([]);
  });

  test('comes back sooner after a round that failed', async () => {
    const { timer, waiting } = fakeTimer();
    const failures: unknown[] = [];
    const chore = startChore(() => Promise.reject(new Error('no database')), {
      timer,
      everyMs: 1000,
      retryMs: 10,
      onFailure: (error) => failures.push(error),
    });
    await settled();
    expect([failures.length, waiting.map(({ delayMs }) => delayMs)]).toEqual([1, [10]]);
    await chore.stop();
  });

  test('waits for the round that runs when it is stopped, and plans no other', async () => {
    const { timer, waiting } = fakeTimer();
    let finish = (): void => undefined;
    const round = (): Promise<void> => new Promise((resolve) => (finish = resolve));
    const chore = startChore(round, { timer, everyMs: 1, retryMs: 1, onFailure: () => undefined });
    const stopped = chore.stop();
    finish();
    await stopped;
    expect(waiting).toEqual([]);
  });
});
