import { expect, test } from '@jest/globals';
import type { Consuming } from '#bus/consume';
import { startService } from '#platform/bootstrap';
import type { HealthChecks } from '#platform/health';
import { makeLogger } from '#platform/logger';
import { HEALTH_CHECKS } from '#platform/tokens';
import { WorkerRunner, type Worker } from './worker.runner.ts';

test('a worker that can not start ends the process, and lets none run on that started before it', async () => {
  const running = new Set<string>();
  const aWorker = (name: string, start: () => Consuming): Worker => ({ name, trouble: `${name} does not run`, start });
  const starts = (name: string) =>
    aWorker(name, () => {
      running.add(name);
      return { isAlive: () => running.has(name), stop: () => Promise.resolve(void running.delete(name)) };
    });
  let before: string[] = [];
  const fails = aWorker('fails', () => {
    before = [...running];
    throw new Error('its consumer is gone');
  });
  const useFactory = (health: HealthChecks) =>
    new WorkerRunner([starts('first'), starts('second'), fails, starts('last')], health);
  const module = { module: class {}, providers: [{ provide: WorkerRunner, inject: [HEALTH_CHECKS], useFactory }] };
  const name = 'registry';
  const config = { POSTHASTE_HTTP_HOST: '127.0.0.1', POSTHASTE_HTTP_PORT: 0 };
  const starting = startService({ name, config, logger: makeLogger({ name, level: 'silent' }), modules: [module] });

  await expect(starting).rejects.toThrow('its consumer is gone');
  expect(before).toEqual(['first', 'second']);
  expect([...running]).toEqual([]);
});
