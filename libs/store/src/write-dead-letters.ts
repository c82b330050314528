import type { DeadLetter } from '#contracts/bus/facts';
import type { Database } from './database.ts';
import { jsonText, storableInstant, storableText, storableTextOrNull } from './storable.ts';
import { unstorable, UnstorableRow } from './store-errors.ts';
import { writeBatch, type WriteResult } from './write-batch.ts';

/** A message of DEADLETTERS and its sequence there. */
export interface SequencedDeadLetter {
  readonly seq: number;
  readonly letter: DeadLetter;
}

/**
 * Projects dead letters and rejected events. Idempotent and commutative: one row per delivery and attempt that it ended with (a
 * delivery may die again after a redelivery), or per rejected event; told twice, the later message holds.
 *
 * @throws when the database can not take anything now; call again
 */
export function writeDeadLetters(db: Database, letters: readonly SequencedDeadLetter[]): Promise<WriteResult> {
  return writeBatch(db, letters, {
    stream: 'DEADLETTERS',
    acceptedAtMs: ({ letter }) => letter.acceptedAtMs,
    write: async (client, items) => {
      const rows = unstorable(() => foldDeadLetters(items));
      await client.query({ name: 'upsert-dead-letters', text: UPSERT_DEAD_LETTERS, values: [JSON.stringify(rows)] });
    },
  });
}

const UPSERT_DEAD_LETTERS = `
  insert into dead_letters as d (
    accepted_at, id, kind, tenant, at, event_seq, delivery, subscription, source, event_id, type, reason, attempts,
    last_status, last_error, subject, violations, fact_seq)
  select accepted_at, id, kind, tenant, at, event_seq, delivery, subscription, source, event_id, type, reason, attempts,
    last_status, last_error, subject, violations::json, fact_seq
  from json_to_recordset($1) as r (
    accepted_at timestamptz, id text, kind text, tenant text, at timestamptz, event_seq bigint, delivery text,
    subscription text, source text, event_id text, type text, reason text, attempts integer, last_status integer,
    last_error text, subject text, violations text, fact_seq bigint)
  on conflict (accepted_at, id) do update set
    (at, reason, last_status, last_error, subject, violations, fact_seq) = (
    excluded.at, excluded.reason, excluded.last_status, excluded.last_error, excluded.subject, excluded.violations,
    excluded.fact_seq)
  where excluded.fact_seq > d.fact_seq`;

function foldDeadLetters(letters: readonly SequencedDeadLetter[]) {
  const rows = new Map<string, ReturnType<typeof toRow>>();
  for (const letter of letters) {
    const row = toRow(letter);
    const key = `${row.accepted_at} ${row.id}`;
    const known = rows.get(key);
    if (known === undefined || row.fact_seq > known.fact_seq) rows.set(key, row);
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

function toRow({ seq, letter }: SequencedDeadLetter) {
  const shared = {
    kind: letter.kind,
    tenant: letter.tenant,
    accepted_at: storableInstant(letter.acceptedAtMs),
    at: storableInstant(letter.atMs),
    event_seq: letter.eventSeq,
    fact_seq: seq,
  };
  switch (letter.kind) {
    case 'delivery':
      return {
        ...shared,
        id: `${letter.delivery}:${letter.attempt ?? letter.attempts}`,
        delivery: letter.delivery,
        subscription: letter.subscription,
        source: storableText(letter.source),
        event_id: storableText(letter.id),
        type: storableText(letter.type),
        reason: letter.reason,
        attempts: letter.attempts,
        last_status: letter.lastStatus ?? null,
        last_error: storableTextOrNull(letter.lastError),
      };
    case 'rejected':
      return {
        ...shared,
        id: `rejected:${letter.eventSeq}`,
        subject: storableText(letter.subject),
        violations: jsonText(letter.violations),
      };
    default:
      throw new UnstorableRow(`there is no dead letter of kind ${JSON.stringify((letter as { kind?: unknown }).kind)}`);
  }
}
