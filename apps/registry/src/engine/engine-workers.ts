import type { Registry as MetricsRegistry } from 'prom-client';
import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { DeduplicationIdOf } from '#platform/deduplication-id';
import type { ExecuteCommand } from '../execute-command.ts';
import { startOperationalWorker } from '../operational-events/operational.worker.ts';
import type { Worker } from '../worker.runner.ts';
import { makeEngineMetrics } from './engine.metrics.ts';
import { startVerdictWorker } from './verdict.worker.ts';

export interface EngineParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly execute: ExecuteCommand;
  readonly deduplicationIdOf: DeduplicationIdOf;
  readonly metrics: MetricsRegistry;
}

/** They act upon what delivery finds out, and tell tenants of it. */
export function engineWorkers(parts: EngineParts): readonly Worker[] {
  const { bus, snapshot, execute, deduplicationIdOf, metrics } = parts;
  const engineMetrics = makeEngineMetrics(metrics);
  const { observeEvent } = engineMetrics;
  return [
    {
      name: 'verdicts',
      trouble: 'the consumer of verdicts is not running',
      start: () => startVerdictWorker(bus, { state: snapshot, execute }, engineMetrics),
    },
    {
      name: 'operational-events',
      trouble: 'a consumer of what tenants are told is not running',
      start: () => startOperationalWorker({ bus, snapshot, deduplicationIdOf, observeEvent }),
    },
  ];
}
