import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import type { Bus } from '#bus/connection';
import type { Fact } from '#contracts/bus/facts';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { ApiKeyId, DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import { makeLogger } from '#platform/logger';
import type { Database } from '#store/database';
import { findDelivery } from '#store/find-delivery';
import { findEvent } from '#store/find-event';
import { listDeadLetters } from '#store/list-dead-letters';
import { listApiKeys, listTenants } from '#store/list-registry';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { createTestDatabase, startPostgres, type TestPostgres } from '#testkit/postgres';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { makeProjector, type Projector } from './projector.ts';
import { makeProjectorMetrics } from './projector.metrics.ts';
import { requestRebuild } from './request-rebuild.ts';

const ACME = 'acme' as TenantId;
const DELIVERY = `dlv_${'0'.repeat(26)}` as DeliveryId;
const SUBSCRIPTION = `sub_${'0'.repeat(26)}` as SubscriptionId;

describe('the projector', () => {
  let nats: TestNats;
  let postgres: TestPostgres;
  let bus: TestBus;
  let db: Database;
  let metrics: Registry;
  let projector: Projector;

  beforeAll(async () => {
    [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
  });

  afterAll(async () => {
    await Promise.all([nats.stop(), postgres.stop()]);
  });

  beforeEach(async () => {
    bus = await makeTestBus(nats.url);
    db = await createTestDatabase(postgres);
    metrics = new Registry();
    projector = newProjector();
    projector.start();
  });

  afterEach(async () => {
    await projector.stop();
    await db.close();
    await bus.close();
  });

  function newProjector(own: { readonly bus: Bus; readonly db: Database } = { bus, db }): Projector {
    const logger = makeLogger({ name: 'projector-test', level: 'silent' });
    const parts = { ...own, logger, clock: Date.now, maxMessages: 500, maxWaitMs: 5 };
    return makeProjector({ ...parts, metrics: makeProjectorMetrics(metrics) });
  }

  async function publishEvent(id: string): Promise<number> {
    const { seq } = await bus.publisher.publish(bus.topology.eventSubject(ACME, 'a.b'), Buffer.from('{"n":1.10}'), {
      headers: [
        ['ce-specversion', '1.0'],
        ['ce-id', id],
        ['ce-source', '/here'],
        ['ce-type', 'a.b'],
        ['ce-datacontenttype', 'application/json'],
      ],
    });
    return seq;
  }

  async function publishFact(fact: Fact): Promise<void> {
    await bus.publisher.publish(bus.topology.journalSubject(fact.tenant, fact.kind), Buffer.from(JSON.stringify(fact)));
  }

  function matched(eventSeq: number, acceptedAtMs: number): Fact {
    const of = { tenant: ACME, eventSeq, acceptedAtMs, source: '/here', id: 'e1', type: 'a.b' };
    const matches = [{ delivery: DELIVERY, subscription: SUBSCRIPTION }];
    return { kind: 'matched', ...of, atMs: acceptedAtMs, matchCount: 1, matches };
  }

  async function publishRejected(eventSeq = 9) {
    const entry = {
      kind: 'rejected',
      tenant: ACME,
      subject: 'ce.acme.x',
      eventSeq,
      acceptedAtMs: Date.now(),
      violations: [{ rule: 'CE-1', pointer: 'ce-id', detail: 'The event has no id.' }],
      atMs: Date.now(),
    };
    await bus.publisher.publish(bus.topology.deadSubject(ACME, '_rejected'), Buffer.from(JSON.stringify(entry)));
    return entry;
  }

  async function publishStory(): Promise<void> {
    const seq = await publishEvent('e1');
    const [event] = await eventually(async () => {
      const events = await findEvent(db, ACME, 'e1');
      return events.length > 0 && events;
    });
    await publishFact(matched(seq, event?.acceptedAtMs ?? 0));
  }

  test('writes events, with exact attributes and without data, and the deliveries of their facts', async () => {
    await publishStory();
    const delivery = await eventually(() => findDelivery(db, ACME, DELIVERY));
    expect(delivery).toMatchObject({ state: 'pending', attemptCount: 0, attempts: [] });
    const [event] = await findEvent(db, ACME, 'e1');
    expect(event).toMatchObject({ source: '/here', dataBytes: 10, dataContentType: 'application/json', matchCount: 1 });
    expect(event?.attributes).toContainEqual(['type', 'a.b']);
    expect(projector.trouble()).toBeUndefined();
  });

  test('records what it can not read, and goes on', async () => {
    const subject = bus.topology.journalSubject(ACME, 'matched');
    await bus.publisher.publish(subject, Buffer.from('not JSON'));
    await bus.publisher.publish(subject, Buffer.from('{"kind":"matched"}'));
    await publishStory();
    await eventually(() => findDelivery(db, ACME, DELIVERY));
    // Those that a batch has beside good ones are recorded after these.
    const faults = await eventually(async () => {
      const pool = await db.pool();
      const { rows } = await pool.query({ text: 'select stream, seq::int, code from projection_faults order by seq' });
      return rows.length >= 2 && rows;
    });
    expect(faults).toEqual([
      { stream: 'JOURNAL', seq: 1, code: 'projector.unreadable' },
      { stream: 'JOURNAL', seq: 2, code: 'store.unstorable_row' },
    ]);
  });

  test('writes rejected events and the registry', async () => {
    const entry = await publishRejected();
    const records: RegistryRecord[] = [
      {
        aggregate: 'tenant',
        id: ACME,
        tenant: ACME,
        event: { kind: 'TenantCreated', id: ACME, name: 'Acme', atMs: 1, by: 'admin' },
      },
      {
        aggregate: 'apikey',
        id: 'key_1',
        tenant: ACME,
        event: {
          kind: 'ApiKeyCreated',
          id: 'key_1' as ApiKeyId,
          tenant: ACME,
          hash: 'never stored',
          name: 'ci',
          scopes: ['publish'],
          atMs: 2,
          by: 'admin',
        },
      },
    ];
    for (const record of records) {
      const subject = bus.topology.registrySubject(ACME, record.aggregate, record.id);
      await bus.publisher.publish(subject, Buffer.from(JSON.stringify(record)));
    }
    await eventually(async () => (await listApiKeys(db, ACME, {})).data.length > 0);
    expect((await listTenants(db, {})).data).toMatchObject([{ id: ACME, name: 'Acme' }]);
    const { data } = await eventually(async () => {
      const page = await listDeadLetters(db, ACME, {});
      return page.data.length > 0 && page;
    });
    expect(data).toMatchObject([{ kind: 'rejected', violations: entry.violations }]);
  });

  test('catches up when PostgreSQL was away, and says meanwhile that it is not ready', async () => {
    await publishStory();
    await postgres.halt();
    try {
      for (let i = 0; i < 300; i++) await publishEvent(`later-${i}`);
      expect(await eventually(() => projector.trouble())).toMatch(/./);
    } finally {
      await postgres.restart();
    }
    await eventually(async () => (await findEvent(db, ACME, 'later-299')).length > 0, { deadlineMs: 30_000 });
    await eventually(() => projector.trouble() === undefined);
    const { rows } = await (await db.pool()).query({ text: 'select count(*)::int as count from events' });
    expect(rows).toEqual([{ count: 301 }]);
  });

  test('is in trouble while one table can not be written, however well the others are', async () => {
    const statement = async (text: string) => (await db.pool()).query({ text });
    await publishStory();
    await statement('alter table dead_letters rename column kind to away');
    await publishRejected();
    await eventually(() => projector.trouble());
    for (let i = 0; i < 10; i++) {
      await publishEvent(`meanwhile-${i}`);
      await eventually(async () => (await findEvent(db, ACME, `meanwhile-${i}`)).length > 0);
      expect(projector.trouble()).toContain('dead_letters');
    }
    await statement('alter table dead_letters rename column away to kind');
    await eventually(async () => (await listDeadLetters(db, ACME, {})).data.length > 0);
    await eventually(() => projector.trouble() === undefined);
  });

  test('makes the same rows again from the streams when asked to rebuild', async () => {
    await publishStory();
    const before = await eventually(() => findDelivery(db, ACME, DELIVERY));
    await (await db.pool()).query({ text: 'update deliveries set tenant = $1', values: ['mistaken'] });
    expect(await findDelivery(db, ACME, DELIVERY)).toBeUndefined();
    expect(await requestRebuild(await bus.another(), db)).toBe('projector');
    expect(await eventually(() => findDelivery(db, ACME, DELIVERY))).toEqual(before);
  });

  test('is rebuilt whole beside another projector that goes on writing', async () => {
    const [otherDb, readerDb] = [db.reopen(6), db.reopen(1)];
    metrics = new Registry();
    const other = newProjector({ bus: await bus.another(), db: otherDb });
    other.start();
    const rejectedCount = async () => (await listDeadLetters(db, ACME, {})).data.length;
    await publishRejected(1);
    await eventually(async () => (await rejectedCount()) === 1);
    const reader = await (await readerDb.pool()).connect();
    await reader.query('begin');
    await reader.query('select 1 from events');
    const rebuilding = requestRebuild(await bus.another(), db);
    await eventually(async () => {
      const text = `select 1 from pg_locks where mode = 'AccessExclusiveLock' and not granted`;
      return (await (await db.pool()).query({ text })).rows.length > 0;
    });
    await publishRejected(2);
    await eventually(async () => (await rejectedCount()) === 2);
    await reader.query('commit');
    reader.release();
    expect(await rebuilding).toBe('projector');
    await eventually(async () => (await rejectedCount()) === 2);
    await other.stop();
    await Promise.all([otherDb.close(), readerDb.close()]);
  });

  test('is rebuilt without a projector too: the next one replays', async () => {
    await publishStory();
    const before = await eventually(() => findDelivery(db, ACME, DELIVERY));
    await projector.stop();
    expect(await requestRebuild(bus, db)).toBe('here');
    expect(await findDelivery(db, ACME, DELIVERY)).toBeUndefined();
    metrics = new Registry();
    projector = newProjector();
    projector.start();
    expect(await eventually(() => findDelivery(db, ACME, DELIVERY))).toEqual(before);
  });
});
