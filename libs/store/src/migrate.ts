import { withLock } from './advisory-lock.ts';
import type { Database } from './database.ts';

/**
 * Brings the schema up to date. Several processes may do so at once: one works, the others wait and find nothing to do.
 *
 * @throws what the driver throws when the database can not be reached
 */
export async function migrate(db: Database): Promise<void> {
  await withLock(db, 'migrate', async () => {
    await db.orm.migrator.up();
  });
}
