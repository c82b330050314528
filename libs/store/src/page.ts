import type { FilterQuery } from '@mikro-orm/postgresql';

/** Entries of a page when nothing is said, and at most. */
export const DEFAULT_PAGE_LIMIT = 50;
export const MAX_PAGE_LIMIT = 250;

/** The sort key of the last entry of a page. Rows inserted meanwhile neither shift nor repeat an entry. */
export interface Cursor {
  readonly atMs: number;
  readonly id: string;
}

export interface PageRequest {
  /** 1 … {@link MAX_PAGE_LIMIT}, default {@link DEFAULT_PAGE_LIMIT}. */
  readonly limit?: number | undefined;
  /** From {@link parseCursor}; absent: the newest entries. */
  readonly after?: Cursor | undefined;
}

/** Newest first. `next` is there exactly when more entries follow. */
export interface Page<Entry> {
  readonly data: readonly Entry[];
  readonly next?: string;
}

export function formatCursor({ atMs, id }: Cursor): string {
  return Buffer.from(JSON.stringify([atMs, id])).toString('base64url');
}

/** 9999-12-31T23:59:59.999Z: a later one is written in a way that Postgres can not read. */
const LATEST_MS = 253_402_300_799_999;

/** @returns undefined when the text is not a cursor of ours */
export function parseCursor(text: string): Cursor | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (!Array.isArray(value) || value.length !== 2) return undefined;
    const [atMs, id] = value as [unknown, unknown];
    if (!Number.isSafeInteger(atMs) || (atMs as number) < 0 || (atMs as number) > LATEST_MS) return undefined;
    if (typeof id !== 'string' || id.includes('\0')) return undefined;
    return { atMs: atMs as number, id };
  } catch {
    return undefined;
  }
}

export function pageLimit({ limit = DEFAULT_PAGE_LIMIT }: PageRequest): number {
  return Math.min(Math.max(1, limit), MAX_PAGE_LIMIT);
}

/**
 * Rows after a cursor, newest first by `at` and then `id`. The `$lte` says nothing new: without it Postgres does not
 * see a bound for the index (and for partitions) behind the `or`.
 */
export function afterCursor<Row extends object>(at: keyof Row & string, after: Cursor | undefined): FilterQuery<Row> {
  if (after === undefined) return {} as FilterQuery<Row>;
  const instant = new Date(after.atMs);
  return {
    [at]: { $lte: instant },
    $or: [{ [at]: { $lt: instant } }, { id: { $lt: after.id } }],
  } as unknown as FilterQuery<Row>;
}

/** Makes a page of `limit` entries out of up to `limit + 1` rows. */
export function toPage<Row, Entry>(
  rows: readonly Row[],
  limit: number,
  toEntry: (row: Row) => Entry,
  keyOf: (row: Row) => Cursor,
): Page<Entry> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const data = shown.map((row) => toEntry(row));
  return rows.length > limit && last !== undefined ? { data, next: formatCursor(keyOf(last)) } : { data };
}
