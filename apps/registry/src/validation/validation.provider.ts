import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import type { Consuming } from '#bus/consume';
import type { HealthChecks } from '#platform/health';
import { makeRequestValidation } from './request-validation.ts';
import { makeRequestPorts, type ValidationParts } from './validation.ports.ts';
import { startValidationWorker } from './validation.worker.ts';

export const VALIDATION_WORKER = Symbol('VALIDATION_WORKER');

/** Runs the process manager of validations for as long as the registry runs. */
export class ValidationRunner implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #parts: ValidationParts;
  readonly #health: HealthChecks;
  #worker: Consuming | undefined;

  constructor(parts: ValidationParts, health: HealthChecks) {
    this.#parts = parts;
    this.#health = health;
  }

  onApplicationBootstrap(): void {
    const worker = startValidationWorker(this.#parts, makeRequestValidation(makeRequestPorts(this.#parts)));
    this.#worker = worker;
    this.#health.add({
      name: 'validation',
      check() {
        if (!worker.isAlive()) throw new Error('a consumer of validations is not running');
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.#worker?.stop();
  }
}
