import type { Bus } from '#bus/connection';
import type { Consuming } from '#bus/consume';
import { serve, type Serving } from '#bus/request';
import type { Logger } from '#platform/logger';
import type { Clock } from '#platform/tokens';
import type { Database } from '#store/database';
import { migrate } from '#store/migrate';
import { rebuildSubject } from './config.ts';
import { keepTrying, type Tried } from './keep-trying.ts';
import { startProjections } from './projections.ts';
import type { ProjectorMetrics } from './projector.metrics.ts';
import { resetProjections } from './rebuild-projections.ts';

export interface ProjectorParts {
  readonly bus: Bus;
  readonly db: Database;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics: ProjectorMetrics;
  readonly maxMessages: number;
  readonly maxWaitMs: number;
}

export interface Projector {
  /** Returns at once: while the database is away it is tried again. */
  start(): void;
  /** Gives back what is not written and waits for what is being written. */
  stop(): Promise<void>;
  /** Empties the projections and goes on from the first message. Resolves when the replay has begun. */
  rebuild(): Promise<void>;
  /** Why rows are not being written now, or undefined. */
  trouble(): string | undefined;
}

/**
 * starting (schema) ── done ──▶ projecting ── rebuild ──▶ emptying ──▶ projecting
 *
 * Every arrow is tried again for as long as PostgreSQL or NATS is away; `stop` ends it in every state.
 */
export function makeProjector(parts: ProjectorParts): Projector {
  const { bus, db, logger, metrics } = parts;
  const stopping = new AbortController();
  let consuming: readonly Consuming[] = [];
  let serving: Serving | undefined;
  let state = 'the schema is not ready';
  /** What keeps which task from being done now: one stream may be written while another one can not. */
  const failures = new Map<object, string>();
  let work: Promise<void> = Promise.resolve();

  const persist = async <T>(task: () => Promise<T>): Promise<Tried<T>> => {
    const onFailure = (error: unknown): void => {
      const reason = error instanceof Error ? error.message : String(error);
      metrics.observeFailure();
      if (failures.get(task) !== reason) logger.warn({ err: error }, 'rows can not be written; trying again');
      failures.set(task, reason);
    };
    const tried = await keepTrying(task, { signal: stopping.signal, onFailure });
    if (failures.delete(task) && tried.done) logger.info({}, 'what could not be written is written');
    return tried;
  };

  function consume(): void {
    consuming = startProjections({
      ...parts,
      keepTrying: persist,
      observe(stream, batch) {
        metrics.observe(stream, batch, parts.clock());
        if (batch.faults.length > 0) logger.error({ stream, faults: batch.faults.slice(0, 10) }, 'rows left out');
      },
    });
    state = '';
  }

  async function begin(): Promise<void> {
    const migrated = await persist(() => migrate(db));
    if (migrated.done) consume();
  }

  async function reset(): Promise<void> {
    state = 'the projections are being emptied';
    await Promise.all(consuming.map((one) => one.stop()));
    const emptied = await persist(() => resetProjections(bus, db));
    if (!emptied.done) return;
    consume();
    logger.info({}, 'projections emptied; replaying the streams');
  }

  return {
    start() {
      work = begin();
      serving = serve(
        bus,
        { subject: rebuildSubject(bus.topology.options.deployment), queue: 'projector' },
        async () => {
          work = work.then(reset);
          await work;
          return new Uint8Array();
        },
      );
    },
    async stop() {
      stopping.abort();
      await serving?.stop();
      await work;
      await Promise.all(consuming.map((one) => one.stop()));
    },
    async rebuild() {
      work = work.then(reset);
      await work;
    },
    trouble() {
      const [failure] = failures.values();
      if (failure !== undefined) return failure;
      if (state !== '') return state;
      return consuming.every((one) => one.isAlive()) ? undefined : 'a consumer of a projected stream is not running';
    },
  };
}
