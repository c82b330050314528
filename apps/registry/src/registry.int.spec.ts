import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BusModule } from '#bus/bus.module';
import { connectBus, type Bus } from '#bus/connection';
import { ensureTopology } from '#bus/ensure-topology';
import { openRegistrySnapshot, type RegistrySnapshot } from '#bus/registry-snapshot';
import { serve, type Serving } from '#bus/request';
import { decodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { Fact } from '#contracts/bus/facts';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { MakeKeyRequest, SealReply, SealSecretRequest } from '#contracts/bus/seal';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { toNatsMessage } from '#core/event/nats-binding';
import { deliveryIdInput, makeDeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import { ENGINE_DEFAULTS } from '#core/registry/current-spec';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { sha256, sha256Hex } from '#platform/digest';
import { makeLogger } from '#platform/logger';
import { openDatabase, type Database } from '#store/database';
import { writeDeadLetters } from '#store/write-dead-letters';
import { writeEvents } from '#store/write-events';
import { writeFacts } from '#store/write-facts';
import { writeRegistry } from '#store/write-registry';
import { anEvent } from '#testkit/an-event';
import { eventually } from '#testkit/eventually';
import { aMadeKey } from '#testkit/made-key';
import { startNats, type TestNats } from '#testkit/nats';
import { silentStoreLogger, startPostgres, type TestPostgres } from '#testkit/postgres';
import { callApi, type Answer, type ApiRequest } from '#testkit/tenant-client';
import { silentLogger } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { RegistryModule } from './registry.module.ts';

const adminToken = 'the-token-of-the-operator';
const deployment = `t${randomBytes(6).toString('hex')}`;
const minimal = { sink: 'https://example.com/hooks', protocol: 'HTTP' };
const suppliedSecret = `whsec_${randomBytes(32).toString('base64')}`;

let nats: TestNats;
let postgres: TestPostgres;
let databaseUrl: string;
let db: Database;
let bus: Bus;
let snapshot: RegistrySnapshot;
let signer: Serving;
/** Two processes' worth of the service, behind one load balancer so to speak. */
let services: RunningService[];

interface Subscription {
  readonly id: string;
  readonly sink: string;
  readonly types?: readonly string[];
  readonly config: { readonly signature: { readonly secret?: string } };
}

interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

beforeAll(async () => {
  [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
  databaseUrl = await postgres.createDatabase();
  db = openDatabase({ url: databaseUrl, logger: silentStoreLogger });
  bus = await connectBus({ servers: nats.url, name: 'test', deployment, logger: silentLogger });
  await ensureTopology(bus);
  snapshot = await openRegistrySnapshot(bus);
  signer = startSigner();
  services = await Promise.all([startRegistry(), startRegistry()]);
});

afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await signer.stop();
  await snapshot.stop();
  await bus.close();
  await db.close();
  await Promise.all([nats.stop(), postgres.stop()]);
});

function startRegistry(): Promise<RunningService> {
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DATABASE_URL: databaseUrl,
    POSTHASTE_DEPLOYMENT: deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
  });
  const logger = makeLogger({ name: 'registry', level: 'silent' });
  return startService({
    name: 'registry',
    config,
    logger,
    modules: [BusModule.forRoot({ name: 'registry', config }), RegistryModule],
  });
}

/** Seals by hashing: nobody here has to open it again. */
function startSigner(): Serving {
  return serve(bus, { subject: bus.topology.sealSubject, queue: 'signer' }, (payload) => {
    const question = JSON.parse(Buffer.from(payload).toString()) as SealSecretRequest | MakeKeyRequest;
    if ('algorithm' in question) return Promise.resolve(Buffer.from(JSON.stringify(aMadeKey())));
    const { secret = `whsec_${randomBytes(32).toString('base64')}` } = question;
    const reply: SealReply = { ok: true, sealed: `sealed:${sha256Hex(secret)}`, secret };
    return Promise.resolve(Buffer.from(JSON.stringify(reply)));
  });
}

/** What a projector would do with REGISTRY. */
async function projectRegistry(): Promise<void> {
  const { messages } = await readRegistry();
  const records = messages.map(({ seq, text }) => ({ seq, record: JSON.parse(text) as RegistryRecord }));
  await writeRegistry(db, records);
}

