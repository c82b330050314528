import { unstorable } from './store-errors.ts';
import type { Database, PgClient } from './database.ts';
import { foldFacts, type FoldedFacts, type SequencedFact } from './fold-facts.ts';
import { writeBatch, type WriteResult } from './write-batch.ts';

// One statement per table and batch, its rows as one JSON parameter. Measured with 2000 attempts per transaction (2 cores,
// fsync on), rows/s and CPU of this process, response bodies of 2 bytes | 1 KB:
//   json_to_recordset, bound       58 500/s  5 ms | 37 000/s   8 ms   ← least CPU here, and one parameter whatever the columns
//   unnest of 16 arrays, bound     55 500/s 11 ms | 46 400/s  11 ms
//   jsonb_to_recordset, bound      46 900/s  6 ms | 32 300/s   9 ms
//   values lists, bound            33 700/s 15 ms | 20 200/s  15 ms   at most 4095 rows of 16 columns
//   json through MikroORM.execute  49 500/s 16 ms |  8 000/s 130 ms   writes the parameter into the text of the statement
//   MikroORM.upsertMany             8 000/s 181 ms |  6 000/s 229 ms
// Whole deliveries (event, delivery, attempt): 18 300/s when a delivery's facts meet in one batch of 2000, 11 400/s when the
// attempt comes in a later batch and the delivery is written twice. So the projector waits a moment for a batch to fill.

/**
 * Projects facts of JOURNAL. Idempotent and commutative: facts may come again, and in any order.
 *
 * @throws when the database can not take anything now; call again
 */
export function writeFacts(db: Database, facts: readonly SequencedFact[]): Promise<WriteResult> {
  return writeBatch(db, facts, {
    stream: 'JOURNAL',
    acceptedAtMs: ({ fact }) => fact.acceptedAtMs,
    write: async (client, items) => {
      const folded = unstorable(() => foldFacts(items));
      await upsertMatchedEvents(client, folded);
      await upsertDeliveries(client, folded);
      await upsertAttempts(client, folded);
    },
  });
}

async function upsertMatchedEvents(client: PgClient, { events }: FoldedFacts): Promise<void> {
  if (events.length === 0) return;
  await client.query({
    name: 'upsert-matched-events',
    text: `
      insert into events as e (accepted_at, seq, tenant, source, id, type, match_count)
      select * from json_to_recordset($1) as r (
        accepted_at timestamptz, seq bigint, tenant text, source text, id text, type text, match_count integer)
      on conflict (accepted_at, seq) do update set match_count = excluded.match_count
      where e.match_count is null or e.match_count < excluded.match_count`,
    values: [JSON.stringify(events)],
  });
}

async function upsertDeliveries(client: PgClient, { deliveries }: FoldedFacts): Promise<void> {
  if (deliveries.length === 0) return;
  await client.query({
    name: 'upsert-deliveries',
    text: `
      insert into deliveries as d (
        id, accepted_at, tenant, subscription, event_seq, source, event_id, type, state, next_attempt_at, reason,
        created_at, updated_at, step, fact_seq)
      select * from json_to_recordset($1) as r (
        id text, accepted_at timestamptz, tenant text, subscription text, event_seq bigint, source text, event_id text,
        type text, state text, next_attempt_at timestamptz, reason text, created_at timestamptz,
        updated_at timestamptz, step integer, fact_seq bigint)
      on conflict (id, accepted_at) do update set
        source = coalesce(d.source, excluded.source),
        event_id = coalesce(d.event_id, excluded.event_id),
        type = coalesce(d.type, excluded.type),
        created_at = least(d.created_at, excluded.created_at),
        updated_at = greatest(d.updated_at, excluded.updated_at),
        (state, next_attempt_at, reason, step, fact_seq) = (
          select state, next_attempt_at, reason, step, fact_seq from (values
            (d.state, d.next_attempt_at, d.reason, d.step, d.fact_seq),
            (excluded.state, excluded.next_attempt_at, excluded.reason, excluded.step, excluded.fact_seq)
          ) as told (state, next_attempt_at, reason, step, fact_seq)
          order by step desc, fact_seq desc limit 1)`,
    values: [JSON.stringify(deliveries)],
  });
}

async function upsertAttempts(client: PgClient, { attempts }: FoldedFacts): Promise<void> {
  if (attempts.length === 0) return;
  await client.query({
    name: 'upsert-attempts',
    text: `
      insert into attempts as a (
        accepted_at, delivery, number, tenant, at, duration_ms, outcome, status, error, message, response_body,
        response_truncated, next, next_attempt_at, reason, fact_seq)
      select * from json_to_recordset($1) as r (
        accepted_at timestamptz, delivery text, number integer, tenant text, at timestamptz, duration_ms integer,
        outcome text, status integer, error text, message text, response_body text, response_truncated boolean,
        next text, next_attempt_at timestamptz, reason text, fact_seq bigint)
      on conflict (accepted_at, delivery, number) do update set
        (at, duration_ms, outcome, status, error, message, response_body, response_truncated, next, next_attempt_at,
         reason, fact_seq) = (
        excluded.at, excluded.duration_ms, excluded.outcome, excluded.status, excluded.error, excluded.message,
        excluded.response_body, excluded.response_truncated, excluded.next, excluded.next_attempt_at, excluded.reason,
        excluded.fact_seq)
      where excluded.fact_seq > a.fact_seq`,
    values: [JSON.stringify(attempts)],
  });
}
