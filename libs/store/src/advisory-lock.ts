import type { Database } from './database.ts';
import { withClient } from './transaction.ts';

/** First half of every advisory lock key, so that other programs in the same database are not met: "phst". */
export const LOCK_SPACE = 0x70687374;

export const LOCKS = { migrate: 1, partitions: 2, janitor: 3 } as const;
export type LockName = keyof typeof LOCKS;

/** Waits for the lock, held by the session: if the process dies, Postgres frees it. */
export async function withLock<T>(db: Database, name: LockName, work: () => Promise<T>): Promise<T> {
  return withClient(db, async (client) => {
    await client.query({ text: 'select pg_advisory_lock($1, $2)', values: [LOCK_SPACE, LOCKS[name]] });
    try {
      return await work();
    } finally {
      await client.query({ text: 'select pg_advisory_unlock($1, $2)', values: [LOCK_SPACE, LOCKS[name]] });
    }
  });
}

/**
 * A lease on a chore: runs `work` if nobody else does now, else answers undefined at once.
 */
export async function withLease<T>(db: Database, name: LockName, work: () => Promise<T>): Promise<T | undefined> {
  return withClient(db, async (client) => {
    const key = [LOCK_SPACE, LOCKS[name]];
    const { rows } = await client.query({ text: 'select pg_try_advisory_lock($1, $2) as taken', values: key });
    if (rows[0]?.['taken'] !== true) return undefined;
    try {
      return await work();
    } finally {
      await client.query({ text: 'select pg_advisory_unlock($1, $2)', values: key });
    }
  });
}