async function readRegistry(): Promise<{ messages: { seq: number; subject: string; text: string }[]; all: string }> {
  const stream = bus.topology.streams.REGISTRY;
  const { state } = await bus.jsm.streams.info(stream);
  const messages = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await bus.jsm.streams.getMessage(stream, { seq });
    if (message) messages.push({ seq, subject: message.subject, text: Buffer.from(message.data).toString() });
  }
  return { messages, all: messages.map(({ text }) => text).join('\n') };
}

async function recordsOf(tenant: TenantId, subscription: string): Promise<RegistryRecord[]> {
  const wanted = bus.topology.registrySubject(tenant, 'subscription', subscription);
  const { messages } = await readRegistry();
  return messages.filter(({ subject }) => subject === wanted).map(({ text }) => JSON.parse(text) as RegistryRecord);
}

function call(method: string, path: string, token: string, request: ApiRequest = {}, instance = 0): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, ...request.headers };
  return callApi(method, `${services[instance]?.url ?? ''}${path}`, { ...request, headers });
}

const admin = (method: string, path: string, request?: ApiRequest) => call(method, path, adminToken, request);

/** A new tenant and a key with these scopes. */
async function aTenant(scopes: readonly string[] = ['publish', 'manage', 'read']) {
  const tenant = `t-${randomBytes(4).toString('hex')}` as TenantId;
  expect((await admin('PUT', `/v1/tenants/${tenant}`)).status).toBe(201);
  return { tenant, ...(await aKey(tenant, scopes)) };
}

async function aKey(tenant: string, scopes: readonly string[]): Promise<{ key: string; keyId: string }> {
  const made = await admin('POST', `/v1/tenants/${tenant}/keys`, { body: { scopes } });
  expect(made.status).toBe(201);
  const { id, key } = made.json<{ id: string; key: string }>();
  return { key, keyId: id };
}

async function subscribe(key: string, body: object = {}): Promise<Subscription> {
  const made = await call('POST', '/v1/subscriptions', key, { body: { ...minimal, ...body } });
  expect(made.text).toContain('sub_');
  expect(made.status).toBe(201);
  return made.json<Subscription>();
}

/** An event in EVENTS, as the gateway would store it, and projected. */
async function accept(tenant: TenantId, event: CloudEvent): Promise<{ seq: number; acceptedAtMs: number }> {
  const { headers, payload } = toNatsMessage(event);
  const subject = bus.topology.eventSubject(tenant, attributeOf(event, 'type') ?? '');
  const { seq } = await bus.publisher.publish(subject, payload, { headers });
  const acceptedAtMs = Date.now();
  await writeEvents(db, [
    {
      seq,
      acceptedAtMs,
      tenant,
      source: attributeOf(event, 'source') ?? '',
      id: attributeOf(event, 'id') ?? '',
      type: attributeOf(event, 'type') ?? '',
      attributes: event.attributes,
      ...(event.data ? { dataBytes: event.data.bytes.length } : {}),
    },
  ]);
  return { seq, acceptedAtMs };
}

let factSeq = 0;

/** A delivery of the event that has ended in a dead letter after one attempt, as the projector would store it. */
async function aDeadDelivery(tenant: TenantId, subscription: SubscriptionId, event: CloudEvent) {
  const { seq: eventSeq, acceptedAtMs } = await accept(tenant, event);
  const names = {
    source: attributeOf(event, 'source') ?? '',
    id: attributeOf(event, 'id') ?? '',
    type: attributeOf(event, 'type') ?? '',
  };
  const delivery = makeDeliveryId(sha256(deliveryIdInput(tenant, names.source, names.id, subscription)));
  const about = { tenant, delivery, subscription, eventSeq, acceptedAtMs, ...names };
  const facts: Fact[] = [
    {
      kind: 'matched',
      tenant,
      eventSeq,
      acceptedAtMs,
      ...names,
      atMs: acceptedAtMs,
      matchCount: 1,
      matches: [{ delivery, subscription }],
    },
    {
      ...about,
      kind: 'attempt',
      attempt: 1,
      startedAtMs: acceptedAtMs + 5,
      durationMs: 12,
      request: { outcome: 'permanent', status: 400, responseBody: 'no thanks', responseTruncated: false },
      next: { kind: 'dead', reason: 'rejected_by_sink' },
    },
  ];
  await writeFacts(
    db,
    facts.map((fact) => ({ seq: ++factSeq, fact })),
  );
  await writeDeadLetters(db, [
    {
      seq: ++factSeq,
      letter: {
        kind: 'delivery',
        ...about,
        reason: 'rejected_by_sink',
        attempts: 1,
        lastStatus: 400,
        atMs: acceptedAtMs + 17,
      },
    },
  ]);
  return { delivery, eventSeq };
}

