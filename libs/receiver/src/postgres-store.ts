import { randomUUID } from 'node:crypto';
import type { IdempotencyStore } from './handle-once.ts';

/** `(text, values) => pool.query(text, values)` of pg, or that of one client in a transaction. */
export type PostgresQuery = (
  text: string,
  values: unknown[],
) => Promise<{ readonly rows: readonly unknown[]; readonly rowCount?: number | null }>;

export interface PostgresStoreOptions {
  /** Name of the table, with its schema if need be. Default `posthaste_notifications`. */
  readonly table?: string;
  /** How long it is remembered what was done. Default 3 days, longer than any default retry schedule. */
  readonly retentionMs?: number;
}

const DEFAULT_RETENTION_MS = 3 * 86_400_000;

export interface PostgresStore extends IdempotencyStore {
  /** Makes the table unless it is there. */
  createTable(): Promise<void>;
  /** Deletes what is not to be remembered any more, up to `limit` rows. Call it now and then. @returns how many */
  purge(limit?: number): Promise<number>;
}

/**
 * Remembers in PostgreSQL, by its clock. With the `query` of a transaction that also does the work, work and record are one:
 * a second request with the same id waits for the first to commit, and nothing is ever done twice. Roll back whenever
 * {@link handleOnce} gives another status than 204: it throws nothing.
 */
export function makePostgresStore(query: PostgresQuery, options: PostgresStoreOptions = {}): PostgresStore {
  const { table = 'posthaste_notifications', retentionMs = DEFAULT_RETENTION_MS } = options;
  if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(table)) {
    throw new TypeError(`The name of a table has lower-case letters, digits and _: not "${table}".`);
  }
  const inMs = (parameter: string): string => `now() + ${parameter} * interval '1 millisecond'`;

  return {
    async createTable() {
      await query(
        `create table if not exists ${table} (
           id text primary key,
           token uuid,
           until timestamptz not null
         )`,
        [],
      );
    },
    async claim(id, leaseMs) {
      const token = randomUUID();
      // One statement, so that of two at once one sees the other. A row without token is done; an old one counts as none.
      const taken = await query(
        `insert into ${table} as held (id, token, until) values ($1, $2, ${inMs('$3::float8')})
         on conflict (id) do update set token = excluded.token, until = excluded.until where held.until <= now()
         returning id`,
        [id, token, leaseMs],
      );
      if (taken.rows.length > 0) return { state: 'claimed', token };
      const { rows } = await query(`select token from ${table} where id = $1 and token is null`, [id]);
      return { state: rows.length > 0 ? 'completed' : 'in_progress' };
    },
    async complete(id, token) {
      const { rows } = await query(
        `update ${table} set token = null, until = ${inMs('$3::float8')} where id = $1 and token = $2 returning id`,
        [id, token, retentionMs],
      );
      return rows.length > 0;
    },
    async release(id, token) {
      await query(`delete from ${table} where id = $1 and token = $2`, [id, token]);
    },
    async purge(limit = 10_000) {
      const { rows } = await query(
        `delete from ${table} where id in (select id from ${table} where until <= now() limit $1) returning id`,
        [limit],
      );
      return rows.length;
    },
  };
}
