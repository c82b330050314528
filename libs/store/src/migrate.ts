import { withLock } from './advisory-lock.ts';
import type { Database } from './database.ts';

/** The lock holds one, the migrator takes two. */
const POOL_SIZE = 3;

/**
 * Brings the schema up to date. Several processes may do so at once: one works, the others wait and find nothing to do.
 *
 * @throws what the driver throws when the database can not be reached
 */
export async function migrate(db: Database): Promise<void> {
  // On connections of its own: one that is lost in the middle of a migration is lost for its pool.
  const own = db.reopen(POOL_SIZE);
  try {
    await withLock(own, 'migrate', async () => {
      await own.orm.migrator.up();
    });
  } finally {
    await own.close();
  }
}
