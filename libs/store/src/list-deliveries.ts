import type { FilterQuery } from '@mikro-orm/postgresql';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Database } from './database.ts';
import { toDeliveryRecord, type AttemptSummary, type DeliveryRecord } from './delivery-record.ts';
import { AttemptEntity, DeliveryEntity, type DeliveryEntityRow, type DeliveryState } from './entities.ts';
import { findEvent } from './find-event.ts';
import { afterCursor, pageLimit, toPage, type Page, type PageRequest } from './page.ts';

export interface DeliveryFilter {
  /** Id of the event. */
  readonly event?: string | undefined;
  /** Source of the event; only together with `event`. */
  readonly source?: string | undefined;
  readonly subscription?: SubscriptionId | undefined;
  readonly state?: DeliveryState | undefined;
}

/** A tenant's deliveries, newest event first. */
export async function listDeliveries(
  db: Database,
  tenant: TenantId,
  filter: DeliveryFilter & PageRequest,
): Promise<Page<DeliveryRecord>> {
  const limit = pageLimit(filter);
  const ofEvent = await eventCondition(db, tenant, filter);
  if (ofEvent === undefined) return { data: [] };
  const rows = await db.em().find(
    DeliveryEntity,
    {
      $and: [
        { tenant },
        ofEvent,
        filter.subscription === undefined ? {} : { subscription: filter.subscription },
        filter.state === undefined ? {} : { state: filter.state },
        afterCursor<DeliveryEntityRow>('acceptedAt', filter.after),
      ],
    },
    { orderBy: { acceptedAt: 'desc', id: 'desc' }, limit: limit + 1 },
  );
  const lastAttempts = await lastAttemptsOf(db, tenant, rows.slice(0, limit));
  return toPage(
    rows,
    limit,
    (row) => toDeliveryRecord(row, lastAttempts.get(row.id)),
    (row) => ({ atMs: row.acceptedAt.getTime(), id: row.id }),
  );
}

/**
 * Through the event's own row: its instant finds the partition and, in the index by tenant and instant, the few rows of
 * that millisecond. So deliveries need no index by event.
 *
 * @returns undefined when there is no such event
 */
async function eventCondition(
  db: Database,
  tenant: TenantId,
  { event, source }: DeliveryFilter,
): Promise<FilterQuery<DeliveryEntityRow> | undefined> {
  if (event === undefined) return {};
  const events = await findEvent(db, tenant, event, source);
  if (events.length === 0) return undefined;
  return { $or: events.map(({ acceptedAtMs, seq }) => ({ acceptedAt: new Date(acceptedAtMs), eventSeq: seq })) };
}

/** The last attempt of each delivery that sent a request, without what the sink answered. */
async function lastAttemptsOf(
  db: Database,
  tenant: TenantId,
  deliveries: readonly DeliveryEntityRow[],
): Promise<ReadonlyMap<string, AttemptSummary>> {
  if (deliveries.length === 0) return new Map();
  const attempts = await db.em().find(
    AttemptEntity,
    {
      tenant,
      acceptedAt: { $in: [...new Set(deliveries.map(({ acceptedAt }) => acceptedAt))] },
      delivery: { $in: deliveries.map(({ id }) => id) },
      outcome: { $ne: null },
    },
    { fields: ['number', 'outcome', 'status', 'error', 'delivery'], orderBy: { number: 'asc' } },
  );
  return new Map(attempts.map((attempt) => [attempt.delivery, attempt]));
}
