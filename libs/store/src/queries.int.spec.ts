import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { TenantId } from '#core/ids';
import { aSpec } from '#testkit/a-subscription';
import { createTestDatabase, startPostgres, type TestPostgres } from '#testkit/postgres';
import type { Database } from './database.ts';
import { ACME, aMatched, anAttempt, deliveryId, NOON, subscriptionId } from '#testkit/facts';
import { findDelivery } from './find-delivery.ts';
import { findEvent } from './find-event.ts';
import { listDeadLetters } from './list-dead-letters.ts';
import { listDeliveries } from './list-deliveries.ts';
import { listApiKeys, listTenants } from './list-registry.ts';
import { parseCursor, type Cursor, type Page, type PageRequest } from './page.ts';
import { writeDeadLetters } from './write-dead-letters.ts';
import { writeEvents, type AcceptedEvent } from './write-events.ts';
import { writeFacts } from './write-facts.ts';
import { writeRegistry } from './write-registry.ts';

jest.setTimeout(120_000);

const GLOBEX = 'globex' as TenantId;
const SPEC = aSpec({ sink: 'https://example.com/hook', filters: [{ exact: { subject: 'a\0b\ud800' } }] });

describe('look-ups', () => {
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

  function anAccepted(seq: number, given: Partial<AcceptedEvent> = {}): AcceptedEvent {
    return {
      seq,
      acceptedAtMs: NOON + seq,
      tenant: ACME,
      source: '/orders',
      id: `event-${seq}`,
      type: 'com.example.order.placed',
      attributes: [['id', `event-${seq}`]],
      ...given,
    };
  }

  /** Event n with one delivery n to subscription n mod 2. */
  async function writeDelivery(n: number, delivered = false): Promise<void> {
    const of = { delivery: deliveryId(n), subscription: subscriptionId(n % 2) };
    const event = { eventSeq: n, acceptedAtMs: NOON + n, id: `event-${n}` };
    await writeFacts(db, [
      { seq: 2 * n, fact: aMatched({ ...event, matches: [of] }) },
      ...(delivered ? [{ seq: 2 * n + 1, fact: anAttempt({ ...event, ...of }) }] : []),
    ]);
  }

  async function pagesOf<Entry>(list: (page: PageRequest) => Promise<Page<Entry>>, limit: number): Promise<Entry[][]> {
    const pages: Entry[][] = [];
    let after: Cursor | undefined;
    do {
      const page = await list({ limit, after });
      pages.push([...page.data]);
      after = page.next === undefined ? undefined : parseCursor(page.next);
    } while (after !== undefined);
    return pages;
  }

  describe('findEvent', () => {
    test('gives attributes back exactly: order, spelling, values', async () => {
      const attributes: AcceptedEvent['attributes'] = [
        ['specversion', '1.0'],
        ['time', '2026-11-22T12:00:00.000000000+00:00'],
        ['zeta', 1],
        ['alpha', true],
        ['id', 'é\u{1F600}"\\'],
      ];
      await writeEvents(db, [anAccepted(1, { attributes, dataBytes: 0, dataContentType: 'text/plain' })]);
      expect(await findEvent(db, ACME, 'event-1')).toEqual([
        {
          tenant: ACME,
          seq: 1,
          source: '/orders',
          id: 'event-1',
          type: 'com.example.order.placed',
          acceptedAtMs: NOON + 1,
          attributes,
          dataBytes: 0,
          dataContentType: 'text/plain',
        },
      ]);
    });

    test('gives one event per source, the newest of each', async () => {
      await writeEvents(db, [
        anAccepted(1, { id: 'same' }),
        anAccepted(2, { id: 'same', acceptedAtMs: NOON + 3 * 86_400_000 }),
        anAccepted(3, { id: 'same', source: '/other' }),
      ]);
      expect((await findEvent(db, ACME, 'same')).map(({ seq }) => seq)).toEqual([2, 3]);
      expect((await findEvent(db, ACME, 'same', '/other')).map(({ seq }) => seq)).toEqual([3]);
    });

    test('finds an id of 60 000 characters, and keeps what the matcher says in either order', async () => {
      const id = 'x'.repeat(60_000);
      await writeFacts(db, [{ seq: 1, fact: aMatched({ id, matchCount: 7, acceptedAtMs: NOON + 1 }) }]);
      expect(await findEvent(db, ACME, id)).toMatchObject([{ matchCount: 7 }]);
      await writeEvents(db, [anAccepted(1, { id })]);
      expect(await findEvent(db, ACME, id)).toMatchObject([{ matchCount: 7, attributes: [['id', 'event-1']] }]);
      expect(await findEvent(db, ACME, 'nul\0')).toEqual([]);
      expect(await findEvent(db, ACME, id, 'nul\0')).toEqual([]);
    });
  });

  describe('listDeliveries', () => {
    test('goes through everything once, newest first, while newer deliveries arrive', async () => {
      for (let n = 1; n <= 25; n++) await writeDelivery(n);
      let newest = 25;
      const pages = await pagesOf(async (page) => {
        await writeDelivery(++newest);
        return listDeliveries(db, ACME, page);
      }, 10);
      const seen = pages.flat().map(({ event }) => event.seq);
      expect(seen).toEqual(Array.from({ length: 26 }, (_, i) => 26 - i));
      expect(pages.map(({ length }) => length)).toEqual([10, 10, 6]);
    });

    test('has no next page after exactly the last entry', async () => {
      for (let n = 1; n <= 4; n++) await writeDelivery(n);
      expect((await pagesOf((page) => listDeliveries(db, ACME, page), 2)).map(({ length }) => length)).toEqual([2, 2]);
    });

    test('tells deliveries of one millisecond apart', async () => {
      const matches = Array.from({ length: 7 }, (_, n) => ({
        delivery: deliveryId(n),
        subscription: subscriptionId(n),
      }));
      await writeFacts(db, [{ seq: 1, fact: aMatched({ matches, matchCount: 7 }) }]);
      const ids = (await pagesOf((page) => listDeliveries(db, ACME, page), 3)).flat().map(({ id }) => id);
      expect(ids).toEqual(matches.map(({ delivery }) => delivery).toReversed());
    });

    test('filters by event, subscription and state, and shows the last attempt', async () => {
      for (let n = 1; n <= 6; n++) await writeDelivery(n, n > 3);
      const list = async (filter: Parameters<typeof listDeliveries>[2]) =>
        (await listDeliveries(db, ACME, filter)).data.map(({ event }) => event.seq);
      expect(await list({ event: 'event-2' })).toEqual([2]);
      expect(await list({ event: 'event-2', source: '/elsewhere' })).toEqual([]);
      expect(await list({ event: 'unheard-of' })).toEqual([]);
      expect(await list({ subscription: subscriptionId(1) })).toEqual([5, 3, 1]);
      expect(await list({ subscription: subscriptionId(1), state: 'pending' })).toEqual([3, 1]);
      expect(await list({ state: 'delivered' })).toEqual([6, 5, 4]);
      const { data } = await listDeliveries(db, ACME, { event: 'event-6' });
      expect(data).toMatchObject([{ attemptCount: 1, lastStatus: 200, lastOutcome: 'delivered' }]);
    });
  });

  test('listDeadLetters shows dead deliveries and rejected events, the later word where two differ', async () => {
    const rejected = {
      kind: 'rejected' as const,
      tenant: ACME,
      subject: 'ce.acme.x',
      eventSeq: 5,
      acceptedAtMs: NOON,
      violations: [{ rule: 'CE-1', pointer: 'ce-id', detail: 'There is no id.\0' }],
      atMs: NOON + 1,
    };
    const { attempt: _, kind: __, ...of } = anAttempt();
    const died = {
      ...of,
      kind: 'delivery' as const,
      reason: 'gone' as const,
      attempts: 3,
      lastStatus: 410,
      atMs: NOON + 2,
    };
    await writeDeadLetters(db, [
      { seq: 4, letter: { ...died, reason: 'deadline_passed' } },
      { seq: 3, letter: died },
      { seq: 1, letter: rejected },
      { seq: 1, letter: rejected },
    ]);
    await writeDeadLetters(db, [{ seq: 3, letter: died }]);
    // A later round that ended before a request was made: another death after as many attempts.
    const diedAgain = { ...died, attempt: 4, reason: 'subscription_disabled' as const, atMs: NOON + 3 };
    await writeDeadLetters(db, [{ seq: 5, letter: diedAgain }]);
    const { data } = await listDeadLetters(db, ACME, {});
    expect(data).toMatchObject([
      { kind: 'delivery', delivery: deliveryId(1), reason: 'subscription_disabled', attemptCount: 3 },
      { kind: 'delivery', delivery: deliveryId(1), reason: 'deadline_passed', attemptCount: 3, lastStatus: 410 },
      { kind: 'rejected', subject: 'ce.acme.x', violations: rejected.violations, event: { seq: 5 } },
    ]);
    expect((await listDeadLetters(db, ACME, { kind: 'rejected' })).data).toHaveLength(1);
    expect((await pagesOf((page) => listDeadLetters(db, ACME, page), 1)).flat()).toEqual(data);
  });

  test('lists of the registry are the same whatever the order of its records, without secrets', async () => {
    const subscription = subscriptionId(1);
    const of = { tenant: ACME, by: 'admin' };
    const events: RegistryRecord[] = [
      {
        aggregate: 'tenant',
        ...of,
        id: ACME,
        event: { kind: 'TenantCreated', id: ACME, name: 'A', atMs: 10, by: 'admin' },
      },
      { aggregate: 'tenant', ...of, id: ACME, event: { kind: 'TenantRenamed', name: 'Acme', atMs: 20, by: 'admin' } },
      {
        aggregate: 'subscription',
        ...of,
        id: subscription,
        event: { kind: 'SubscriptionCreated', id: subscription, ...of, spec: SPEC, sealedSecret: 'sealed', atMs: 30 },
      },
      {
        aggregate: 'subscription',
        ...of,
        id: subscription,
        event: {
          kind: 'SubscriptionReplaced',
          spec: { ...SPEC, sink: 'https://example.com/new' },
          atMs: 40,
          by: 'admin',
        },
      },
      {
        aggregate: 'subscription',
        ...of,
        id: subscription,
        event: { kind: 'SubscriptionPaused', atMs: 45, by: 'admin' },
      },
      {
        aggregate: 'subscription',
        ...of,
        id: subscriptionId(2),
        event: { kind: 'SubscriptionCreated', id: subscriptionId(2), ...of, spec: SPEC, atMs: 50 },
      },
      {
        aggregate: 'subscription',
        ...of,
        id: subscriptionId(2),
        event: { kind: 'SubscriptionDeleted', atMs: 60, by: 'admin' },
      },
    ];
    const records = events.map((record, i) => ({ seq: i + 1, record }));
    for (const order of [records, records.toReversed()]) {
      await (await db.pool()).query({ text: 'truncate tenants, subscriptions, api_keys' });
      for (const record of [...order, ...order]) await writeRegistry(db, [record]);
      expect((await listTenants(db, {})).data).toEqual([{ id: ACME, name: 'Acme', createdAtMs: 10, updatedAtMs: 20 }]);
      const text = `select id, tenant, spec, created_at, updated_at, deleted_at is null as is_there
                      from subscriptions order by id`;
      expect((await (await db.pool()).query({ text })).rows).toMatchObject([
        {
          id: subscription,
          tenant: ACME,
          spec: { ...SPEC, sink: 'https://example.com/new' },
          created_at: '1970-01-01 00:00:00.03+00',
          updated_at: '1970-01-01 00:00:00.045+00',
          is_there: true,
        },
        { id: subscriptionId(2), is_there: false },
      ]);
    }
    const { rows } = await (await db.pool()).query({ text: 'select s::text as row from subscriptions s' });
    expect(JSON.stringify(rows)).not.toContain('sealed');
  });

  test('a record that no list shows is no fault', async () => {
    const event = { kind: 'RedeliveryCancelled', atMs: 1, by: 'admin' } as const;
    const record: RegistryRecord = { aggregate: 'redelivery', id: 'red_1', tenant: ACME, event };
    expect(await writeRegistry(db, [{ seq: 1, record }])).toEqual({ written: 1, faults: [] });
  });

  test('another tenant sees nothing of all this', async () => {
    await writeEvents(db, [anAccepted(1)]);
    await writeDelivery(1, true);
    await writeDeadLetters(db, [
      { seq: 1, letter: { ...anAttempt(), kind: 'delivery', reason: 'gone', attempts: 1, atMs: NOON } },
    ]);
    const of = { tenant: ACME, by: 'admin', atMs: 1 };
    await writeRegistry(db, [
      {
        seq: 1,
        record: {
          aggregate: 'subscription',
          id: 's',
          tenant: ACME,
          event: { kind: 'SubscriptionCreated', id: subscriptionId(1), ...of, spec: SPEC },
        },
      },
      {
        seq: 2,
        record: {
          aggregate: 'apikey',
          id: 'k',
          tenant: ACME,
          event: { kind: 'ApiKeyCreated', id: 'k' as never, ...of, hash: 'h', name: 'n', scopes: ['read'] },
        },
      },
    ]);
    const seenBy = async (tenant: TenantId) => [
      (await findEvent(db, tenant, 'event-1')).length,
      (await findDelivery(db, tenant, deliveryId(1))) === undefined ? 0 : 1,
      (await listDeliveries(db, tenant, {})).data.length,
      (await listDeliveries(db, tenant, { event: 'event-1' })).data.length,
      (await listDeliveries(db, tenant, { subscription: subscriptionId(1) })).data.length,
      (await listDeadLetters(db, tenant, {})).data.length,
      (await listApiKeys(db, tenant, {})).data.length,
    ];
    expect(await seenBy(ACME)).toEqual([1, 1, 1, 1, 1, 1, 1]);
    expect(await seenBy(GLOBEX)).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });
});
