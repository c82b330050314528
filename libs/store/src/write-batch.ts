import type { Database, PgClient } from './database.ts';
import { ensureDays } from './partitions.ts';
import { isMissingPartition, isPoison, messageOf, sqlStateOf, storeErrorCode } from './store-errors.ts';
import { storableDay, storableText } from './storable.ts';
import { inTransaction } from './transaction.ts';

/** What came from a stream, and where it stands there: its sequence decides which of two contradictory ones holds. */
export interface Sequenced {
  readonly seq: number;
}

/** A message that can not be stored. It is recorded in `projection_faults` and never tried again. */
export interface Fault {
  readonly seq: number;
  /** SQLSTATE, or the code of the error. */
  readonly code: string;
  readonly detail: string;
}

export interface WriteResult {
  readonly written: number;
  readonly faults: readonly Fault[];
}

export interface BatchWriter<Item extends Sequenced> {
  /** Name of the stream that the items are from, for the record of faults. */
  readonly stream: string;
  /** Instant whose partition an item needs; absent when the tables are not partitioned. */
  readonly acceptedAtMs?: (item: Item) => number;
  /** Folds and writes items, all or nothing. */
  readonly write: (client: PgClient, items: readonly Item[]) => Promise<void>;
}

/**
 * Writes a batch in one transaction. When Postgres refuses a row, the batch is halved until the row stands alone: n rows with
 * k poisonous ones take about k·log₂(n) more transactions, and the neighbours are all written.
 *
 * @throws whatever is not the fault of a row (no connection, no space …): nothing or a part of the batch is written, and
 *   the same call may be repeated
 */
export async function writeBatch<Item extends Sequenced>(
  db: Database,
  items: readonly Item[],
  writer: BatchWriter<Item>,
): Promise<WriteResult> {
  const faults: Fault[] = [];
  await writeOrHalve(db, items, writer, faults);
  if (faults.length > 0) await recordFaults(db, writer.stream, faults);
  return { written: items.length - faults.length, faults };
}

async function writeOrHalve<Item extends Sequenced>(
  db: Database,
  items: readonly Item[],
  writer: BatchWriter<Item>,
  faults: Fault[],
): Promise<void> {
  if (items.length === 0) return;
  try {
    await writeWhole(db, items, writer);
  } catch (error) {
    if (!isPoison(error)) throw error;
    const [only] = items;
    if (items.length === 1 && only !== undefined) {
      faults.push({ seq: only.seq, code: sqlStateOf(error) ?? storeErrorCode(error), detail: messageOf(error) });
      return;
    }
    const half = items.length >> 1;
    await writeOrHalve(db, items.slice(0, half), writer, faults);
    await writeOrHalve(db, items.slice(half), writer, faults);
  }
}

async function writeWhole<Item extends Sequenced>(
  db: Database,
  items: readonly Item[],
  writer: BatchWriter<Item>,
): Promise<void> {
  const { acceptedAtMs } = writer;
  if (acceptedAtMs !== undefined) await ensureDays(db, new Set(items.map((item) => storableDay(acceptedAtMs(item)))));
  try {
    await inTransaction(db, (client) => writer.write(client, items));
  } catch (error) {
    if (isMissingPartition(error)) db.knownDays.clear();
    throw error;
  }
}

/** Where the unreadable message is and what is wrong; not its content, which may be personal. */
export async function recordFaults(db: Database, stream: string, faults: readonly Fault[]): Promise<void> {
  const bySeq = new Map(faults.map((fault) => [fault.seq, fault]));
  const rows = [...bySeq.values()].map((fault) => ({ ...fault, detail: storableText(fault.detail.slice(0, 2000)) }));
  await (
    await db.pool()
  ).query({
    text: `insert into projection_faults (stream, seq, at, code, detail)
           select $1, seq, now(), code, detail from json_to_recordset($2) as f (seq bigint, code text, detail text)
           on conflict (stream, seq) do update set at = excluded.at, code = excluded.code, detail = excluded.detail`,
    values: [stream, JSON.stringify(rows)],
  });
}