describe('tenants and API keys', () => {
  test('are put, renamed, shown and listed', async () => {
    const { tenant } = await aTenant();
    const renamed = await admin('PUT', `/v1/tenants/${tenant}`, { body: { name: 'Acme' } });
    expect([renamed.status, renamed.json<{ name: string }>().name]).toEqual([200, 'Acme']);
    expect((await admin('PUT', `/v1/tenants/${tenant}`)).json<{ name: string }>().name).toBe('Acme');
    expect((await admin('GET', `/v1/tenants/${tenant}`)).json()).toMatchObject({ id: tenant, name: 'Acme' });
    await projectRegistry();
    const listed = await admin('GET', '/v1/tenants?limit=250');
    expect(listed.json<{ data: { id: string }[] }>().data.map(({ id }) => id)).toContain(tenant);
  });

  test('refuse an id that cannot stand in a subject, and an unknown tenant', async () => {
    expect((await admin('PUT', '/v1/tenants/A.b')).status).toBe(400);
    expect((await admin('GET', '/v1/tenants/nobody')).status).toBe(404);
    expect((await admin('POST', '/v1/tenants/nobody/keys', { body: { scopes: ['read'] } })).status).toBe(404);
    expect((await admin('GET', '/v1/tenants/nobody/keys')).status).toBe(404);
    const foreign = await admin('GET', '/v1/subscriptions', { headers: { 'posthaste-tenant': 'nobody' } });
    expect(foreign.json<ProblemBody>().code).toBe('tenant-unknown');
  });

  test('show a key once, and keep only its hash', async () => {
    const { tenant, key, keyId } = await aTenant();
    expect(key).toMatch(/^phk_[A-Za-z0-9_-]{43}$/);
    await projectRegistry();
    const list = await admin('GET', `/v1/tenants/${tenant}/keys`);
    expect(list.json<{ data: object[] }>().data).toEqual([
      expect.objectContaining({ id: keyId, prefix: key.slice(0, 10), scopes: ['publish', 'manage', 'read'] }),
    ]);
    const one = await admin('GET', `/v1/tenants/${tenant}/keys/${keyId}`);
    expect(one.text + list.text + (await readRegistry()).all).not.toContain(key.slice(4));
  });

  test('a key works at once in every process, and no longer once it is revoked', async () => {
    const { tenant, key, keyId } = await aTenant();
    expect((await call('GET', '/v1/subscriptions', key, {}, 1)).status).toBe(200);
    expect((await admin('DELETE', `/v1/tenants/${tenant}/keys/${keyId}`)).status).toBe(200);
    expect((await call('GET', '/v1/subscriptions', key)).status).toBe(401);
    await eventually(async () => (await call('GET', '/v1/subscriptions', key, {}, 1)).status === 401);
    expect((await admin('DELETE', `/v1/tenants/${tenant}/keys/${keyId}`)).status).toBe(404);
  });
});

describe('access', () => {
  test('read is not enough to change, manage is enough to read', async () => {
    const { tenant, key } = await aTenant(['read']);
    expect((await call('POST', '/v1/subscriptions', key, { body: minimal })).status).toBe(403);
    const { key: manager } = await aKey(tenant, ['manage']);
    const { id: made } = await subscribe(manager);
    expect((await call('GET', `/v1/subscriptions/${made}`, manager)).status).toBe(200);
    expect((await call('GET', `/v1/subscriptions/${made}`, key)).status).toBe(200);
  });
});

