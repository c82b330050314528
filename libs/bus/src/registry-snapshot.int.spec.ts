import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  makeApiKeyId,
  makeRedeliveryId,
  makeSubscriptionId,
  type RedeliveryId,
  type SubscriptionId,
  type TenantId,
} from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { aSpec } from '#testkit/a-subscription';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import type { Bus } from './connection.ts';
import { openRegistrySnapshot, type RegistrySnapshot } from './registry-snapshot.ts';

const ACME = 'acme' as TenantId;
const OTHER = 'other' as TenantId;

let nats: TestNats;
let bus: TestBus;
let writer: Bus;
let snapshot: RegistrySnapshot;
let made = 0;

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  writer = await bus.another();
  await append(tenantCreated(ACME));
  snapshot = await openRegistrySnapshot(bus);
});

afterAll(async () => {
  await snapshot.stop();
  await bus.close();
  await nats.stop();
});

const subjectOf = (record: RegistryRecord): string =>
  bus.topology.registrySubject(record.tenant, record.aggregate, record.id);

async function append(record: RegistryRecord): Promise<number> {
  const ack = await writer.publisher.publish(subjectOf(record), new TextEncoder().encode(JSON.stringify(record)));
  return ack.seq;
}

function tenantCreated(id: TenantId): RegistryRecord {
  return { aggregate: 'tenant', id, tenant: id, event: { kind: 'TenantCreated', id, name: id, atMs: 1, by: 'admin' } };
}

const SPEC = aSpec();

const newId = (): SubscriptionId => makeSubscriptionId(made++, new Uint8Array(10));

function subscriptionCreated(id: SubscriptionId): RegistryRecord {
  return {
    aggregate: 'subscription',
    id,
    tenant: ACME,
    event: { kind: 'SubscriptionCreated', id, tenant: ACME, spec: SPEC, atMs: 1, by: 'admin' },
  };
}

describe('openRegistrySnapshot', () => {
  test('has what was there when it was opened', () => {
    expect(snapshot.tenant(ACME)).toMatchObject({ id: ACME });
    expect([...snapshot.tenants()]).toHaveLength(1);
    expect(snapshot.isLive()).toBe(true);
    expect(snapshot.position()).toBe(1);
  });

  test('shows after catchUp every record that was appended before it, 200 times in a row', async () => {
    for (let i = 0; i < 200; i++) {
      const id = newId();
      await append(subscriptionCreated(id));
      await snapshot.catchUp();
      expect(snapshot.subscriptionById(id)).toMatchObject({ id });
    }
  });

  test('shows them to callers who share their reads, too', async () => {
    const check = async (): Promise<void> => {
      for (let i = 0; i < 25; i++) {
        const id = newId();
        await append(subscriptionCreated(id));
        await snapshot.catchUp();
        expect(snapshot.subscriptionById(id)).toBeDefined();
      }
    };
    await Promise.all(Array.from({ length: 8 }, check));
  });

  test('tells every change of a subscription, and forgets a deleted one', async () => {
    const changes: [string, Subscription | undefined][] = [];
    snapshot.onSubscriptionChange((id, now) => changes.push([id, now]));
    const created = subscriptionCreated(newId());
    const id = created.id as SubscriptionId;
    await append(created);
    await append({
      aggregate: 'subscription',
      id,
      tenant: ACME,
      event: { kind: 'SubscriptionDeleted', atMs: 2, by: 'admin' },
    });
    await snapshot.catchUp();
    expect(changes).toEqual([
      [id, expect.objectContaining({ id })],
      [id, undefined],
    ]);
    expect(snapshot.subscriptionById(id)).toBeUndefined();
    expect([...snapshot.subscriptions(ACME)].some((each) => each.id === id)).toBe(false);
  });

  test('shows a subscription and a key to their own tenant only', async () => {
    const created = subscriptionCreated(newId());
    const id = makeApiKeyId(made++, new Uint8Array(10));
    await append(created);
    const key = { id, tenant: ACME, hash: 'aa'.repeat(32), name: 'k', scopes: ['publish'] as const };
    await append({
      aggregate: 'apikey',
      id,
      tenant: ACME,
      event: { kind: 'ApiKeyCreated', ...key, atMs: 1, by: 'admin' },
    });
    await snapshot.catchUp();
    expect(snapshot.subscription(OTHER, created.id as SubscriptionId)).toBeUndefined();
    expect(snapshot.subscription(ACME, created.id as SubscriptionId)).toBeDefined();
    expect([...snapshot.subscriptions(OTHER)]).toEqual([]);
    expect(snapshot.apiKey(OTHER, id)).toBeUndefined();
    expect(snapshot.apiKey(ACME, id)).toMatchObject({ hash: key.hash });
    expect(snapshot.apiKeyByHash(key.hash)).toMatchObject({ id });
    await append({ aggregate: 'apikey', id, tenant: ACME, event: { kind: 'ApiKeyRevoked', atMs: 2, by: 'admin' } });
    await snapshot.catchUp();
    expect(snapshot.apiKeyByHash(key.hash)).toBeUndefined();
  });

  test('shows redeliveries to their own tenant only, in their order', async () => {
    const ids = [0, 1].map(() => makeRedeliveryId(made++, new Uint8Array(10)));
    for (const id of ids) {
      await append({
        aggregate: 'redelivery',
        id,
        tenant: ACME,
        event: {
          kind: 'RedeliveryRequested',
          id,
          tenant: ACME,
          selection: { states: ['dead'], untilMs: 1 },
          requestsPerMinute: 60,
          count: 3,
          atMs: 1,
          by: 'admin',
        },
      });
    }
    const [first = '' as RedeliveryId] = ids;
    await append({
      aggregate: 'redelivery',
      id: first,
      tenant: ACME,
      event: { kind: 'RedeliveryCancelled', atMs: 2, by: 'admin' },
    });
    await snapshot.catchUp();
    expect(snapshot.redelivery(ACME, first)).toMatchObject({ state: 'cancelled', count: 3 });
    expect(snapshot.redelivery(OTHER, first)).toBeUndefined();
    expect(snapshot.redeliveries(ACME).map(({ id, state }) => [id, state])).toEqual([
      [ids[0], 'cancelled'],
      [ids[1], 'running'],
    ]);
    expect(snapshot.redeliveries(OTHER)).toEqual([]);
  });

  test('knows the last sequence of a subject, which the next append expects', async () => {
    const record = subscriptionCreated(newId());
    expect(snapshot.lastSeqOf(subjectOf(record))).toBe(0);
    const seq = await append(record);
    await snapshot.catchUp();
    expect(snapshot.lastSeqOf(subjectOf(record))).toBe(seq);
  });

  test('stays what it was when a record makes no sense', async () => {
    const before = [...snapshot.subscriptions()].length;
    const subject = bus.topology.registrySubject('acme', 'nonsense', 'x');
    await writer.publisher.publish(subject, new TextEncoder().encode('{]'));
    await snapshot.catchUp();
    expect([...snapshot.subscriptions()]).toHaveLength(before);
    expect(snapshot.isLive()).toBe(true);
  });
});
