import type { AttemptMade, DeliveryRedelivered, EventMatched, Fact } from '#contracts/bus/facts';
import type { DeliveryState } from './entities.ts';
import { storableInstant, storableText, storableTextOrNull } from './storable.ts';
import { UnstorableRow } from './store-errors.ts';

/** A fact and its sequence in JOURNAL. */
export interface SequencedFact {
  readonly seq: number;
  readonly fact: Fact;
}

// Rows as the statements in `write-facts.ts` read them: column names as keys, instants as ISO strings.

export interface MatchedEventRow {
  readonly accepted_at: string;
  readonly seq: number;
  readonly tenant: string;
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly match_count: number;
}

export interface DeliveryStateRow {
  readonly id: string;
  readonly accepted_at: string;
  readonly tenant: string;
  readonly subscription: string;
  readonly event_seq: number;
  readonly source: string | null;
  readonly event_id: string | null;
  readonly type: string | null;
  readonly state: DeliveryState;
  readonly next_attempt_at: string | null;
  readonly reason: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly step: number;
  readonly fact_seq: number;
}

export interface AttemptRow {
  readonly accepted_at: string;
  readonly delivery: string;
  readonly number: number;
  readonly tenant: string;
  readonly at: string;
  readonly duration_ms: number;
  readonly outcome: string | null;
  readonly status: number | null;
  readonly error: string | null;
  readonly message: string | null;
  readonly response_body: string | null;
  readonly response_truncated: boolean | null;
  readonly next: string;
  readonly next_attempt_at: string | null;
  readonly reason: string | null;
  readonly fact_seq: number;
}

/** Rows to be merged into the tables, at most one per key and in the order of keys (two writers can not deadlock). */
export interface FoldedFacts {
  readonly events: readonly MatchedEventRow[];
  readonly deliveries: readonly DeliveryStateRow[];
  readonly attempts: readonly AttemptRow[];
}

/**
 * Folds facts into rows. The result does not depend on the order of the facts nor on how often each is there, and neither
 * does merging it into what is stored: every column is a maximum, a minimum, or the word of the fact with
 * the highest version.
 *
 * A delivery's version is `(step, seq)`. Steps order what may happen to it: matched 0, attempt n 2n, redelivered before
 * attempt n 2n − 1. So a late `matched` never hides an attempt, and a redelivery is `pending` until the attempt it asked
 * for. The same attempt told twice with different results (a crash between the request and its fact) is decided by the
 * sequence in JOURNAL: the later one is what the next step was made from.
 *
 * @throws UnstorableRow when a fact is not what its type says
 */
export function foldFacts(facts: readonly SequencedFact[]): FoldedFacts {
  const events = new Map<string, MatchedEventRow>();
  const deliveries = new Map<string, DeliveryStateRow>();
  const attempts = new Map<string, AttemptRow>();
  for (const { seq, fact } of facts) {
    for (const row of eventRowsOf(fact)) mergeInto(events, `${row.accepted_at} ${row.seq}`, row, mergeEvents);
    for (const row of deliveryRowsOf(fact, seq)) mergeInto(deliveries, keyOfDelivery(row), row, mergeDeliveries);
    for (const row of attemptRowsOf(fact, seq)) mergeInto(attempts, keyOfAttempt(row), row, mergeAttempts);
  }
  return { events: inOrderOfKeys(events), deliveries: inOrderOfKeys(deliveries), attempts: inOrderOfKeys(attempts) };
}

function mergeInto<Row>(rows: Map<string, Row>, key: string, row: Row, merge: (a: Row, b: Row) => Row): void {
  const known = rows.get(key);
  rows.set(key, known === undefined ? row : merge(known, row));
}

function inOrderOfKeys<Row>(rows: ReadonlyMap<string, Row>): Row[] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

function keyOfDelivery({ id, accepted_at }: DeliveryStateRow): string {
  return `${id} ${accepted_at}`;
}

function keyOfAttempt({ accepted_at, delivery, number }: AttemptRow): string {
  return `${accepted_at} ${delivery} ${number}`;
}

function mergeEvents(a: MatchedEventRow, b: MatchedEventRow): MatchedEventRow {
  return a.match_count >= b.match_count ? a : b;
}

function mergeDeliveries(a: DeliveryStateRow, b: DeliveryStateRow): DeliveryStateRow {
  const later = b.step > a.step || (b.step === a.step && b.fact_seq > a.fact_seq) ? b : a;
  return {
    ...later,
    source: a.source ?? b.source,
    event_id: a.event_id ?? b.event_id,
    type: a.type ?? b.type,
    created_at: a.created_at < b.created_at ? a.created_at : b.created_at,
    updated_at: a.updated_at > b.updated_at ? a.updated_at : b.updated_at,
  };
}

