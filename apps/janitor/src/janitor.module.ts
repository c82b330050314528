import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { Counter, Gauge, type Registry as MetricsRegistry } from 'prom-client';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from '#platform/tokens';
import { openDatabase, type Database } from '#store/database';
import { migrate } from '#store/migrate';
import { processTimer, startChore, type Chore } from './chore.ts';
import type { JanitorConfig } from './config.ts';
import { keepPartitions } from './keep-partitions.ts';

const DATABASE = Symbol('JANITOR_DATABASE');
const HOUR_MS = 3_600_000;
const RETRY_MS = 30_000;

/** Timed chores. Today: days of the read side, made ahead and dropped past retention. */
@Module({
  providers: [
    {
      provide: DATABASE,
      inject: [CONFIG, LOGGER],
      useFactory: (config: JanitorConfig, logger: Logger) =>
        openDatabase({ url: config.POSTHASTE_DATABASE_URL, logger, poolSize: 3, applicationName: 'posthaste-janitor' }),
    },
  ],
})
export class JanitorModule implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  readonly #db: Database;
  readonly #config: JanitorConfig;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #dropped: Counter;
  readonly #rounds: Counter<'result'>;
  readonly #lastRoundAt: Gauge;
  #chore: Chore | undefined;
  #failure: string | undefined = 'the first round is not done';

  constructor(
    @Inject(DATABASE) db: Database,
    @Inject(CONFIG) config: JanitorConfig,
    @Inject(LOGGER) logger: Logger,
    @Inject(CLOCK) clock: Clock,
    @Inject(HEALTH_CHECKS) health: HealthChecks,
    @Inject(METRICS) metrics: MetricsRegistry,
  ) {
    this.#db = db;
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
    health.add({
      name: 'janitor',
      check: () => {
        if (this.#failure !== undefined) throw new Error(this.#failure);
      },
    });
    const registers = [metrics];
    this.#dropped = new Counter({
      name: 'posthaste_janitor_partitions_dropped_total',
      help: 'Partitions dropped because they were past retention.',
      registers,
    });
    this.#rounds = new Counter({
      name: 'posthaste_janitor_rounds_total',
      help: 'Rounds by result: done, leased (another janitor was at it), failed.',
      labelNames: ['result'],
      registers,
    });
    this.#lastRoundAt = new Gauge({
      name: 'posthaste_janitor_last_round_timestamp_seconds',
      help: 'When the last round ended well.',
      registers,
    });
  }

  onApplicationBootstrap(): void {
    this.#chore = startChore(() => this.#round(), {
      timer: processTimer,
      everyMs: HOUR_MS,
      retryMs: RETRY_MS,
      onFailure: (error) => {
        this.#failure = error instanceof Error ? error.message : String(error);
        this.#rounds.inc({ result: 'failed' });
        this.#logger.warn({ err: error }, 'the partitions could not be kept; trying again');
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.#chore?.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#db.close();
  }

  async #round(): Promise<void> {
    await migrate(this.#db);
    const nowMs = this.#clock();
    const done = await keepPartitions(this.#db, { nowMs, retentionDays: this.#config.POSTHASTE_RETENTION_DAYS });
    this.#failure = undefined;
    this.#rounds.inc({ result: done === undefined ? 'leased' : 'done' });
    this.#lastRoundAt.set(nowMs / 1000);
    if (done === undefined || (done.made === 0 && done.dropped.length === 0)) return;
    this.#dropped.inc(done.dropped.length);
    this.#logger.info({ made: done.made, dropped: done.dropped }, 'partitions kept');
  }
}