describe('subscriptions', () => {
  test('are created with every default and a Location (SA-1, SA-11), and the id of the body is ignored (SA-2)', async () => {
    const { key } = await aTenant();
    const made = await call('POST', '/v1/subscriptions', key, { body: { ...minimal, id: 'mine', types: ['a'] } });
    const subscription = made.json<Subscription>();
    expect(made.headers.get('location')).toBe(`/v1/subscriptions/${subscription.id}`);
    expect(subscription).toEqual({
      id: expect.stringMatching(/^sub_[0-9a-z]{26}$/),
      ...minimal,
      protocolsettings: { method: 'POST' },
      types: ['a'],
      filters: [],
      config: {
        contentMode: 'structured',
        signature: { profile: 'standard-webhooks', secret: expect.stringMatching(/^whsec_/) },
        retry: expect.objectContaining({ deadlineSeconds: 86_400, whenExhausted: 'repeat-last' }),
        validation: { mode: 'optional', method: 'webhook', deadlineSeconds: 300, callback: 'fallback' },
        ...ENGINE_DEFAULTS,
        authorization: 'jwt',
      },
      state: 'active',
      validation: expect.objectContaining({ status: 'requested' }),
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
  });

  test('are read at once in every process, replaced as a whole, deleted once with the object as answer', async () => {
    const { key } = await aTenant();
    const { id } = await subscribe(key, { types: ['a'], source: '/shop' });
    const path = `/v1/subscriptions/${id}`;
    const read = (await call('GET', path, key, {}, 1)).json<Subscription>();
    expect(read).toMatchObject({ id, types: ['a'], source: '/shop' });
    const replaced = await call('PUT', path, key, { body: { ...minimal, id, types: ['b'] } });
    expect([replaced.status, replaced.json<Subscription>().types]).toEqual([200, ['b']]);
    expect((await call('GET', path, key, {}, 1)).json<object>()).not.toHaveProperty('source');
    const deleted = await call('DELETE', path, key);
    expect([deleted.status, deleted.json<Subscription>().id]).toEqual([200, id]);
    for (const [method, body] of [['GET'], ['PUT', minimal], ['DELETE']] as const) {
      expect((await call(method, path, key, { body }, 1)).status).toBe(404);
    }
  });

  test('take back what GET answered, and that changes nothing', async () => {
    const { tenant, key } = await aTenant();
    const config = { retry: { delaysSeconds: [1] }, validation: { mode: 'none' } };
    const { id } = await subscribe(key, { types: ['a'], config });
    const read = (await call('GET', `/v1/subscriptions/${id}`, key)).json<object>();
    const put = await call('PUT', `/v1/subscriptions/${id}`, key, { body: read });
    expect([put.status, put.json<object>()]).toEqual([200, read]);
    // Of this subscription alone: that the sinks of others are to be asked is recorded at any time.
    expect((await recordsOf(tenant, id)).map(({ event }) => event.kind)).toEqual(['SubscriptionCreated']);
  });

  test('show a secret only in the answer that sets it, and never store it', async () => {
    const { key } = await aTenant();
    const made = await subscribe(key, { config: { signature: { secret: suppliedSecret } } });
    expect(made.config.signature.secret).toBe(suppliedSecret);
    const path = `/v1/subscriptions/${made.id}`;
    const generated = (await subscribe(key)).config.signature.secret ?? '';
    const kept = await call('PUT', path, key, { body: { ...minimal, types: ['x'] } });
    const read = await call('GET', path, key);
    await projectRegistry();
    const listed = await call('GET', '/v1/subscriptions', key);
    expect(listed.json<object[]>()).toHaveLength(2);
    const { all } = await readRegistry();
    for (const text of [kept.text, read.text, listed.text, all]) {
      expect(text).not.toContain('whsec_');
      expect(text).not.toContain(suppliedSecret.slice(6));
      expect(text).not.toContain(generated.slice(6));
    }
    expect(kept.text + read.text + listed.text).not.toContain('sealed');

    const another = `whsec_${randomBytes(24).toString('base64')}`;
    const changed = await call('PUT', path, key, { body: { ...minimal, config: { signature: { secret: another } } } });
    expect(changed.json<Subscription>().config.signature.secret).toBe(another);
    expect(changed.headers.get('cache-control')).toBe('no-store');
  });

  test('lose their secret with the signature and get a new one with it', async () => {
    const { key } = await aTenant();
    const { id } = await subscribe(key, { config: { signature: { profile: 'none' } } });
    const signed = await call('PUT', `/v1/subscriptions/${id}`, key, { body: minimal });
    expect(signed.json<Subscription>().config.signature.secret).toMatch(/^whsec_/);
  });

  test('answer a bad body with every problem and its pointer', async () => {
    const { key } = await aTenant();
    const body = { sink: 'https://10.0.0.1/', protocol: 'http', types: [''], filters: [{ regex: {} }] };
    const answer = await call('POST', '/v1/subscriptions', key, { body });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      400,
      'application/problem+json; charset=utf-8',
    ]);
    expect(answer.json<ProblemBody>().errors?.map(({ pointer }) => pointer)).toEqual([
      '/protocol',
      '/types/0',
      '/filters/0/regex',
      '/sink',
    ]);
    const private_ = await call('POST', '/v1/subscriptions', key, { body: { ...minimal, sink: 'https://10.0.0.1/' } });
    expect(private_.json<ProblemBody>().errors?.[0]).toMatchObject({
      pointer: '/sink',
      detail: expect.stringContaining('POSTHASTE_SINK_ALLOW'),
    });
    const broken = await call('POST', '/v1/subscriptions', key, { body: '{"sink": }' });
    expect([broken.status, broken.json<ProblemBody>().detail]).toEqual([
      400,
      expect.stringContaining('line 1, column 10'),
    ]);
    const { id } = await subscribe(key);
    const other = await call('PUT', `/v1/subscriptions/${id}`, key, { body: { ...minimal, id: 'sub_other' } });
    expect(other.json<ProblemBody>().errors?.[0]?.pointer).toBe('/id');
    expect((await call('GET', '/v1/subscriptions/a.b%3E', key)).status).toBe(404);
  });

  test('lose none of 16 replacements that come at once to two processes, and answer none with an error', async () => {
    const { tenant, key } = await aTenant();
    const { id } = await subscribe(key);
    // Of ten tries one succeeds for certain: the other process writes these eight, and that the sink is to be asked.
    const types = Array.from({ length: 16 }, (_, i) => `type-${i}`);
    const answers = await Promise.all(
      types.map((type, i) =>
        call('PUT', `/v1/subscriptions/${id}`, key, { body: { ...minimal, types: [type] } }, i % 2),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(types.map(() => 200));
    const replaced = (await recordsOf(tenant, id)).flatMap(({ event }) =>
      event.kind === 'SubscriptionReplaced' ? (event.spec.types ?? []) : [],
    );
    expect([...replaced].sort()).toEqual([...types].sort());
    expect((await call('GET', `/v1/subscriptions/${id}`, key)).json<Subscription>().types).toEqual(replaced.slice(-1));
  });

  test('are in every fold of the registry when 201 is answered and the fold has caught up (the fence)', async () => {
    const { tenant, key } = await aTenant();
    for (let i = 0; i < 20; i++) {
      const { id } = await subscribe(key);
      await snapshot.catchUp();
      expect(snapshot.subscription(tenant, id as SubscriptionId)).toBeDefined();
    }
  });

  test('are listed in pages by Link, as an array (SA-1)', async () => {
    const { key } = await aTenant();
    const made = [await subscribe(key), await subscribe(key), await subscribe(key)].map(({ id }) => id);
    await projectRegistry();
    const seen: string[] = [];
    let path: string | undefined = '/v1/subscriptions?limit=2';
    let pages = 0;
    while (path !== undefined) {
      const page: Answer = await call('GET', path, key);
      seen.push(...page.json<Subscription[]>().map(({ id }) => id));
      path = /^<(.+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
      pages++;
    }
    expect([pages, seen.sort()]).toEqual([2, made.sort()]);
  });
});

describe('methods', () => {
  test('are told by OPTIONS (SA-1) and by 405', async () => {
    const { key } = await aTenant();
    const options = async (path: string) => (await call('OPTIONS', path, key)).headers.get('allow');
    expect(await options('/v1/subscriptions')).toBe('GET,POST,DELETE,OPTIONS');
    expect(await options('/v1/subscriptions/x')).toBe('GET,PUT,PATCH,DELETE,OPTIONS');
    const refused = await call('POST', '/v1/subscriptions/x', key, { body: {} });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET,PUT,PATCH,DELETE,OPTIONS']);
    expect((await call('HEAD', '/v1/subscriptions', key)).status).toBe(200);
    expect((await call('GET', '/v1/nothing', key)).status).toBe(404);
  });
});

describe('look-ups', () => {
  test('show an event by its id, and its exact data', async () => {
    const { tenant, key } = await aTenant();
    const event = anEvent({ id: 'a/b c.é', dataJson: '{"n": 12345678901234567890, "x": 1.10}' });
    await accept(tenant, event);
    const path = `/v1/events/${encodeURIComponent('a/b c.é')}`;
    const shown = await call('GET', path, key);
    expect(shown.json()).toMatchObject({ id: 'a/b c.é', attributes: Object.fromEntries(event.attributes) });
    const data = await call('GET', `${path}/data`, key);
    expect([data.status, data.text]).toEqual([200, '{"n": 12345678901234567890, "x": 1.10}']);
    expect(data.headers.get('content-type')).toBe('application/json');
    expect(data.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await call('GET', '/v1/events/unknown', key)).status).toBe(404);
  });

  test('ask for the source when an id is not unique (CE-2)', async () => {
    const { tenant, key } = await aTenant();
    await accept(tenant, anEvent({ id: 'same', source: '/a', data: undefined }));
    await accept(tenant, anEvent({ id: 'same', source: '/b' }));
    const both = await call('GET', '/v1/events/same', key);
    expect([
      both.status,
      both
        .json<ProblemBody>()
        .errors?.map(({ detail }) => detail)
        .sort(),
    ]).toEqual([409, ['/a', '/b']]);
    expect((await call('GET', '/v1/events/same?source=/a', key)).json()).toMatchObject({ source: '/a' });
    expect((await call('GET', '/v1/events/same/data?source=/a', key)).status).toBe(204);
  });

  test('say that data is gone once EVENTS has let it go', async () => {
    const { tenant, key } = await aTenant();
    const { id: subscription } = await subscribe(key);
    const { delivery, eventSeq } = await aDeadDelivery(tenant, subscription as SubscriptionId, anEvent({ id: 'old' }));
    await bus.jsm.streams.deleteMessage(bus.topology.streams.EVENTS, eventSeq);
    expect((await call('GET', '/v1/events/old/data', key)).status).toBe(410);
    expect((await call('GET', '/v1/events/old', key)).status).toBe(200);
    expect((await call('POST', `/v1/deliveries/${delivery}/redeliver`, key)).status).toBe(410);
  });

  test('show deliveries with their attempts, filtered, and dead letters', async () => {
    const { tenant, key } = await aTenant();
    const { id: subscription } = await subscribe(key);
    const { delivery } = await aDeadDelivery(tenant, subscription as SubscriptionId, anEvent({ id: 'e1' }));
    const list = async (query: string) =>
      (await call('GET', `/v1/deliveries${query}`, key)).json<{ data: { id: string }[] }>().data.map(({ id }) => id);
    expect(await list('')).toEqual([delivery]);
    expect(await list(`?event=e1&subscription=${subscription}&state=dead`)).toEqual([delivery]);
    expect(await list('?state=delivered')).toEqual([]);
    expect((await call('GET', '/v1/deliveries?state=failed&nonsense=1', key)).status).toBe(400);
    expect((await call('GET', '/v1/deliveries?after=nonsense', key)).status).toBe(400);
    expect((await call('GET', `/v1/deliveries/${delivery}`, key)).json()).toMatchObject({
      id: delivery,
      subscription,
      state: 'dead',
      reason: 'rejected_by_sink',
      event: { id: 'e1' },
      attempts: [
        {
          number: 1,
          at: expect.any(String),
          durationMs: 12,
          status: 400,
          outcome: 'permanent',
          responseBody: 'no thanks',
        },
      ],
    });
    const letters = await call('GET', '/v1/dead-letters', key);
    expect(letters.json()).toMatchObject({ data: [{ kind: 'delivery', delivery, reason: 'rejected_by_sink' }] });
  });

  test('redeliver what is over: one task and one fact, however often it is asked', async () => {
    const { tenant, key } = await aTenant();
    const { id: subscription } = await subscribe(key);
    const { delivery } = await aDeadDelivery(tenant, subscription as SubscriptionId, anEvent({ id: 'again' }));
    const answers = await Promise.all(
      [0, 1].map((i) => call('POST', `/v1/deliveries/${delivery}/redeliver`, key, {}, i)),
    );
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    expect(answers[0]?.json()).toEqual({ delivery, attempt: 2 });

    const { jsm, topology } = bus;
    const subject = topology.deliverSubject(subscription);
    const task = await jsm.streams.getMessage(topology.streams.DELIVERIES, { last_by_subj: subject });
    expect(decodeDeliveryTask(task?.data ?? new Uint8Array())).toMatchObject({ delivery, attempt: 2, firstAttempt: 2 });
    const { state } = await jsm.streams.info(topology.streams.DELIVERIES, { subjects_filter: subject });
    expect(state.subjects).toEqual({ [subject]: 1 });
    const journal = topology.journalSubject(tenant, 'redelivered');
    const fact = await jsm.streams.getMessage(topology.streams.JOURNAL, { last_by_subj: journal });
    await writeFacts(db, [{ seq: ++factSeq, fact: fact?.json<Fact>() as Fact }]);
    const pending = await call('POST', `/v1/deliveries/${delivery}/redeliver`, key);
    expect([pending.status, pending.json<ProblemBody>().code]).toEqual([409, 'delivery-in-progress']);
  });

  test('do not redeliver to a subscription that is deleted', async () => {
    const { tenant, key } = await aTenant();
    const { id: subscription } = await subscribe(key);
    const { delivery } = await aDeadDelivery(tenant, subscription as SubscriptionId, anEvent({ id: 'late' }));
    await call('DELETE', `/v1/subscriptions/${subscription}`, key);
    const answer = await call('POST', `/v1/deliveries/${delivery}/redeliver`, key);
    expect([answer.status, answer.json<ProblemBody>().code]).toEqual([409, 'subscription-deleted']);
  });
});

describe('when a part is away', () => {
  test('a missing signer is 503 and nothing is created; unsigned subscriptions go on', async () => {
    const { key } = await aTenant();
    await signer.stop();
    try {
      const refused = await call('POST', '/v1/subscriptions', key, { body: minimal });
      expect([refused.status, refused.json<ProblemBody>().code]).toEqual([503, 'signer-unavailable']);
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
      await subscribe(key, { config: { signature: { profile: 'none' }, authorization: 'none' } });
    } finally {
      signer = startSigner();
      await bus.nc.flush(); // the server knows of it before anybody asks it
    }
    await subscribe(key);
  });

  test('without Postgres look-ups are 503, subscriptions go on, and it recovers by itself', async () => {
    const { key } = await aTenant();
    await postgres.halt();
    try {
      for (const path of ['deliveries', 'dead-letters', 'events/e']) {
        const answer = await call('GET', `/v1/${path}`, key);
        expect([path, answer.status, answer.headers.get('retry-after')]).toEqual([path, 503, '2']);
      }
      const { id } = await subscribe(key);
      expect((await call('GET', '/v1/subscriptions', key)).json<object[]>()).toHaveLength(1);
      expect((await call('GET', `/v1/subscriptions/${id}`, key)).status).toBe(200);
      expect((await call('PUT', `/v1/subscriptions/${id}`, key, { body: minimal })).status).toBe(200);
      expect((await call('DELETE', `/v1/subscriptions/${id}`, key)).status).toBe(200);
    } finally {
      await postgres.restart();
    }
    await eventually(async () => (await call('GET', '/v1/deliveries', key)).status === 200, { deadlineMs: 30_000 });
  });

  test('without NATS everything is 503 with Retry-After, and it recovers by itself', async () => {
    const { key } = await aTenant();
    const { id } = await subscribe(key);
    await nats.halt();
    try {
      const answer = await call('GET', `/v1/subscriptions/${id}`, key);
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
    } finally {
      await nats.restart();
    }
    const isBack = async () => (await call('GET', `/v1/subscriptions/${id}`, key)).status === 200;
    await eventually(isBack, { deadlineMs: 30_000 });
  });
});
