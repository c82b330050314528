import type { Database } from './database.ts';
import { PARTITIONED_TABLES } from './partitions.ts';
import { inTransaction } from './transaction.ts';

const TABLES = [...PARTITIONED_TABLES, 'tenants', 'subscriptions', 'api_keys', 'projection_faults'];

/**
 * Empties every projection: all of it can be made again from the streams. Partitions stay.
 *
 * @param meanwhile done while nobody else can write; when it throws, nothing is emptied
 */
export async function truncateProjections(
  db: Database,
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await inTransaction(db, async (client) => {
    await client.query({ text: `truncate ${TABLES.join(', ')}` });
    await meanwhile();
  });
}
