import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { Registry as MetricsRegistry } from 'prom-client';
import { BUS } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from '#platform/tokens';
import { openDatabase, type Database } from '#store/database';
import type { ProjectorConfig } from './config.ts';
import { makeProjector, type Projector } from './projector.ts';
import { makeProjectorMetrics } from './projector.metrics.ts';

const DATABASE = Symbol('PROJECTOR_DATABASE');

/** REGISTRY, EVENTS, JOURNAL, DEADLETTERS → Postgres rows. */
@Module({
  providers: [
    {
      provide: DATABASE,
      inject: [CONFIG, LOGGER],
      useFactory: (config: ProjectorConfig, logger: Logger) =>
        openDatabase({
          url: config.POSTHASTE_DATABASE_URL,
          logger,
          poolSize: 6,
          applicationName: 'posthaste-projector',
        }),
    },
  ],
})
export class ProjectorModule implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  readonly #db: Database;
  readonly #projector: Projector;

  constructor(
    @Inject(BUS) bus: Bus,
    @Inject(DATABASE) db: Database,
    @Inject(CONFIG) config: ProjectorConfig,
    @Inject(LOGGER) logger: Logger,
    @Inject(CLOCK) clock: Clock,
    @Inject(HEALTH_CHECKS) health: HealthChecks,
    @Inject(METRICS) metrics: MetricsRegistry,
  ) {
    this.#db = db;
    const projector = makeProjector({
      bus,
      db,
      logger,
      clock,
      metrics: makeProjectorMetrics(metrics),
      maxMessages: config.POSTHASTE_PROJECTOR_BATCH,
      maxWaitMs: config.POSTHASTE_PROJECTOR_WAIT_MS,
    });
    this.#projector = projector;
    health.add({
      name: 'projector',
      check() {
        const trouble = projector.trouble();
        if (trouble !== undefined) throw new Error(trouble);
      },
    });
  }

  onApplicationBootstrap(): void {
    this.#projector.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.#projector.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#db.close();
  }
}
