import { LOCK_SPACE, LOCKS } from './advisory-lock.ts';
import type { Database, PgClient } from './database.ts';
import { startOfDayMs } from './storable.ts';
import { inTransaction, withClient } from './transaction.ts';

export const PARTITIONED_TABLES = ['events', 'deliveries', 'attempts', 'dead_letters'] as const;
export type PartitionedTable = (typeof PARTITIONED_TABLES)[number];

/** `events_20261122` for the day that begins at 2026-11-22T00:00Z. */
export function partitionName(table: PartitionedTable, day: number): string {
  return `${table}_${new Date(startOfDayMs(day)).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** Makes the partitions of `days` days from `fromDay` (days since 1970-01-01 UTC). @returns how many were new */
export async function ensurePartitions(
  db: Database,
  { fromDay, days }: { readonly fromDay: number; readonly days: number },
): Promise<number> {
  return makeDays(
    db,
    Array.from({ length: days }, (_, i) => fromDay + i),
  );
}

/** Makes the partitions of the days that a batch needs. Free when this process has seen them. */
export async function ensureDays(db: Database, days: Iterable<number>): Promise<void> {
  const unknown = [...new Set(days)].filter((day) => !db.knownDays.has(day));
  if (unknown.length > 0) await makeDays(db, unknown);
}

/**
 * A table of the same shape is made first and then attached: that takes a lock which neither readers nor writers of other
 * days notice, where `create table … partition of` would wait for every one of them and keep the next ones out.
 */
async function makeDays(db: Database, days: readonly number[]): Promise<number> {
  const made = await inTransaction(db, async (client) => {
    await client.query({ text: 'select pg_advisory_xact_lock($1, $2)', values: [LOCK_SPACE, LOCKS.partitions] });
    let count = 0;
    for (const day of days) {
      for (const table of PARTITIONED_TABLES) count += await makePartition(client, table, day);
    }
    return count;
  });
  for (const day of days) db.knownDays.add(day);
  return made;
}

async function makePartition(client: PgClient, table: PartitionedTable, day: number): Promise<number> {
  const name = partitionName(table, day);
  const { rows } = await client.query({
    text: `select exists (select from pg_inherits where inhrelid = to_regclass($1) and not inhdetachpending) as attached,
                  to_regclass($1) is not null as made`,
    values: [name],
  });
  if (rows[0]?.['attached'] === true) return 0;
  // Left behind by a janitor that died between detaching and dropping: it was to go anyway.
  if (rows[0]?.['made'] === true) await client.query(`drop table ${name}`);
  const [from, to] = [day, day + 1].map((each) => new Date(startOfDayMs(each)).toISOString());
  await client.query(`create table ${name} (like ${table} including all)`);
  await client.query(`alter table ${table} attach partition ${name} for values from ('${from}') to ('${to}')`);
  return 1;
}

/**
 * Drops every day before `day`. Detached concurrently first, so that no query waits; a partition whose
 * detaching was cut short by a crash is finished.
 *
 * Call it with the lease only (`withLease(db, 'janitor', …)`).
 *
 * @returns the names of what was dropped
 */
export async function dropPartitionsBefore(db: Database, day: number): Promise<readonly string[]> {
  return withClient(db, async (client) => {
    const dropped: string[] = [];
    for (const table of PARTITIONED_TABLES) {
      for (const partition of await partitionsBefore(client, table, partitionName(table, day))) {
        await dropPartition(client, table, partition);
        dropped.push(partition.name);
      }
    }
    return dropped;
  });
}

interface Partition {
  readonly name: string;
  readonly state: 'attached' | 'detaching' | 'detached';
}

async function partitionsBefore(client: PgClient, table: PartitionedTable, end: string): Promise<readonly Partition[]> {
  const { rows } = await client.query({
    text: `select c.relname as name,
                  case when i.inhrelid is null then 'detached' when i.inhdetachpending then 'detaching' else 'attached' end as state
             from pg_class c left join pg_inherits i on i.inhrelid = c.oid
            where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
              and c.relname ~ $1 and c.relname < $2 collate "C"
            order by c.relname`,
    values: [`^${table}_[0-9]{8}$`, end],
  });
  return rows as unknown as readonly Partition[];
}

async function dropPartition(client: PgClient, table: PartitionedTable, { name, state }: Partition): Promise<void> {
  if (state === 'attached') await client.query(`alter table ${table} detach partition ${name} concurrently`);
  if (state === 'detaching') await client.query(`alter table ${table} detach partition ${name} finalize`);
  await client.query(`drop table ${name}`);
}
