import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createClient } from '@redis/client';
import { Redis } from 'ioredis';
import type { Database } from '#store/database';
import { eventually } from '#testkit/eventually';
import { createTestDatabase, startPostgres, type TestPostgres } from '#testkit/postgres';
import { startRedis, type TestRedis } from '#testkit/redis';
import { handleOnce, type IdempotencyStore } from './handle-once.ts';
import { makeMemoryStore } from './memory-store.ts';
import { makePostgresStore, type PostgresQuery } from './postgres-store.ts';
import { makeRedisStore, type RedisCommand } from './redis-store.ts';

let postgres: TestPostgres;
let database: Database;
let redis: TestRedis;
let query: PostgresQuery;
let byNodeRedis: RedisCommand;
let byIoredis: RedisCommand;
let closeRedis: () => void;

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  database = await createTestDatabase(postgres);
  const pool = await database.pool();
  query = (text, values) => pool.query({ text, values });
  await makePostgresStore(query).createTable();
  await makePostgresStore(query).createTable(); // a second start
  const client = createClient({ socket: { host: '127.0.0.1', port: redis.port } });
  await client.connect();
  const ioredis = new Redis(redis.port, '127.0.0.1');
  closeRedis = () => {
    client.destroy();
    ioredis.disconnect();
  };
  byNodeRedis = (args) => client.sendCommand([...args]);
  byIoredis = ([name = '', ...rest]) => ioredis.call(name, ...rest);
}, 120_000);

afterAll(async () => {
  closeRedis();
  await database.close();
  await Promise.all([postgres.stop(), redis.stop()]);
});

interface Options {
  readonly retentionMs?: number;
}

const STORES: Readonly<Record<string, (options?: Options) => IdempotencyStore>> = {
  memory: makeMemoryStore,
  Postgres: (options) => makePostgresStore(query, options),
  'Redis (node-redis)': (options) => makeRedisStore(byNodeRedis, options),
  'Redis (ioredis)': (options) => makeRedisStore(byIoredis, options),
};

let count = 0;
const newId = (): string => `dlv_${++count}`;

describe.each(Object.keys(STORES))('the %s store', (name) => {
  const open = (options?: Options): IdempotencyStore => STORES[name]?.(options) ?? makeMemoryStore();

  const claimed = async (store: IdempotencyStore, id: string, leaseMs = 60_000): Promise<string> => {
    const claim = await store.claim(id, leaseMs);
    return claim.state === 'claimed' ? claim.token : claim.state;
  };

  test('gives one claim, until it is complete', async () => {
    const [store, id] = [open(), newId()];
    const token = await claimed(store, id);
    expect((await store.claim(id, 1000)).state).toBe('in_progress');
    expect(await store.complete(id, token)).toBe(true);
    expect((await store.claim(id, 1000)).state).toBe('completed');
    expect(await store.complete(id, token)).toBe(false);
  });

  test('gives one claim of many at once', async () => {
    const [store, id] = [open(), newId()];
    const claims = await Promise.all(Array.from({ length: 20 }, () => store.claim(id, 60_000)));
    expect(claims.map(({ state }) => state).toSorted()).toEqual(['claimed', ...Array<string>(19).fill('in_progress')]);
  });

  test('takes a claim back', async () => {
    const [store, id] = [open(), newId()];
    await store.release(id, await claimed(store, id));
    expect((await store.claim(id, 1000)).state).toBe('claimed');
  });

  test('gives the claim to another when its lease is over, and then knows the first one no more', async () => {
    const [store, id] = [open(), newId()];
    const first = await claimed(store, id, 30);
    const second = await eventually(async () => {
      const claim = await store.claim(id, 60_000);
      return claim.state === 'claimed' && claim.token;
    });
    expect(await store.complete(id, first)).toBe(false);
    await store.release(id, first);
    expect((await store.claim(id, 1000)).state).toBe('in_progress');
    expect(await store.complete(id, second)).toBe(true);
  });

  test('remembers what was done for as long as it is told', async () => {
    const [long, remembered] = [open({ retentionMs: 60_000 }), newId()];
    expect(await long.complete(remembered, await claimed(long, remembered))).toBe(true);
    expect((await long.claim(remembered, 1000)).state).toBe('completed');
    const [short, forgotten] = [open({ retentionMs: 50 }), newId()];
    expect(await short.complete(forgotten, await claimed(short, forgotten))).toBe(true);
    await eventually(async () => (await short.claim(forgotten, 60_000)).state === 'claimed');
  });

  test('does nothing to what is not there, and takes any id as it is', async () => {
    const store = open();
    expect(await store.complete('nothing', 'a8098c1a-f86e-11da-bd1a-00112444be1e')).toBe(false);
    await store.release('nothing', 'a8098c1a-f86e-11da-bd1a-00112444be1e');
    const odd = `'"; drop -- é ${newId()}`;
    expect(await handleOnce({ store, id: odd }, () => Promise.resolve())).toMatchObject({ outcome: 'handled' });
    expect(await handleOnce({ store, id: odd }, () => Promise.resolve())).toMatchObject({ outcome: 'duplicate' });
  });
});

describe('the Postgres store', () => {
  test('does work and record in one transaction, so that neither is there without the other', async () => {
    const pool = await database.pool();
    await query('create table work (id text)', []);
    const id = newId();
    const inTransaction = async (end: 'commit' | 'rollback') => {
      const client = await pool.connect();
      try {
        const own: PostgresQuery = (text, values) => client.query({ text, values });
        await own('begin', []);
        const result = await handleOnce({ store: makePostgresStore(own), id }, async () => {
          await own('insert into work values ($1)', [id]);
        });
        await own(end, []);
        return result.outcome;
      } finally {
        client.release();
      }
    };
    expect(await inTransaction('rollback')).toBe('handled');
    expect((await query('select * from work', [])).rows).toEqual([]);
    const outcomes = await Promise.all([inTransaction('commit'), inTransaction('commit'), inTransaction('commit')]);
    expect(outcomes.toSorted()).toEqual(['duplicate', 'duplicate', 'handled']);
    expect((await query('select * from work', [])).rows).toEqual([{ id }]);
  });

  test('deletes what is over when told', async () => {
    const store = makePostgresStore(query, { table: 'public.purged', retentionMs: 1 });
    await store.createTable();
    for (const id of ['a', 'b', 'c']) await handleOnce({ store, id }, () => Promise.resolve());
    const keeping = makePostgresStore(query, { table: 'public.purged' });
    await handleOnce({ store: keeping, id: 'kept' }, () => Promise.resolve());
    await eventually(async () => (await query('select from public.purged where until <= now()', [])).rows.length === 3);
    expect(await store.purge(2)).toBe(2);
    expect(await store.purge()).toBe(1);
    expect((await keeping.claim('kept', 1)).state).toBe('completed');
  });

  test('takes no name of a table that is more than a name', () => {
    expect(() => makePostgresStore(query, { table: 'a; drop table b' })).toThrow('lower-case letters');
  });
});
