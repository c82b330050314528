import type { RedeliveryId, TenantId } from '#core/ids';
import type {
  Redelivery,
  RedeliveryCommand,
  RedeliveryCursor,
  RedeliverySelection,
  RedeliveryTally,
} from '#core/registry/redelivery';
import type { BeginRound, EndedDelivery, RoundBegun } from './begin-round.ts';
import { makePace, type Pace } from './pace.ts';

/** The set of a job, or what is left of it. */
export interface RedeliverySet {
  readonly tenant: TenantId;
  readonly selection: RedeliverySelection;
  /** Deliveries to which something happened after it are not in the set, Unix ms. */
  readonly unchangedSinceMs: number;
  readonly after?: RedeliveryCursor | undefined;
}

export interface RunRedeliveryPorts {
  /** The job as the fold has it now. */
  find(tenant: TenantId, id: RedeliveryId): Redelivery | undefined;
  /** The first of a set, by acceptance and then id. */
  select(set: RedeliverySet, limit: number): Promise<readonly EndedDelivery[]>;
  count(set: RedeliverySet): Promise<number>;
  readonly beginRound: BeginRound;
  /** Writes a record of the job; false when it is refused: somebody else has gone on with it, or ended it. */
  record(job: Pick<Redelivery, 'tenant' | 'id'>, command: RedeliveryCommand): Promise<boolean>;
  /** The database is away: the job waits for it. */
  isReadSideAway(error: unknown): boolean;
  /** The bus is away, and with it the right to go on: others may have been given the job. */
  isBusAway(error: unknown): boolean;
  onTrouble(error: unknown, id: RedeliveryId): void;
  now(): number;
  /** May be over earlier. */
  sleep(ms: number): Promise<void>;
  /** This process is about to end. */
  isStopping(): boolean;
}

/** `over`: there is nothing left to do for anybody. `stopped`: another process has to go on. */
export type RedeliveryEnd = 'over' | 'stopped';

/** Largest part between two checkpoints: what is repeated after a crash, at most. */
export const PART_MAX = 500;
/** A part takes so long at the pace of the job … */
const PART_MS = 5_000;
/** … and longer when the job is old, so that a slow one of a week does not write 100 000 records. */
const PART_MAX_MS = 60_000;
const PART_SHARE_OF_AGE = 0.01;
/** Rounds that are being begun at once: three round trips to the bus each. */
const IN_FLIGHT_MAX = 64;
/** A cancellation is seen after that long at the latest, even in a long wait. */
const LOOK_MS = 500;
const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 5_000;
/** Twice the longest part: who was overtaken looks that long whether the other one goes on. */
const STAND_BY_MS = 2 * PART_MAX_MS;
/** What a tenant is told; the error itself may name what is none of its business. */
const FAILURE =
  'An unexpected error ended it; the log of the registry tells which. What is left can be requested again.';

/**
 * Works on a job until it is over: selects a part, begins its rounds evenly at the job's pace, records a checkpoint, and so on.
 *
 * ```
 * select ≤ 500 after the cursor ──► rounds, one each distance ──► RedeliveryProgressed ──┐
 *    ▲                                                                                   │
 *    └───────────────────────────────────────────────────────────────────────────────────┘
 *    └─ none left: RedeliveryCompleted
 * ```
 *
 * What it was doing when it crashed is done again from the last checkpoint. That is harmless: a delivery whose new round is
 * told of is not in the set any more, and the round of another one has the id that it had. While Postgres is away, it
 * waits; without the bus it gives the job back. Two that work on the same job at once (one of them was taken for dead) meet at the next
 * checkpoint: the slower one is refused, and stands by.
 */
