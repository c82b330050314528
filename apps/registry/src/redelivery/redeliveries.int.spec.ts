import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { BusModule } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { Consuming } from '#bus/consume';
import { followStream, type Following } from '#bus/follow';
import { openRegistrySnapshot, type RegistrySnapshot } from '#bus/registry-snapshot';
import { decodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { Fact } from '#contracts/bus/facts';
import type { RedeliveryPreview, RedeliveryResource } from '#contracts/http/redelivery-body';
import { attributeOf } from '#core/event/cloud-event';
import { toNatsMessage } from '#core/event/nats-binding';
import {
  deliveryIdInput,
  makeDeliveryId,
  makeRedeliveryId,
  makeSubscriptionId,
  type DeliveryId,
  type SubscriptionId,
  type TenantId,
} from '#core/ids';
import type { Redelivery, RedeliverySelection } from '#core/registry/redelivery';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { randomBytes, sha256 } from '#platform/digest';
import { makeLogger } from '#platform/logger';
import { openDatabase, type Database } from '#store/database';
import { countRedeliverable } from '#store/select-redeliverable';
import { writeFacts } from '#store/write-facts';
import { aSpec } from '#testkit/a-subscription';
import { anEvent } from '#testkit/an-event';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { silentStoreLogger, startPostgres, type TestPostgres } from '#testkit/postgres';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { callApi, type Answer, type ApiRequest, type Page } from '#testkit/tenant-client';
import { subscriptionAggregate } from '../aggregates.ts';
import { configSchema } from '../config.ts';
import { makeExecute, makeReadEvent } from '../make-registry-ports.ts';
import { RegistryModule } from '../registry.module.ts';
import { redeliveryAggregate } from './redelivery-aggregate.ts';
import { startRedeliveryWorker } from './redelivery.worker.ts';

let nats: TestNats;
let postgres: TestPostgres;
let bus: TestBus;
let databaseUrl: string;
let db: Database;
let snapshot: RegistrySnapshot;
let projecting: Following | undefined;
let factSeq = 0;

beforeAll(async () => {
  [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
});

afterAll(async () => {
  await Promise.all([nats.stop(), postgres.stop()]);
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url, { topology: { ackWaitSeconds: 2 } });
  databaseUrl = await postgres.createDatabase();
  db = openDatabase({ url: databaseUrl, logger: silentStoreLogger });
  snapshot = await openRegistrySnapshot(bus);
});

afterEach(async () => {
  await projecting?.stop();
  projecting = undefined;
  await snapshot.stop();
  await bus.close();
  await db.close();
});

/** What a projector does with JOURNAL: the new rounds leave the state `dead`. */
function project(): void {
  let before: Promise<unknown> = Promise.resolve();
  projecting = followStream(bus, { stream: bus.topology.streams.JOURNAL }, ({ data }) => {
    const fact = JSON.parse(Buffer.from(data).toString()) as Fact;
    before = before.then(() => writeFacts(db, [{ seq: ++factSeq, fact }])).catch(() => undefined);
  });
}

async function aSubscription(tenant: TenantId): Promise<SubscriptionId> {
  const id = makeSubscriptionId(Date.now(), randomBytes(10));
  await execute(bus, snapshot)(subscriptionAggregate(snapshot, tenant, id), { by: 'test' }, () => ({
    kind: 'CreateSubscription' as const,
    id,
    tenant,
    spec: aSpec(),
  }));
  return id;
}

const execute = (on: Bus, state: RegistrySnapshot) => makeExecute({ bus: on, snapshot: state, clock: Date.now });

interface Told {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly next?: Extract<Fact, { kind: 'attempt' }>['next'];
  readonly type?: string;
}

/** Deliveries of events in EVENTS that are over after one attempt, as the projector would have stored them. */
async function someEnded(count: number, { tenant, subscription, ...traits }: Told): Promise<readonly DeliveryId[]> {
  const { type = 'com.example.order', next = { kind: 'dead', reason: 'deadline_passed' } } = traits;
  const facts = await Promise.all(
    Array.from({ length: count }, async (): Promise<Extract<Fact, { kind: 'attempt' }>> => {
      const event = anEvent({ type });
      const [source, id] = [attributeOf(event, 'source') ?? '', attributeOf(event, 'id') ?? ''];
      const { headers, payload } = toNatsMessage(event);
      const { seq } = await bus.publisher.publish(bus.topology.eventSubject(tenant, type), payload, { headers });
      return {
        kind: 'attempt',
        tenant,
        delivery: makeDeliveryId(sha256(deliveryIdInput(tenant, source, id, subscription))),
        subscription,
        eventSeq: seq,
        acceptedAtMs: Date.now() - 1000,
        source,
        id,
        type,
        attempt: 1,
        startedAtMs: Date.now() - 500,
        durationMs: 1,
        next,
      };
    }),
  );
  await writeFacts(
    db,
    facts.map((fact) => ({ seq: ++factSeq, fact })),
  );
  return facts.map(({ delivery }) => delivery);
}

/** The tasks that wait in DELIVERIES, in their order. */
async function tasks(): Promise<readonly DeliveryTask[]> {
  const stream = bus.topology.streams.DELIVERIES;
  const { messages, last_seq: lastSeq } = (await bus.jsm.streams.info(stream)).state;
  const found: DeliveryTask[] = [];
  if (messages === 0) return found;
  for (let seq = 1; seq <= lastSeq; seq++) {
    const message = await bus.jsm.streams.getMessage(stream, { seq });
    if (message !== null) found.push(decodeDeliveryTask(message.data));
  }
  return found;
}

async function taskCount(): Promise<number> {
  return (await bus.jsm.streams.info(bus.topology.streams.DELIVERIES)).state.messages;
}

const sorted = (ids: readonly string[]): readonly string[] => [...ids].sort();

describe('a worker', () => {
  const tenant = 'acme' as TenantId;
  let workers: Consuming[];
  /** Of workers that stand still. */
  let gates: (() => void)[];

  beforeEach(() => {
    workers = [];
    gates = [];
  });

  afterEach(async () => {
    for (const open of gates) open();
    await Promise.all(workers.map(stop));
  });

  interface StartOptions {
    readonly on?: Bus;
    readonly state?: RegistrySnapshot;
    readonly onTrouble?: () => void;
    readonly readEvent?: ReturnType<typeof makeReadEvent>;
  }

  function start(options: StartOptions = {}): Consuming {
    const { on = bus, state = snapshot, onTrouble = () => undefined, readEvent = makeReadEvent(on) } = options;
    const worker = startRedeliveryWorker({
      bus: on,
      snapshot: state,
      db,
      execute: execute(on, state),
      readEvent,
      clock: Date.now,
      logger: { warn: onTrouble },
    });
    workers.push(worker);
    return worker;
  }

  /** Stands still in the middle: so many events are read, the others only once it goes on. */
  function upTo(count: number, on: Bus): { readonly readEvent: ReturnType<typeof makeReadEvent>; goOn(): void } {
    const read = makeReadEvent(on);
    const { promise, resolve } = Promise.withResolvers<void>();
    gates.push(resolve);
    let reads = 0;
    return {
      async readEvent(seq) {
        if (++reads > count) await promise;
        return read(seq);
      },
      goOn: resolve,
    };
  }

  async function stop(worker: Consuming): Promise<void> {
    workers = workers.filter((each) => each !== worker);
    await worker.stop();
  }

  async function request({
    requestsPerMinute = 60_000,
    ...given
  }: Partial<RedeliverySelection> & { readonly requestsPerMinute?: number } = {}): Promise<Redelivery> {
    const nowMs = Date.now();
    const selection: RedeliverySelection = { states: ['dead'], untilMs: nowMs, ...given };
    const id = makeRedeliveryId(nowMs, randomBytes(10));
    const count = await countRedeliverable(db, { tenant, selection, unchangedSinceMs: nowMs });
    const executed = await execute(bus, snapshot)(redeliveryAggregate(snapshot, tenant, id), { by: 'key_1' }, () => ({
      kind: 'RequestRedelivery' as const,
      id,
      tenant,
      selection,
      requestsPerMinute,
      count,
    }));
    if (executed.kind !== 'done' || executed.after === undefined) throw new Error(executed.kind);
    return executed.after;
  }

  function becomes({ id }: Redelivery, state: Redelivery['state']): Promise<Redelivery> {
    return eventually(
      () => {
        const job = snapshot.redelivery(tenant, id);
        if (job?.state === state) return job;
        throw new Error(`it is ${JSON.stringify(job)}`);
      },
      { deadlineMs: 30_000 },
    );
  }

  test('begins one new round for each delivery of the set, and for no other', async () => {
    const [wanted, other] = [await aSubscription(tenant), await aSubscription(tenant)];
    const dead = await someEnded(620, { tenant, subscription: wanted });
    await someEnded(5, { tenant, subscription: other });
    await someEnded(5, { tenant, subscription: wanted, next: { kind: 'delivered' } });
    await someEnded(5, { tenant, subscription: wanted, next: { kind: 'dead', reason: 'gone' } });
    await someEnded(5, { tenant, subscription: wanted, type: 'com.example.other' });
    await someEnded(5, { tenant: 'globex' as TenantId, subscription: wanted });
    start();
    const job = await request({
      subscription: wanted,
      reasons: ['deadline_passed'],
      types: ['com.example.order'],
      sinceMs: Date.now() - 60_000,
    });
    expect(job.count).toBe(620);
    expect(await becomes(job, 'completed')).toMatchObject({ done: 620, skipped: {} });
    const begun = await tasks();
    expect(sorted(begun.map(({ delivery }) => delivery))).toEqual(sorted(dead));
    expect(new Set(begun.map(({ attempt, firstAttempt }) => `${attempt} ${firstAttempt}`))).toEqual(new Set(['2 2']));
    const journal = await bus.jsm.streams.getMessage(bus.topology.streams.JOURNAL, {
      last_by_subj: bus.topology.journalSubject(tenant, 'redelivered'),
    });
    expect(journal?.json<Fact>()).toMatchObject({ kind: 'redelivered', attempt: 2, by: 'key_1' });
  });

  test('sends again what was delivered since an instant', async () => {
    const subscription = await aSubscription(tenant);
    const delivered = await someEnded(3, { tenant, subscription, next: { kind: 'delivered' } });
    const dead = await someEnded(2, { tenant, subscription });
    start();
    const job = await request({ states: ['dead', 'delivered'], sinceMs: Date.now() - 60_000 });
    expect(await becomes(job, 'completed')).toMatchObject({ count: 5, done: 5 });
    expect(sorted((await tasks()).map(({ delivery }) => delivery))).toEqual(sorted([...delivered, ...dead]));
  });

  test('passes over what has no sink or no event any more, and what went to a dead letter sink', async () => {
    const [there, deleted] = [await aSubscription(tenant), await aSubscription(tenant)];
    const gone = await someEnded(3, { tenant, subscription: there });
    const { jsm, topology } = bus;
    await jsm.streams.purge(topology.streams.EVENTS);
    const dead = await someEnded(4, { tenant, subscription: there });
    await someEnded(2, { tenant, subscription: deleted });
    await execute(bus, snapshot)(subscriptionAggregate(snapshot, tenant, deleted), { by: 'test' }, () => ({
      kind: 'DeleteSubscription' as const,
    }));
    await (
      await db.pool()
    ).query({
      text: `update deliveries set id = 'dlv_copy' where id = $1`,
      values: [dead[0]],
    });
    start();
    const job = await becomes(await request(), 'completed');
    expect(gone).toHaveLength(3);
    expect(job).toMatchObject({
      count: 9,
      done: 3,
      skipped: { event_gone: 3, subscription_deleted: 2, dead_letter: 1 },
    });
  });

  test('begins nothing more within a second of a cancellation; what is left can be requested again', async () => {
    const subscription = await aSubscription(tenant);
    const dead = await someEnded(400, { tenant, subscription });
    project();
    start();
    const job = await request({ requestsPerMinute: 6_000 });
    await eventually(async () => (await taskCount()) >= 50);
    await execute(bus, snapshot)(redeliveryAggregate(snapshot, tenant, job.id), { by: 'admin' }, () => ({
      kind: 'CancelRedelivery' as const,
    }));
    const atCancel = await taskCount();
    const { done } = await eventually(() => {
      const now = snapshot.redelivery(tenant, job.id);
      return now !== undefined && now.done > 0 && now;
    });
    expect(done).toBe(await taskCount());
    expect(done - atCancel).toBeLessThan(100);
    expect(done).toBeLessThan(400);
    expect(snapshot.redelivery(tenant, job.id)).toMatchObject({ state: 'cancelled', cancelledBy: 'admin' });

    // The first rounds have left the set as soon as their facts are projected.
    await eventually(async () => {
      const nowMs = Date.now();
      const selection = { states: ['dead'], untilMs: nowMs } as const;
      return (await countRedeliverable(db, { tenant, selection, unchangedSinceMs: nowMs })) === 400 - done;
    });
    const rest = await request();
    expect(rest.count).toBe(400 - done);
    await becomes(rest, 'completed');
    expect(sorted((await tasks()).map(({ delivery }) => delivery))).toEqual(sorted(dead));
  });

  test.each(['is there', 'is behind'])(
    'takes over from one that was killed: nothing is lost or begun twice, when the projection %s',
    async (projection) => {
      const subscription = await aSubscription(tenant);
      const dead = await someEnded(900, { tenant, subscription });
      if (projection === 'is there') project();
      const dying = await bus.another();
      const itsSnapshot = await openRegistrySnapshot(dying);
      const { readEvent, goOn } = upTo(600, dying);
      start({ on: dying, state: itsSnapshot, readEvent });
      const job = await request({ requestsPerMinute: 20_000 });
      await eventually(async () => (await taskCount()) >= 600);
      await dying.close();
      goOn();
      await snapshot.catchUp();
      expect(snapshot.redelivery(tenant, job.id)).toMatchObject({ state: 'running', checkpoint: 1, done: 500 });
      start();
      expect(await becomes(job, 'completed')).toMatchObject({ count: 900, done: 900 });
      const begun = (await tasks()).map(({ delivery }) => delivery);
      expect(sorted(begun)).toEqual(sorted(dead));
      await itsSnapshot.stop();
    },
  );

  test('hands its jobs over when its process stops', async () => {
    const subscription = await aSubscription(tenant);
    const dead = await someEnded(300, { tenant, subscription });
    project();
    const { readEvent, goOn } = upTo(50, bus);
    const first = start({ readEvent });
    const job = await request({ requestsPerMinute: 6_000 });
    await eventually(async () => (await taskCount()) >= 50);
    const stopped = stop(first);
    goOn();
    await stopped;
    const begun = await taskCount();
    await snapshot.catchUp();
    expect(snapshot.redelivery(tenant, job.id)).toMatchObject({ state: 'running', done: begun });
    start();
    expect(await becomes(job, 'completed')).toMatchObject({ done: 300 });
    expect(sorted((await tasks()).map(({ delivery }) => delivery))).toEqual(sorted(dead));
  });

  test('works on several jobs side by side', async () => {
    const [slow, fast] = [await aSubscription(tenant), await aSubscription(tenant)];
    await someEnded(20, { tenant, subscription: slow });
    await someEnded(20, { tenant, subscription: fast });
    start();
    const slowJob = await request({ subscription: slow, requestsPerMinute: 1 });
    const fastJob = await request({ subscription: fast });
    await becomes(fastJob, 'completed');
    expect(snapshot.redelivery(tenant, slowJob.id)?.state).toBe('running');
  });

  test('waits while PostgreSQL is away, and goes on', async () => {
    const subscription = await aSubscription(tenant);
    const dead = await someEnded(40, { tenant, subscription });
    const job = await request();
    let troubles = 0;
    await postgres.halt();
    try {
      start({ onTrouble: () => void troubles++ });
      await eventually(() => troubles >= 2);
      expect(snapshot.redelivery(tenant, job.id)).toMatchObject({ state: 'running', done: 0 });
    } finally {
      await postgres.restart();
    }
    expect(await becomes(job, 'completed')).toMatchObject({ done: 40 });
    expect(sorted((await tasks()).map(({ delivery }) => delivery))).toEqual(sorted(dead));
  });
});

describe('/v1/redeliveries', () => {
  const adminToken = 'the-token-of-the-operator';
  let service: RunningService;

  beforeEach(async () => {
    const config = loadConfig(configSchema, {
      POSTHASTE_HTTP_PORT: '0',
      POSTHASTE_NATS_URL: nats.url,
      POSTHASTE_DATABASE_URL: databaseUrl,
      POSTHASTE_DEPLOYMENT: bus.deployment,
      POSTHASTE_ACK_WAIT_SECONDS: '2',
      POSTHASTE_ADMIN_TOKEN: adminToken,
    });
    service = await startService({
      name: 'registry',
      config,
      logger: makeLogger({ name: 'registry', level: 'silent' }),
      modules: [BusModule.forRoot({ name: 'registry', config }), RegistryModule],
    });
  });

  afterEach(async () => {
    await service.stop();
  });

  function call(method: string, path: string, token: string, request: ApiRequest = {}): Promise<Answer> {
    return callApi(method, `${service.url}${path}`, { ...request, headers: { authorization: `Bearer ${token}` } });
  }

  async function aTenant(scopes: readonly string[] = ['manage']): Promise<{ tenant: TenantId; key: string }> {
    const tenant = `t-${Buffer.from(randomBytes(4)).toString('hex')}` as TenantId;
    await call('PUT', `/v1/tenants/${tenant}`, adminToken);
    return { tenant, key: await aKey(tenant, scopes) };
  }

  async function aKey(tenant: TenantId, scopes: readonly string[]): Promise<string> {
    const made = await call('POST', `/v1/tenants/${tenant}/keys`, adminToken, { body: { scopes } });
    return made.json<{ key: string }>().key;
  }

  async function request(key: string, body: object): Promise<RedeliveryResource> {
    const answer = await call('POST', '/v1/redeliveries', key, { body });
    expect([answer.status, answer.text]).toEqual([202, expect.any(String)]);
    const job = answer.json<RedeliveryResource>();
    expect(answer.headers.get('location')).toBe(`/v1/redeliveries/${job.id}`);
    return job;
  }

  const get = async (key: string, id: string): Promise<RedeliveryResource> =>
    (await call('GET', `/v1/redeliveries/${id}`, key)).json<RedeliveryResource>();

  test('a dry run counts what the job then does', async () => {
    const { tenant, key } = await aTenant();
    const subscription = await aSubscription(tenant);
    await someEnded(30, { tenant, subscription });
    const body = { subscription, reasons: ['deadline_passed'], since: new Date(Date.now() - 60_000).toISOString() };
    const dry = await call('POST', '/v1/redeliveries', key, { body: { ...body, dryRun: true } });
    expect(dry.status).toBe(200);
    const preview = dry.json<RedeliveryPreview>();
    expect(preview).toEqual({
      count: 30,
      selection: { ...body, states: ['dead'], until: expect.any(String) },
    });
    expect((await call('GET', '/v1/redeliveries', key)).json<Page<unknown>>()).toEqual({ data: [] });
    expect(await taskCount()).toBe(0);

    const job = await request(key, { ...body, note: 'the sink is back' });
    expect(job).toMatchObject({
      state: 'running',
      count: 30,
      done: 0,
      note: 'the sink is back',
      requestsPerMinute: 6_000,
    });
    const over = await eventually(async () => {
      const now = await get(key, job.id);
      return now.state === 'completed' && now;
    });
    expect(over).toMatchObject({
      count: 30,
      done: 30,
      finishedAt: expect.any(String),
      by: expect.stringMatching(/^key_/),
    });
    expect(over.skipped).toEqual({ subscription_deleted: 0, subscription_ended: 0, event_gone: 0, dead_letter: 0 });
    expect(await taskCount()).toBe(30);
  });

  test('a job is cancelled once, and only while it runs', async () => {
    const { tenant, key } = await aTenant();
    const subscription = await aSubscription(tenant);
    await someEnded(5, { tenant, subscription });
    const job = await request(key, { requestsPerMinute: 1 });
    const cancel = () => call('POST', `/v1/redeliveries/${job.id}/cancel`, key);
    for (const answer of [await cancel(), await cancel()]) {
      expect(answer.status).toBe(200);
      expect(answer.json<RedeliveryResource>()).toMatchObject({ state: 'cancelled', cancelledBy: job.by });
    }
    const other = await request(key, { subscription, reasons: ['gone'] });
    await eventually(async () => (await get(key, other.id)).state === 'completed');
    const late = await call('POST', `/v1/redeliveries/${other.id}/cancel`, key);
    expect([late.status, late.json<{ code: string }>().code]).toEqual([409, 'redelivery-finished']);
  });

  test('jobs are listed newest first, in pages and by state', async () => {
    const { tenant, key } = await aTenant();
    const subscription = await aSubscription(tenant);
    await someEnded(3, { tenant, subscription });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.unshift((await request(key, { requestsPerMinute: 1 })).id);
    await call('POST', `/v1/redeliveries/${ids[0]}/cancel`, key);
    const list = async (query: string) =>
      (await call('GET', `/v1/redeliveries${query}`, key)).json<Page<RedeliveryResource>>();
    const first = await list('?limit=3');
    expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    const second = await list(`?limit=3&after=${first.next}`);
    expect(second.data.map(({ id }) => id)).toEqual(ids.slice(3));
    expect(second.next).toBeUndefined();
    expect((await list('?state=cancelled')).data.map(({ id }) => id)).toEqual([ids[0]]);
  });

  test('a tenant has no more than ten running', async () => {
    const { tenant, key } = await aTenant();
    const subscription = await aSubscription(tenant);
    await someEnded(3, { tenant, subscription });
    for (let i = 0; i < 10; i++) await request(key, { requestsPerMinute: 1 });
    const refused = await call('POST', '/v1/redeliveries', key, { body: {} });
    expect([refused.status, refused.json<{ code: string }>().code]).toEqual([409, 'too-many-redeliveries']);
    const { key: others } = await aTenant();
    await request(others, {});
  });

  test('another tenant’s job and subscription are as if they were not there', async () => {
    const { tenant, key } = await aTenant();
    const subscription = await aSubscription(tenant);
    await someEnded(3, { tenant, subscription });
    const job = await request(key, { requestsPerMinute: 1 });
    const { key: stranger } = await aTenant();
    for (const id of [job.id, 'red_1', `red_${'0'.repeat(26)}`]) {
      expect((await call('GET', `/v1/redeliveries/${id}`, stranger)).status).toBe(404);
      expect((await call('POST', `/v1/redeliveries/${id}/cancel`, stranger)).status).toBe(404);
    }
    const named = await call('POST', '/v1/redeliveries', stranger, { body: { subscription } });
    expect(named.status).toBe(404);
    expect(named.json<{ errors: unknown }>().errors).toMatchObject([{ pointer: '/subscription' }]);
    const dry = await call('POST', '/v1/redeliveries', stranger, { body: { dryRun: true } });
    expect(dry.json<RedeliveryPreview>().count).toBe(0);
    expect((await call('GET', '/v1/redeliveries', stranger)).json<Page<unknown>>().data).toEqual([]);
    expect((await get(key, job.id)).state).toBe('running');
  });

  test('reading needs read or manage, requesting and cancelling manage', async () => {
    const { tenant, key } = await aTenant();
    const job = await request(key, {});
    const [reader, publisher] = [await aKey(tenant, ['read']), await aKey(tenant, ['publish'])];
    const statuses = async (token: string) =>
      Promise.all(
        [
          ['GET', '/v1/redeliveries'],
          ['GET', `/v1/redeliveries/${job.id}`],
          ['POST', '/v1/redeliveries'],
          ['POST', `/v1/redeliveries/${job.id}/cancel`],
        ].map(async ([method = '', path = '']) => (await call(method, path, token)).status),
      );
    expect(await statuses(reader)).toEqual([200, 200, 403, 403]);
    expect(await statuses(publisher)).toEqual([403, 403, 403, 403]);
    expect(await statuses('nobody')).toEqual([401, 401, 401, 401]);
  });

  test('what is wrong with a request is told with its place', async () => {
    const { key } = await aTenant();
    const refused = async (body: unknown) => {
      const answer = await call('POST', '/v1/redeliveries', key, { body });
      const { code, errors } = answer.json<{ code: string; errors: { pointer: string }[] }>();
      return [answer.status, code, ...errors.map(({ pointer }) => pointer)];
    };
    expect(await refused({ states: ['lost'], since: 'x' })).toEqual([400, 'invalid-body', '/states/0', '/since']);
    expect(await refused({ since: '2999-01-01T00:00:00Z' })).toEqual([400, 'invalid-body', '/since']);
    expect(await refused('{')).toEqual([400, 'invalid-json', expect.any(String)]);
    const query = await call('GET', '/v1/redeliveries?state=lost&after=x', key);
    expect(query.json<{ errors: unknown }>().errors).toMatchObject([{ pointer: 'state' }, { pointer: 'after' }]);
    expect((await call('PUT', '/v1/redeliveries', key)).headers.get('allow')).toBe('GET,POST,OPTIONS');
  });

  test('without PostgreSQL nothing can be counted, but jobs are shown and cancelled', async () => {
    const { tenant, key } = await aTenant();
    const subscription = await aSubscription(tenant);
    await someEnded(3, { tenant, subscription });
    const job = await request(key, { requestsPerMinute: 1 });
    await postgres.halt();
    try {
      const refused = await call('POST', '/v1/redeliveries', key);
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '2']);
      expect((await get(key, job.id)).state).toBe('running');
      expect((await call('POST', `/v1/redeliveries/${job.id}/cancel`, key)).status).toBe(200);
    } finally {
      await postgres.restart();
    }
  });
});
