import { expect, test } from '@jest/globals';
import { HealthChecks } from '#platform/health';
import { WorkerRunner, type Worker } from './worker.runner.ts';

function aWorker(name: string) {
  const state = { isRunning: false };
  const worker: Worker = {
    name,
    trouble: `${name} does not run`,
    start() {
      state.isRunning = true;
      return {
        isAlive: () => state.isRunning,
        stop: () => Promise.resolve(void (state.isRunning = false)),
      };
    },
  };
  return { worker, state };
}

test('workers run from the start of the process to its end, and each says for itself that it does not run', async () => {
  const [first, second] = [aWorker('first'), aWorker('second')];
  const health = new HealthChecks();
  const runner = new WorkerRunner([first.worker, second.worker], health);
  expect([first.state.isRunning, second.state.isRunning]).toEqual([false, false]);

  runner.onApplicationBootstrap();
  expect(await health.readiness()).toEqual({ ready: true, checks: { first: 'ok', second: 'ok' } });

  second.state.isRunning = false;
  expect(await health.readiness()).toEqual({ ready: false, checks: { first: 'ok', second: 'second does not run' } });

  second.state.isRunning = true;
  await runner.onModuleDestroy();
  expect([first.state.isRunning, second.state.isRunning]).toEqual([false, false]);
});
