import type { DeadReason, ExchangeError } from '#core/delivery/outcome';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { Database } from './database.ts';
import { known } from './delivery-record.ts';
import { DeadLetterEntity, type DeadLetterEntityRow, type StoredViolation } from './entities.ts';
import { afterCursor, pageLimit, toPage, type Page, type PageRequest } from './page.ts';

/** What did not reach anybody, and why. All instants are Unix milliseconds. */
export type DeadLetterRecord =
  | {
      readonly kind: 'delivery';
      readonly id: string;
      readonly tenant: TenantId;
      readonly atMs: number;
      readonly acceptedAtMs: number;
      readonly event: { readonly seq: number; readonly source?: string; readonly id?: string; readonly type?: string };
      readonly delivery: DeliveryId;
      readonly subscription: SubscriptionId;
      readonly reason: DeadReason;
      readonly attemptCount: number;
      readonly lastStatus?: number;
      readonly lastError?: ExchangeError;
    }
  | {
      readonly kind: 'rejected';
      readonly id: string;
      readonly tenant: TenantId;
      readonly atMs: number;
      readonly acceptedAtMs: number;
      /** Where its bytes are in EVENTS. */
      readonly event: { readonly seq: number };
      readonly subject: string;
      readonly violations: readonly StoredViolation[];
    };

export interface DeadLetterFilter {
  readonly kind?: 'delivery' | 'rejected' | undefined;
  readonly subscription?: SubscriptionId | undefined;
}

/** A tenant's dead letters and rejected events, newest first. */
export async function listDeadLetters(
  db: Database,
  tenant: TenantId,
  filter: DeadLetterFilter & PageRequest,
): Promise<Page<DeadLetterRecord>> {
  const limit = pageLimit(filter);
  const rows = await db.em().find(
    DeadLetterEntity,
    {
      $and: [
        { tenant },
        filter.kind === undefined ? {} : { kind: filter.kind },
        filter.subscription === undefined ? {} : { subscription: filter.subscription },
        afterCursor<DeadLetterEntityRow>('at', filter.after),
      ],
    },
    { orderBy: { at: 'desc', id: 'desc' }, limit: limit + 1 },
  );
  return toPage(rows, limit, toDeadLetterRecord, (row) => ({ atMs: row.at.getTime(), id: row.id }));
}

function toDeadLetterRecord(row: DeadLetterEntityRow): DeadLetterRecord {
  const shared = {
    id: row.id,
    tenant: row.tenant as TenantId,
    atMs: row.at.getTime(),
    acceptedAtMs: row.acceptedAt.getTime(),
  };
  if (row.kind === 'rejected') {
    return {
      ...shared,
      kind: 'rejected',
      event: { seq: row.eventSeq },
      subject: row.subject ?? '',
      violations: row.violations ?? [],
    };
  }
  return {
    ...shared,
    kind: 'delivery',
    event: {
      seq: row.eventSeq,
      ...known('source', row.source),
      ...known('id', row.eventId),
      ...known('type', row.type),
    },
    delivery: (row.delivery ?? '') as DeliveryId,
    subscription: (row.subscription ?? '') as SubscriptionId,
    reason: row.reason ?? 'poisoned',
    attemptCount: row.attempts ?? 0,
    ...known('lastStatus', row.lastStatus),
    ...known('lastError', row.lastError),
  };
}
