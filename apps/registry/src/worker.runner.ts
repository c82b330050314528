import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import type { Consuming } from '#bus/consume';
import type { HealthChecks } from '#platform/health';

/** What a registry does beside answering requests. */
export interface Worker {
  /** Of its health check. */
  readonly name: string;
  /** What the health check says when it does not run, for an operator. */
  readonly trouble: string;
  start(): Consuming;
}

/** Runs workers for as long as the registry runs; each is something that the process needs to be ready. */
export class WorkerRunner implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #workers: readonly Worker[];
  readonly #health: HealthChecks;
  readonly #running: Consuming[] = [];

  constructor(workers: readonly Worker[], health: HealthChecks) {
    this.#workers = workers;
    this.#health = health;
  }

  /** When one can not start, the process is closed: those before it are stopped by {@link onModuleDestroy}. */
  onApplicationBootstrap(): void {
    for (const { name, trouble, start } of this.#workers) {
      const running = start();
      this.#running.push(running);
      this.#health.add({
        name,
        check() {
          if (!running.isAlive()) throw new Error(trouble);
        },
      });
    }
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.#running.map((worker) => worker.stop()));
  }
}
