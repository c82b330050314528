import type { AttributeValue } from '#core/event/cloud-event';
import type { TenantId } from '#core/ids';
import type { Database } from './database.ts';
import { jsonText, storableInstant, storableText, storableTextOrNull } from './storable.ts';
import { unstorable } from './store-errors.ts';
import { writeBatch, type WriteResult } from './write-batch.ts';

/** An accepted event as the read side keeps it: everything but its data. */
export interface AcceptedEvent {
  /** Sequence in EVENTS. */
  readonly seq: number;
  readonly acceptedAtMs: number;
  readonly tenant: TenantId;
  readonly source: string;
  readonly id: string;
  readonly type: string;
  /** In the order of arrival, values exact. */
  readonly attributes: Iterable<readonly [name: string, value: AttributeValue]>;
  /** Absent when the event has no data. */
  readonly dataBytes?: number;
  readonly dataContentType?: string;
}

/**
 * Projects events of EVENTS. Idempotent; commutes with the `matched` facts of the same events.
 *
 * @throws when the database can not take anything now; call again
 */
export function writeEvents(db: Database, events: readonly AcceptedEvent[]): Promise<WriteResult> {
  return writeBatch(db, events, {
    stream: 'EVENTS',
    acceptedAtMs: (event) => event.acceptedAtMs,
    write: async (client, items) => {
      const rows = unstorable(() => [...new Map(items.map((event) => [event.seq, toRow(event)])).values()]);
      await client.query({
        name: 'upsert-events',
        text: UPSERT_EVENTS,
        values: [
          JSON.stringify(
            rows.sort((a, b) =>
              a.accepted_at < b.accepted_at ? -1 : a.accepted_at > b.accepted_at ? 1 : a.seq - b.seq,
            ),
          ),
        ],
      });
    },
  });
}

/** `attributes` is json, not jsonb: order and spelling stay, and no value can be refused. */
const UPSERT_EVENTS = `
  insert into events as e (
    accepted_at, seq, tenant, source, id, type, attributes, data_bytes, data_content_type)
  select accepted_at, seq, tenant, source, id, type, attributes::json, data_bytes, data_content_type
  from json_to_recordset($1) as r (
    accepted_at timestamptz, seq bigint, tenant text, source text, id text, type text, attributes text,
    data_bytes integer, data_content_type text)
  on conflict (accepted_at, seq) do update set
    attributes = excluded.attributes, data_bytes = excluded.data_bytes, data_content_type = excluded.data_content_type
  where e.attributes is null`;

function toRow(event: AcceptedEvent) {
  return {
    accepted_at: storableInstant(event.acceptedAtMs),
    seq: event.seq,
    tenant: event.tenant,
    source: storableText(event.source),
    id: storableText(event.id),
    type: storableText(event.type),
    attributes: jsonText([...event.attributes]),
    data_bytes: event.dataBytes ?? null,
    data_content_type: storableTextOrNull(event.dataContentType),
  };
}
