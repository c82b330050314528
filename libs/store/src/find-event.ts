import { raw } from '@mikro-orm/postgresql';
import type { TenantId } from '#core/ids';
import type { Database } from './database.ts';
import { EventEntity, type EventEntityRow, type StoredAttributes } from './entities.ts';

/** An event as it can be looked up. Its data is in EVENTS, at `seq`. */
export interface EventRecord {
  readonly tenant: TenantId;
  readonly seq: number;
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly acceptedAtMs: number;
  /** All attributes in the order of arrival, values exact. Absent while only the matcher has told of the event. */
  readonly attributes?: StoredAttributes;
  /** Absent when the event has no data. */
  readonly dataBytes?: number;
  readonly dataContentType?: string;
  /** Subscriptions that the event is for; absent until the matcher has looked at it. */
  readonly matchCount?: number;
}

/** An id is unique per source only; more sources than this with the same id are not told apart. */
const MAX_SOURCES = 100;

/** The events with an id, newest first, one per source: the newest when it was published again after the dedup window. */
export async function findEvent(
  db: Database,
  tenant: TenantId,
  id: string,
  source?: string,
): Promise<readonly EventRecord[]> {
  if (id.includes('\0') || source?.includes('\0') === true) return [];
  const rows = await db.em().find(
    EventEntity,
    {
      tenant,
      id,
      // The index holds the hash: an id may be longer than what an index entry can hold.
      [raw('hashtextextended(id, 0)')]: raw('hashtextextended(?, 0)', [id]),
      ...(source === undefined ? {} : { source }),
    },
    { orderBy: { acceptedAt: 'desc', seq: 'desc' }, limit: MAX_SOURCES },
  );
  const newestOfSource = new Map<string, EventRecord>();
  for (const row of rows) {
    if (!newestOfSource.has(row.source)) newestOfSource.set(row.source, toEventRecord(row));
  }
  return [...newestOfSource.values()];
}

function toEventRecord(row: EventEntityRow): EventRecord {
  return {
    tenant: row.tenant as TenantId,
    seq: row.seq,
    source: row.source,
    id: row.id,
    type: row.type,
    acceptedAtMs: row.acceptedAt.getTime(),
    ...(row.attributes ? { attributes: row.attributes } : {}),
    ...(typeof row.dataBytes === 'number' ? { dataBytes: row.dataBytes } : {}),
    ...(typeof row.dataContentType === 'string' ? { dataContentType: row.dataContentType } : {}),
    ...(typeof row.matchCount === 'number' ? { matchCount: row.matchCount } : {}),
  };
}