function mergeAttempts(a: AttemptRow, b: AttemptRow): AttemptRow {
  return b.fact_seq > a.fact_seq ? b : a;
}

function eventRowsOf(fact: Fact): readonly MatchedEventRow[] {
  if (fact.kind !== 'matched') return [];
  return [
    {
      accepted_at: storableInstant(fact.acceptedAtMs),
      seq: fact.eventSeq,
      tenant: fact.tenant,
      source: storableText(fact.source),
      id: storableText(fact.id),
      type: storableText(fact.type),
      match_count: fact.matchCount,
    },
  ];
}

function deliveryRowsOf(fact: Fact, seq: number): readonly DeliveryStateRow[] {
  switch (fact.kind) {
    case 'matched':
      return matchedRows(fact, seq);
    case 'attempt':
      return [attemptedRow(fact, seq)];
    case 'redelivered':
      return [redeliveredRow(fact, seq)];
    default:
      throw new UnstorableRow(`there is no fact of kind ${JSON.stringify((fact as { kind?: unknown }).kind)}`);
  }
}

function matchedRows(fact: EventMatched, seq: number): DeliveryStateRow[] {
  const at = storableInstant(fact.atMs);
  return fact.matches.map(({ delivery, subscription }) => ({
    ...deliveryOf({ ...fact, delivery, subscription }),
    ...eventOf(fact),
    state: 'pending',
    next_attempt_at: null,
    reason: null,
    created_at: at,
    updated_at: at,
    step: 0,
    fact_seq: seq,
  }));
}

function attemptedRow(fact: AttemptMade, seq: number): DeliveryStateRow {
  const { next } = fact;
  return {
    ...deliveryOf(fact),
    ...eventOf(fact),
    state: stateAfter(fact),
    next_attempt_at: next.kind === 'retry' ? storableInstant(next.atMs) : null,
    reason: next.kind === 'dead' ? storableText(next.reason) : null,
    created_at: storableInstant(fact.startedAtMs),
    updated_at: storableInstant(fact.startedAtMs + fact.durationMs),
    step: 2 * fact.attempt,
    fact_seq: seq,
  };
}

function redeliveredRow(fact: DeliveryRedelivered, seq: number): DeliveryStateRow {
  const at = storableInstant(fact.atMs);
  return {
    ...deliveryOf(fact),
    source: null,
    event_id: null,
    type: null,
    state: 'pending',
    next_attempt_at: null,
    reason: null,
    created_at: at,
    updated_at: at,
    step: 2 * fact.attempt - 1,
    fact_seq: seq,
  };
}

function deliveryOf(fact: Omit<DeliveryRedelivered, 'kind' | 'attempt' | 'atMs' | 'by'>) {
  return {
    id: fact.delivery,
    accepted_at: storableInstant(fact.acceptedAtMs),
    tenant: fact.tenant,
    subscription: fact.subscription,
    event_seq: fact.eventSeq,
  };
}

function eventOf(fact: { readonly source: string; readonly id: string; readonly type: string }) {
  return { source: storableText(fact.source), event_id: storableText(fact.id), type: storableText(fact.type) };
}

function stateAfter({ next }: AttemptMade): DeliveryState {
  switch (next.kind) {
    case 'delivered':
      return 'delivered';
    case 'retry':
      return 'retrying';
    case 'dead':
      return 'dead';
  }
}

function attemptRowsOf(fact: Fact, seq: number): readonly AttemptRow[] {
  if (fact.kind !== 'attempt') return [];
  const { request, next } = fact;
  return [
    {
      accepted_at: storableInstant(fact.acceptedAtMs),
      delivery: fact.delivery,
      number: fact.attempt,
      tenant: fact.tenant,
      at: storableInstant(fact.startedAtMs),
      duration_ms: Math.round(fact.durationMs),
      outcome: request?.outcome ?? null,
      status: request?.status ?? null,
      error: request?.error ?? null,
      message: storableTextOrNull(request?.message),
      response_body: storableTextOrNull(request?.responseBody),
      response_truncated: request?.responseTruncated ?? null,
      next: next.kind,
      next_attempt_at: next.kind === 'retry' ? storableInstant(next.atMs) : null,
      reason: next.kind === 'dead' ? next.reason : null,
      fact_seq: seq,
    },
  ];
}
