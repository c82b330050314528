import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { withLease } from '#store/advisory-lock';
import type { Database } from '#store/database';
import { dropPartitionsBefore, ensurePartitions, partitionName, PARTITIONED_TABLES } from '#store/partitions';
import { dayOf, startOfDayMs } from '#store/storable';
import { createTestDatabase, startPostgres, type TestPostgres } from '#testkit/postgres';
import { keepPartitions } from './keep-partitions.ts';

const TODAY = 20_779;
const nowMs = startOfDayMs(TODAY) + 1000;

describe('keepPartitions', () => {
  let postgres: TestPostgres;
  let db: Database;

  beforeAll(async () => {
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await postgres.stop();
  });

  beforeEach(async () => {
    db = await createTestDatabase(postgres);
  });

  afterEach(async () => {
    await db.close();
  });

  async function daysOf(table: string): Promise<readonly unknown[]> {
    const { rows } = await (
      await db.pool()
    ).query({
      text: `select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1`,
      values: [table],
    });
    return rows.map((row) => row['name']);
  }

  test('makes today and the seven days after it, and keeps exactly the days of retention', async () => {
    await ensurePartitions(db, { fromDay: TODAY - 5, days: 5 });
    const done = await keepPartitions(db, { nowMs, retentionDays: 2 });
    expect(done?.made).toBe(8 * 4);
    expect(done?.dropped).toHaveLength(3 * 4);
    for (const table of PARTITIONED_TABLES) {
      const expected = Array.from({ length: 10 }, (_, i) => partitionName(table, TODAY - 2 + i));
      expect(await daysOf(table)).toEqual(expected);
    }
    expect(await keepPartitions(db, { nowMs, retentionDays: 2 })).toEqual({ made: 0, dropped: [] });
  });

  test('does nothing while another janitor holds the lease', async () => {
    await withLease(db, 'janitor', async () => {
      expect(await keepPartitions(db, { nowMs, retentionDays: 2 })).toBeUndefined();
    });
    expect(await keepPartitions(db, { nowMs, retentionDays: 2 })).toBeDefined();
  });

  test('drops what a janitor that died had only detached', async () => {
    await ensurePartitions(db, { fromDay: TODAY - 3, days: 1 });
    const name = partitionName('events', TODAY - 3);
    await (await db.pool()).query({ text: `alter table events detach partition ${name}` });
    expect(await dropPartitionsBefore(db, TODAY)).toContain(name);
  });

  test('makes a day once when several processes need it at the same time', async () => {
    const day = { fromDay: dayOf(nowMs), days: 3 };
    const made = await Promise.all([1, 2, 3, 4].map(() => ensurePartitions(db, day)));
    expect(made.toSorted((a, b) => a - b)).toEqual([0, 0, 0, 12]);
  });
});
