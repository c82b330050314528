import type { Database, PgClient } from './database.ts';

/** Runs `work` in a transaction on one connection. A connection that can not even roll back leaves the pool. */
export async function inTransaction<T>(db: Database, work: (client: PgClient) => Promise<T>): Promise<T> {
  return withClient(db, async (client) => {
    await client.query('begin');
    try {
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      await client.query('rollback');
      throw error;
    }
  });
}

/** Runs `work` on one connection. */
export async function withClient<T>(db: Database, work: (client: PgClient) => Promise<T>): Promise<T> {
  const client = await (await db.pool()).connect();
  let broken = true;
  try {
    const result = await work(client);
    broken = false;
    return result;
  } catch (error) {
    broken = !isAlive(error);
    throw error;
  } finally {
    client.release(broken);
  }
}

/** An error that Postgres itself answered leaves the connection usable; a lost connection has no severity. */
function isAlive(error: unknown): boolean {
  return error instanceof Error && (error as { severity?: unknown }).severity === 'ERROR';
}
