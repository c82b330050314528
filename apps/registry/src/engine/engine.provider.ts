import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Bus } from '#bus/connection';
import type { Consuming } from '#bus/consume';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { HealthChecks } from '#platform/health';
import type { ExecuteCommand } from '../execute-command.ts';
import { startOperationalWorker } from '../operational-events/operational.worker.ts';
import { makeEngineMetrics } from './engine.metrics.ts';
import { startVerdictWorker } from './verdict.worker.ts';

export const ENGINE_RUNNER = Symbol('ENGINE_RUNNER');

export interface EngineParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly execute: ExecuteCommand;
  readonly metrics: MetricsRegistry;
}

/** Acts upon what delivery finds out, and tells tenants of it, for as long as the registry runs. */
export class EngineRunner implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #parts: EngineParts;
  readonly #health: HealthChecks;
  #workers: readonly Consuming[] = [];

  constructor(parts: EngineParts, health: HealthChecks) {
    this.#parts = parts;
    this.#health = health;
  }

  onApplicationBootstrap(): void {
    const { bus, snapshot, execute } = this.#parts;
    const metrics = makeEngineMetrics(this.#parts.metrics);
    const verdicts = startVerdictWorker(bus, { state: snapshot, execute }, metrics);
    const operational = startOperationalWorker({ bus, snapshot, observeEvent: metrics.observeEvent });
    this.#workers = [verdicts, operational];
    this.#health.add({
      name: 'verdicts',
      check() {
        if (!verdicts.isAlive()) throw new Error('the consumer of verdicts is not running');
      },
    });
    this.#health.add({
      name: 'operational-events',
      check() {
        if (!operational.isAlive()) throw new Error('a consumer of what tenants are told is not running');
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
  }
}
