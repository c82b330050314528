import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { silentStoreLogger, startPostgres, type TestPostgres } from '#testkit/postgres';
import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';

jest.setTimeout(120_000);

describe('migrate', () => {
  let postgres: TestPostgres;

  beforeAll(async () => {
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await postgres.stop();
  });

  test('makes the schema on an empty database once when several processes start at the same time, and again is nothing', async () => {
    const url = await postgres.createDatabase({ migrated: false });
    const databases = [1, 2, 3].map(() => openDatabase({ url, logger: silentStoreLogger }));
    await Promise.all(databases.map(migrate));
    const [db] = databases;
    if (db === undefined) throw new Error('no database');
    await migrate(db);
    const { rows } = await (
      await db.pool()
    ).query({
      text: `select relname, relkind from pg_class where relname in ('events', 'deliveries', 'attempts', 'dead_letters') order by 1`,
    });
    expect(rows).toEqual(
      ['attempts', 'dead_letters', 'deliveries', 'events'].map((relname) => ({ relname, relkind: 'p' })),
    );
    const done = await (await db.pool()).query({ text: 'select name from mikro_orm_migrations' });
    expect(done.rows).toHaveLength(1);
    await Promise.all(databases.map((each) => each.close()));
  });
});
