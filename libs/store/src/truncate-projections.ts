import type { Database } from './database.ts';
import { PARTITIONED_TABLES } from './partitions.ts';

const TABLES = [...PARTITIONED_TABLES, 'tenants', 'subscriptions', 'api_keys', 'projection_faults'];

/** Empties every projection: all of it can be made again from the streams. Partitions stay. */
export async function truncateProjections(db: Database): Promise<void> {
  await (await db.pool()).query({ text: `truncate ${TABLES.join(', ')}` });
}
