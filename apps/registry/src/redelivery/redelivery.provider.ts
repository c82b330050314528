import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import type { Consuming } from '#bus/consume';
import type { HealthChecks } from '#platform/health';
import type { RedeliveryParts } from './redelivery.ports.ts';
import { startRedeliveryWorker } from './redelivery.worker.ts';

export const REDELIVERY_WORKER = Symbol('REDELIVERY_WORKER');

/** Works on redeliveries for as long as the registry runs. */
export class RedeliveryRunner implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #parts: RedeliveryParts;
  readonly #health: HealthChecks;
  #worker: Consuming | undefined;

  constructor(parts: RedeliveryParts, health: HealthChecks) {
    this.#parts = parts;
    this.#health = health;
  }

  onApplicationBootstrap(): void {
    const worker = startRedeliveryWorker(this.#parts);
    this.#worker = worker;
    this.#health.add({
      name: 'redelivery',
      check() {
        if (!worker.isAlive()) throw new Error('the consumer of redeliveries is not running');
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.#worker?.stop();
  }
}
