import { collectDefaultMetrics, Registry } from 'prom-client';

/** The process's own metrics registry: nothing is registered globally, so several services fit in one process. */
export function makeMetrics(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