export function makeRunRedelivery(ports: RunRedeliveryPorts) {
  return { run };

  /**
   * @param isTakeover somebody worked on it before, and may not have recorded all of it
   * @throws what the bus throws when it is away: the job is to be given back
   */
  async function run(tenant: TenantId, id: RedeliveryId, isTakeover: boolean): Promise<RedeliveryEnd> {
    let mustCount = isTakeover;
    for (;;) {
      const job = ports.find(tenant, id);
      if (job?.state !== 'running') return 'over';
      if (ports.isStopping()) return 'stopped';
      const isOvertaken = !(await work(job, mustCount));
      if (isOvertaken) await standBy(job);
      mustCount = true;
    }
  }

  /** @returns false when somebody else has gone on with the job */
  async function work(job: Redelivery, mustCount: boolean): Promise<boolean> {
    const pace = makePace(job.requestsPerMinute);
    let { checkpoint, cursor } = job;
    let tally: RedeliveryTally | undefined = { done: job.done, skipped: job.skipped };
    try {
      if (mustCount) tally = await persist(job, () => recount(job));
      while (tally !== undefined && mayGoOn(job)) {
        const limit = partLimit(job, ports.now());
        const after = cursor;
        const part = await persist(job, () => ports.select(setOf(job, after), limit));
        if (part === undefined) return true;
        const continues = checkpoint;
        if (part.length === 0) return await ports.record(job, { kind: 'CompleteRedelivery', continues, ...tally });
        const { rounds, failure } = await beginRounds(job, part, pace);
        const last = part[rounds.length - 1];
        if (last !== undefined) {
          tally = rounds.reduce(count, tally);
          cursor = { acceptedAtMs: last.acceptedAtMs, id: last.id };
          if (!(await ports.record(job, { kind: 'RecordProgress', continues, cursor, ...tally }))) return false;
          checkpoint++;
        }
        if (failure !== undefined) throw failure.error;
      }
      return true;
    } catch (error) {
      if (ports.isBusAway(error)) throw error;
      ports.onTrouble(error, job.id);
      const { done, skipped } = tally ?? job;
      return ports.record(job, { kind: 'FailRedelivery', continues: checkpoint, detail: FAILURE, done, skipped });
    }
  }

  /**
   * Begins the rounds of a part. Of those that were begun only the ones without a gap before them count: the cursor can name
   * no others.
   */
  async function beginRounds(
    job: Redelivery,
    part: readonly EndedDelivery[],
    pace: Pace,
  ): Promise<{ readonly rounds: readonly RoundBegun[]; readonly failure?: { readonly error: unknown } }> {
    const begun: (RoundBegun | undefined)[] = part.map(() => undefined);
    const inFlight = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    for (const [i, delivery] of part.entries()) {
      const nowMs = ports.now();
      await pause(pace.nextAtMs(nowMs) - nowMs, () => mayGoOn(job));
      if (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
      if (failure !== undefined || !mayGoOn(job)) break;
      pace.started(ports.now());
      const work = beginRound(job, delivery)
        .then(
          (round) => {
            begun[i] = round;
          },
          (error: unknown) => {
            failure ??= { error };
          },
        )
        .finally(() => inFlight.delete(work));
      inFlight.add(work);
    }
    await Promise.all(inFlight);
    const gap = begun.indexOf(undefined);
    const rounds = begun.slice(0, gap === -1 ? undefined : gap) as RoundBegun[];
    return { rounds, ...(failure === undefined ? {} : { failure }) };
  }

  /** After the request, whatever the clock says: by it the set knows what has been redelivered. */
  function beginRound({ requestedAtMs, by }: Redelivery, delivery: EndedDelivery): Promise<RoundBegun> {
    return ports.beginRound(delivery, { atMs: Math.max(ports.now(), requestedAtMs + 1), by });
  }

  /** What left the set since the last checkpoint was redelivered by whoever worked on the job then. */
  async function recount(job: Redelivery): Promise<RedeliveryTally> {
    const left = await ports.count(setOf(job, job.cursor));
    const skipped = Object.values(job.skipped).reduce((sum, each) => sum + each, 0);
    return { done: Math.max(job.done, job.count - skipped - left), skipped: job.skipped };
  }

  /** Until the other one is over or makes no progress any more. */
  async function standBy({ tenant, id }: Redelivery): Promise<void> {
    let seen: number | undefined;
    for (;;) {
      const job = ports.find(tenant, id);
      if (job?.state !== 'running' || job.checkpoint === seen || ports.isStopping()) return;
      seen = job.checkpoint;
      await pause(STAND_BY_MS, () => mayGoOn(job));
    }
  }

  function mayGoOn({ tenant, id }: Pick<Redelivery, 'tenant' | 'id'>): boolean {
    return !ports.isStopping() && ports.find(tenant, id)?.state === 'running';
  }

  /** @returns undefined when the job may not go on before the read side is back */
  async function persist<T>(job: Redelivery, query: () => Promise<T>): Promise<T | undefined> {
    for (let backoffMs = MIN_BACKOFF_MS; ; backoffMs = Math.min(2 * backoffMs, MAX_BACKOFF_MS)) {
      try {
        return await query();
      } catch (error) {
        if (!ports.isReadSideAway(error)) throw error;
        ports.onTrouble(error, job.id);
      }
      await pause(backoffMs, () => mayGoOn(job));
      if (!mayGoOn(job)) return undefined;
    }
  }

  /** By what was slept: the clock may be set back meanwhile. */
  async function pause(ms: number, isWanted: () => boolean): Promise<void> {
    for (let leftMs = ms; leftMs > 0 && isWanted(); leftMs -= LOOK_MS) await ports.sleep(Math.min(leftMs, LOOK_MS));
  }
}

function setOf({ tenant, selection, requestedAtMs }: Redelivery, after: RedeliveryCursor | undefined): RedeliverySet {
  return { tenant, selection, unchangedSinceMs: requestedAtMs, after };
}

/** Deliveries of a part: as many as the pace begins in its time. */
export function partLimit({ requestsPerMinute, requestedAtMs }: Redelivery, nowMs: number): number {
  const partMs = Math.min(Math.max(PART_MS, (nowMs - requestedAtMs) * PART_SHARE_OF_AGE), PART_MAX_MS);
  return Math.min(Math.max(1, Math.floor((requestsPerMinute * partMs) / 60_000)), PART_MAX);
}

function count({ done, skipped }: RedeliveryTally, { kind }: RoundBegun): RedeliveryTally {
  if (kind === 'accepted') return { done: done + 1, skipped };
  return { done, skipped: { ...skipped, [kind]: (skipped[kind] ?? 0) + 1 } };
}
