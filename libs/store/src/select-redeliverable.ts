import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { RedeliveryCursor, RedeliverySelection } from '#core/registry/redelivery';
import type { Database } from './database.ts';

/** Which deliveries of a tenant are meant. */
export interface RedeliverableSet {
  readonly tenant: TenantId;
  readonly selection: RedeliverySelection;
  /**
   * Deliveries to which something happened after this instant are left out, Unix ms: those that ended later, and those that
   * have been redelivered since, whatever became of them.
   */
  readonly unchangedSinceMs: number;
  /** Only those after it. */
  readonly after?: RedeliveryCursor | undefined;
}

/** A delivery that is over, with what a new round needs. */
export interface RedeliverableRow {
  readonly id: DeliveryId;
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly eventSeq: number;
  readonly acceptedAtMs: number;
  /** Number of the last attempt, or of the one in place of which it ended. */
  readonly lastAttempt: number;
}

/** The first of them in the order of acceptance, then id. */
export async function selectRedeliverable(
  db: Database,
  set: RedeliverableSet,
  limit: number,
): Promise<readonly RedeliverableRow[]> {
  const { text, values } = conditionOf(set);
  // An attempt that ended the delivery is step 2n: see fold-facts.ts.
  const { rows } = await (
    await db.pool()
  ).query({
    text: `select id, subscription, event_seq::float8 as event_seq, step / 2 as last_attempt,
                  (extract(epoch from accepted_at) * 1000)::float8 as accepted_at_ms
             from deliveries where ${text} order by accepted_at, id limit ${limit}`,
    values,
  });
  return rows.map((row) => ({
    id: row['id'] as DeliveryId,
    tenant: set.tenant,
    subscription: row['subscription'] as SubscriptionId,
    eventSeq: Number(row['event_seq']),
    acceptedAtMs: Number(row['accepted_at_ms']),
    lastAttempt: Number(row['last_attempt']),
  }));
}

export async function countRedeliverable(db: Database, set: RedeliverableSet): Promise<number> {
  const { text, values } = conditionOf(set);
  const { rows } = await (
    await db.pool()
  ).query({ text: `select count(*)::float8 as count from deliveries where ${text}`, values });
  return Number(rows[0]?.['count']);
}

/**
 * The states stand in the text: with a parameter, Postgres would not know that the index of what is not delivered has them
 * all. The bound of `accepted_at` beside the comparison of rows says nothing new, but partitions are left out by it.
 */
function conditionOf({ tenant, selection, unchangedSinceMs, after }: RedeliverableSet) {
  const { states, subscription, reasons, types, sinceMs, untilMs } = selection;
  const values: unknown[] = [];
  const bound = (value: unknown): string => `$${values.push(value)}`;
  // Nothing was accepted before 1970, and Postgres has no year 0.
  const instant = (ms: number): string => `${bound(new Date(Math.max(0, ms)).toISOString())}::timestamptz`;
  const conditions = [
    `tenant = ${bound(tenant)}`,
    states.length === 1 ? `state = '${states[0]}'` : `state in (${states.map((state) => `'${state}'`).join(', ')})`,
    `accepted_at < ${instant(untilMs)}`,
    `updated_at <= ${instant(unchangedSinceMs)}`,
    ...(sinceMs === undefined ? [] : [`accepted_at >= ${instant(sinceMs)}`]),
    ...(subscription === undefined ? [] : [`subscription = ${bound(subscription)}`]),
    ...(reasons === undefined ? [] : [`reason = any(${bound(reasons)})`]),
    ...(types === undefined ? [] : [`type = any(${bound(types)})`]),
    ...(after === undefined
      ? []
      : [
          `accepted_at >= ${instant(after.acceptedAtMs)}`,
          `(accepted_at, id) > (${instant(after.acceptedAtMs)}, ${bound(after.id)})`,
        ]),
  ];
  return { text: conditions.join(' and '), values };
}
