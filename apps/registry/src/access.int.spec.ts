import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BusModule } from '#bus/bus.module';
import { serve, type Serving } from '#bus/request';
import type { Fact } from '#contracts/bus/facts';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { AuditResource } from '#contracts/http/audit';
import { attributeOf } from '#core/event/cloud-event';
import { toNatsMessage } from '#core/event/nats-binding';
import { deliveryIdInput, makeDeliveryId, type DeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import { API_KEY_SCOPES, type ApiKeyScope } from '#core/registry/api-key';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { sha256, sha256Hex } from '#platform/digest';
import { makeLogger } from '#platform/logger';
import { openDatabase, type Database } from '#store/database';
import { formatCursor } from '#store/page';
import { writeDeadLetters } from '#store/write-dead-letters';
import { writeEvents } from '#store/write-events';
import { writeFacts } from '#store/write-facts';
import { writeRegistry } from '#store/write-registry';
import { anEvent } from '#testkit/an-event';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { silentStoreLogger, startPostgres, type TestPostgres } from '#testkit/postgres';
import { routesOf } from '#testkit/routes-of';
import { callApi, type Answer, type ApiRequest } from '#testkit/tenant-client';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { RegistryModule } from './registry.module.ts';

const adminToken = 'the-token-of-the-operator';
const sink = 'https://example.com/hooks';
const ALL = API_KEY_SCOPES;

let nats: TestNats;
let postgres: TestPostgres;
let db: Database;
let bus: TestBus;
let signer: Serving;
let service: RunningService;
/** What the service thinks that the time is. */
let aheadMs = 0;

beforeAll(async () => {
  [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
  const databaseUrl = await postgres.createDatabase();
  db = openDatabase({ url: databaseUrl, logger: silentStoreLogger });
  bus = await makeTestBus(nats.url);
  signer = serve(bus, { subject: bus.topology.sealSubject, queue: 'signer' }, (question) =>
    Promise.resolve(Buffer.from(JSON.stringify(sealed(JSON.parse(Buffer.from(question).toString()) as object)))),
  );
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DATABASE_URL: databaseUrl,
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
    POSTHASTE_TRUSTED_PROXIES: '127.0.0.0/8',
  });
  service = await startService({
    name: 'registry',
    config,
    logger: makeLogger({ name: 'registry', level: 'silent' }),
    clock: () => Date.now() + aheadMs,
    modules: [BusModule.forRoot({ name: 'registry', config }), RegistryModule],
  });
});

afterAll(async () => {
  await service.stop();
  await signer.stop();
  await bus.close();
  await db.close();
  await Promise.all([nats.stop(), postgres.stop()]);
});

/** A signer that seals by hashing: nobody here has to open it again. */
function sealed(question: { secret?: string; algorithm?: string }): object {
  if (question.algorithm !== undefined) {
    const { publicKey } = generateKeyPairSync('ed25519');
    return {
      id: randomBytes(32).toString('base64url'),
      publicJwk: publicKey.export({ format: 'jwk' }),
      sealedPrivateKey: 'sealed:private',
    };
  }
  const { secret = `whsec_${randomBytes(32).toString('base64')}` } = question;
  return { ok: true, sealed: `sealed:${sha256Hex(secret)}`, secret };
}

function call(method: string, path: string, token?: string, request: ApiRequest = {}): Promise<Answer> {
  const headers = { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...request.headers };
  return callApi(method, `${service.url}${path}`, { ...request, headers });
}

const problemOf = (answer: Answer) => [answer.status, answer.json<{ code: string }>().code];

interface MadeKey {
  readonly id: string;
  readonly key: string;
  readonly prefix: string;
}

async function aKey(tenant: string, scopes: readonly string[], terms: object = {}): Promise<MadeKey> {
  const made = await call('POST', `/v1/tenants/${tenant}/keys`, adminToken, { body: { scopes, ...terms } });
  expect(made.status).toBe(201);
  return made.json<MadeKey>();
}

async function aTenant(): Promise<TenantId> {
  const tenant = `t-${randomBytes(4).toString('hex')}` as TenantId;
  expect((await call('PUT', `/v1/tenants/${tenant}`, adminToken)).status).toBe(201);
  return tenant;
}

/** What the projector would have done by now. */
async function project(): Promise<void> {
  const { state } = await bus.jsm.streams.info(bus.topology.streams.REGISTRY);
  const records: { seq: number; record: RegistryRecord }[] = [];
  for (let seq = 1; seq <= state.last_seq; seq++) {
    const message = await bus.jsm.streams.getMessage(bus.topology.streams.REGISTRY, { seq });
    if (message) records.push({ seq, record: message.json<RegistryRecord>() });
  }
  await writeRegistry(db, records);
}

/** A delivery that is dead after one attempt, as matcher, delivery and projector would have left it. */
async function aDeadDelivery(tenant: TenantId, subscription: SubscriptionId) {
  const event = anEvent();
  const [id = '', source = '', type = ''] = ['id', 'source', 'type'].map((name) => attributeOf(event, name));
  const { headers, payload } = toNatsMessage(event);
  const { seq: eventSeq } = await bus.publisher.publish(bus.topology.eventSubject(tenant, type), payload, { headers });
  const acceptedAtMs = Date.now();
  const { attributes } = event;
  await writeEvents(db, [{ seq: eventSeq, acceptedAtMs, tenant, source, id, type, attributes }]);
  const delivery = makeDeliveryId(sha256(deliveryIdInput(tenant, source, id, subscription)));
  const about = { tenant, delivery, subscription, eventSeq, acceptedAtMs, source, id, type };
  const matched: Fact = {
    kind: 'matched',
    tenant,
    eventSeq,
    acceptedAtMs,
    source,
    id,
    type,
    atMs: acceptedAtMs,
    matchCount: 1,
    matches: [{ delivery, subscription }],
  };
  const attempt: Fact = {
    kind: 'attempt',
    ...about,
    attempt: 1,
    startedAtMs: acceptedAtMs + 5,
    durationMs: 12,
    request: { outcome: 'permanent', status: 400 },
    next: { kind: 'dead', reason: 'rejected_by_sink' },
  };
  await writeFacts(db, [
    { seq: 1, fact: matched },
    { seq: 2, fact: attempt },
  ]);
  const letter = { kind: 'delivery', ...about, reason: 'rejected_by_sink', attempts: 1, lastStatus: 400 } as const;
  await writeDeadLetters(db, [{ seq: 3, letter: { ...letter, atMs: acceptedAtMs + 17 } }]);
  return { delivery, event: id };
}

/** What one tenant has; each stands in the path of some route. */
interface Belongings {
  readonly tenant: TenantId;
  readonly key: string;
  readonly subscription: SubscriptionId;
  readonly event: string;
  readonly delivery: DeliveryId;
  readonly signingKey: string;
  readonly redelivery: string;
}

async function belongings(): Promise<Belongings & { readonly token: string }> {
  const tenant = await aTenant();
  const { id: key, key: token } = await aKey(tenant, ALL);
  const made = async (path: string, body: object) =>
    (await call('POST', path, token, { body })).json<{ id: string }>().id;
  const subscription = (await made('/v1/subscriptions', aSubscription({ tenant }))) as SubscriptionId;
  const dead = await aDeadDelivery(tenant, subscription);
  const signingKey = await made('/v1/signing-keys', { algorithm: 'ed25519' });
  const redelivery = await made('/v1/redeliveries', { states: ['dead'], types: ['none'] });
  return { tenant, token, key, subscription, ...dead, signingKey, redelivery };
}

type Access =
  /** Everybody, without a credential. */
  | 'public'
  /** The operator only. */
  | 'operator'
  /** One of these scopes is needed. */
  | readonly ApiKeyScope[];

interface Row {
  readonly access: Access;
  /** What stands for each parameter of the path. */
  readonly path?: Readonly<Record<string, keyof Belongings>>;
  readonly query?: (theirs: Belongings) => string;
  readonly body?: (theirs: Belongings) => object;
  /**
   * What another tenant's key with all scopes gets for the ids. `none of it`: 200, and none of the ids is in the answer.
   * `names none`: there is no id in the request.
   */
  readonly foreign?: 403 | 404 | 'none of it' | 'names none';
}

const READ: Access = ['read', 'manage', 'admin'];
const MANAGE: Access = ['manage', 'admin'];
const ADMIN: Access = ['admin'];
const ofSubscription = { path: { id: 'subscription' } } as const;
const ofDelivery = { path: { id: 'delivery' } } as const;
const ofEvent = { path: { id: 'event' } } as const;
const ofSigningKey = { path: { id: 'signingKey' } } as const;
const ofTenant = { path: { tenant: 'tenant' } } as const;
const ofKey = { path: { tenant: 'tenant', key: 'key' } } as const;
const sinkOf = ({ tenant }: Pick<Belongings, 'tenant'>) => `${sink}/${tenant}`;
const aSubscription = (whose: Pick<Belongings, 'tenant'>) => ({ sink: sinkOf(whose), protocol: 'HTTP' });

/** Every route. Whoever adds one says here whom it is for. */
const ACCESS: Readonly<Record<string, Row>> = {
  'GET /livez': { access: 'public' },
  'GET /readyz': { access: 'public' },
  'GET /metrics': { access: 'public' },

  'GET /v1/tenants': { access: 'operator' },
  'GET /v1/tenants/:tenant': { access: READ, ...ofTenant },
  'PUT /v1/tenants/:tenant': { access: 'operator', ...ofTenant },
  'GET /v1/tenants/:tenant/keys': { access: ADMIN, ...ofTenant },
  'POST /v1/tenants/:tenant/keys': { access: ADMIN, ...ofTenant, body: () => ({ scopes: ['read'] }) },
  'GET /v1/tenants/:tenant/keys/:key': { access: ADMIN, ...ofKey },
  'DELETE /v1/tenants/:tenant/keys/:key': { access: ADMIN, ...ofKey },
  'GET /v1/audit': { access: ADMIN, foreign: 'none of it' },

  'GET /v1/subscriptions': { access: READ, foreign: 'none of it' },
  'POST /v1/subscriptions': { access: MANAGE, body: aSubscription, foreign: 'names none' },
  'DELETE /v1/subscriptions': { access: MANAGE, query: (theirs) => `sink=${encodeURIComponent(sinkOf(theirs))}` },
  'GET /v1/subscriptions/:id': { access: READ, ...ofSubscription },
  'PUT /v1/subscriptions/:id': { access: MANAGE, ...ofSubscription, body: aSubscription },
  'PATCH /v1/subscriptions/:id': { access: MANAGE, ...ofSubscription, body: () => ({}) },
  'DELETE /v1/subscriptions/:id': { access: MANAGE, ...ofSubscription },
  'POST /v1/subscriptions/:id/pause': { access: MANAGE, ...ofSubscription },
  'POST /v1/subscriptions/:id/resume': { access: MANAGE, ...ofSubscription },
  'POST /v1/subscriptions/:id/verify': { access: MANAGE, ...ofSubscription },
  'POST /v1/subscriptions/:id/secret/rotate': { access: MANAGE, ...ofSubscription },
  'GET /v1/subscriptions/:id/history': { access: READ, ...ofSubscription },
  'GET /v1/subscriptions/:id/health': { access: READ, ...ofSubscription },
  'POST /v1/filters/test': { access: READ, body: () => ({}), foreign: 'names none' },

  'GET /v1/events/:id': { access: READ, ...ofEvent },
  'GET /v1/events/:id/data': { access: READ, ...ofEvent },
  'GET /v1/deliveries': { access: READ, query: ({ event }) => `event=${event}`, foreign: 'none of it' },
  'GET /v1/deliveries/:id': { access: READ, ...ofDelivery },
  'POST /v1/deliveries/:id/redeliver': { access: MANAGE, ...ofDelivery },
  'GET /v1/dead-letters': { access: READ, foreign: 'none of it' },
  'GET /v1/redeliveries': { access: READ, foreign: 'none of it' },
  'POST /v1/redeliveries': {
    access: MANAGE,
    body: ({ subscription }) => ({ states: ['dead'], subscription, dryRun: true }),
  },
  'GET /v1/redeliveries/:id': { access: READ, path: { id: 'redelivery' } },
  'POST /v1/redeliveries/:id/cancel': { access: MANAGE, path: { id: 'redelivery' } },

  'GET /v1/signing-keys': { access: READ, foreign: 'none of it' },
  'POST /v1/signing-keys': { access: MANAGE, body: () => ({ algorithm: 'ed25519' }), foreign: 'names none' },
  'GET /v1/signing-keys/:id': { access: READ, ...ofSigningKey },
  'POST /v1/signing-keys/:id/publish': { access: MANAGE, ...ofSigningKey },
  'POST /v1/signing-keys/:id/activate': { access: MANAGE, ...ofSigningKey },
  'POST /v1/signing-keys/:id/withdraw': { access: MANAGE, ...ofSigningKey },
  'POST /v1/signing-keys/:id/retire': { access: MANAGE, ...ofSigningKey },
  'POST /v1/secrets/reseal': { access: 'operator' },
};

const rows = Object.entries(ACCESS);
const guarded = rows.filter(([, { access }]) => access !== 'public');

const idsOf = ({ token: _secret, ...ids }: Belongings & { token: string }): string[] => Object.values(ids);

/** A request to a route with these ids in it. */
function send(route: string, { path, query, body }: Row, ids: Belongings, token?: string): Promise<Answer> {
  const [method = '', pattern = ''] = route.split(' ');
  const filled = pattern.replace(/:(\w+)/g, (_, name: string) => ids[path?.[name] ?? 'tenant']);
  const search = query === undefined ? '' : `?${query(ids)}`;
  return call(method, `${filled}${search}`, token, body === undefined ? {} : { body: body(ids) });
}

describe('every route', () => {
  let theirs: Awaited<ReturnType<typeof belongings>>;
  let mine: Belongings & { readonly token: string };

  beforeAll(async () => {
    [theirs, mine] = [await belongings(), await belongings()];
    await project();
  });

  test('is in the table above: with a new one this fails until the table says whom it is for', async () => {
    const fastify = service.app.getHttpAdapter().getInstance() as FastifyInstance;
    const routes = routesOf(fastify.printRoutes({ commonPrefix: false }));
    const missing: string[] = [];
    for (const { method, path } of routes) {
      const route = `${method} ${path}`;
      if (route in ACCESS || method === 'OPTIONS' || (method === 'HEAD' && `GET ${path}` in ACCESS)) continue;
      const { status } = await callApi(method, `${service.url}${path}`);
      if (status !== 405) missing.push(route);
    }
    expect(missing).toEqual([]);
    const served = new Set(routes.map(({ method, path }) => `${method} ${path}`));
    expect(Object.keys(ACCESS).filter((route) => !served.has(route))).toEqual([]);
  });

  test.each(guarded)('%s is 401 without a credential, and with one that nobody has', async (route, row) => {
    const nobody = await send(route, row, theirs);
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="posthaste"']);
    expect(problemOf(await send(route, row, theirs, `phk_${'x'.repeat(43)}`))).toEqual([401, 'invalid-credential']);
  });

  test.each(guarded)("%s does not know another tenant's ids", async (route, row) => {
    const { access, foreign = access === 'operator' ? 403 : 404 } = row;
    if (foreign === 'names none') return;
    const answer = await send(route, row, theirs, mine.token);
    expect(answer.status).toBe(foreign === 'none of it' ? 200 : foreign);
    if (foreign !== 'none of it') return;
    for (const id of idsOf(theirs)) expect(answer.text).not.toContain(id);
    // It is there for whom it belongs to.
    const own = await send(route, row, theirs, theirs.token);
    expect(idsOf(theirs).some((id) => own.text.includes(id))).toBe(true);
  });

  test.each<[what: string, path: (theirs: Belongings) => string]>([
    ['deliveries of a subscription', (of) => `/v1/deliveries?subscription=${of.subscription}`],
    ['deliveries after a cursor', (of) => `/v1/deliveries?after=${cursorBefore(of.delivery)}`],
    ['dead letters of a subscription', (of) => `/v1/dead-letters?subscription=${of.subscription}`],
    ['dead letters after a cursor', (of) => `/v1/dead-letters?after=${cursorBefore(of.delivery)}`],
    ['subscriptions with a sink', (of) => `/v1/subscriptions?sink=${encodeURIComponent(sinkOf(of))}`],
    ['redeliveries after a cursor', () => `/v1/redeliveries?after=red_${'z'.repeat(26)}`],
    ['the audit of a key', (of) => `/v1/audit?by=${of.key}`],
    ['the audit after a cursor', () => '/v1/audit?after=999999999.999999999'],
  ])("shows none of another tenant's %s", async (_what, path) => {
    const answer = await call('GET', path(theirs), mine.token);
    expect(answer.status).toBe(200);
    for (const id of idsOf(theirs)) expect(answer.text).not.toContain(id);
    // It is there for whom it belongs to.
    const own = await call('GET', path(theirs), theirs.token);
    expect(idsOf(theirs).some((id) => own.text.includes(id))).toBe(true);
  });

  test.each(guarded)('%s is 403 for a key without its scope, and not for one with it', async (route, row) => {
    const nowhere = { ...theirs, tenant: mine.tenant, ...NOWHERE };
    for (const scope of ALL) {
      const { key } = await aKey(mine.tenant, [scope]);
      const answer = await send(route, row, nowhere, key);
      const isAllowed = row.access !== 'operator' && row.access.includes(scope);
      expect([scope, answer.status === 403]).toEqual([scope, !isAllowed]);
      expect(answer.status).not.toBe(401);
    }
  });

  test('that shows something shows it to its own tenant, after all that was tried', async () => {
    for (const [route, row] of guarded) {
      if (!route.startsWith('GET') || row.access === 'operator') continue;
      expect([route, (await send(route, row, theirs, theirs.token)).status]).toEqual([route, 200]);
    }
  });
});

/** As the `next` of a page that ends before all there is. */
const cursorBefore = (id: string): string => formatCursor({ atMs: Date.now() + 3_600_000, id });

/** Well-formed, and of nothing. */
const NOWHERE = {
  key: `key_${'0'.repeat(26)}`,
  subscription: `sub_${'0'.repeat(26)}` as SubscriptionId,
  event: 'nothing',
  delivery: `dlv_${'0'.repeat(26)}` as DeliveryId,
  signingKey: '0'.repeat(43),
  redelivery: `red_${'0'.repeat(26)}`,
};

describe('a key', () => {
  test('shows its prefix, its terms and its last use, and never itself or its hash', async () => {
    const tenant = await aTenant();
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const made = await aKey(tenant, ['read'], { name: 'ci', expiresAt, requestsPerMinute: 600 });
    expect(made.prefix).toBe(made.key.slice(0, 10));
    const path = `/v1/tenants/${tenant}/keys/${made.id}`;
    expect((await call('GET', path, adminToken)).json()).not.toHaveProperty('lastUsedAt');

    const headers = { 'x-forwarded-for': '192.0.2.7' };
    expect((await call('GET', '/v1/subscriptions', made.key, { headers })).status).toBe(200);
    const used = await eventually(async () => {
      const shown = (await call('GET', path, adminToken)).json<{ lastUsedAt?: string }>();
      return shown.lastUsedAt === undefined ? undefined : shown;
    });
    await project();
    const listed = (await call('GET', `/v1/tenants/${tenant}/keys`, adminToken)).json<{ data: object[] }>().data;
    expect(listed).toEqual([used]);
    expect(used).toEqual({
      id: made.id,
      name: 'ci',
      scopes: ['read'],
      prefix: made.prefix,
      expiresAt,
      requestsPerMinute: 600,
      lastUsedAt: expect.stringMatching(/^20.*Z$/),
      lastUsedFrom: '192.0.2.7',
      createdAt: expect.any(String),
    });
    expect(JSON.stringify(used)).not.toContain(sha256Hex(made.key));
  });

  test('is refused from the instant on at which it expires, and can not be made for the past', async () => {
    const tenant = await aTenant();
    const past = { scopes: ['read'], expiresAt: '2020-01-01T00:00:00Z' };
    const refused = await call('POST', `/v1/tenants/${tenant}/keys`, adminToken, { body: past });
    expect(refused.json()).toMatchObject({ status: 400, errors: [{ pointer: '/expiresAt' }] });

    const { key } = await aKey(tenant, ['read'], { expiresAt: new Date(Date.now() + 3_600_000).toISOString() });
    expect((await call('GET', '/v1/subscriptions', key)).status).toBe(200);
    aheadMs = 3_600_000;
    try {
      expect(problemOf(await call('GET', '/v1/subscriptions', key))).toEqual([401, 'credential-expired']);
    } finally {
      aheadMs = 0;
    }
  });

  test('that was revoked is listed no more, however far the read side is', async () => {
    const tenant = await aTenant();
    const [kept, revoked] = [await aKey(tenant, ['read']), await aKey(tenant, ['admin'])];
    await project(); // and not again
    const path = `/v1/tenants/${tenant}/keys`;
    const listed = async () => (await call('GET', path, adminToken)).json<{ data: { id: string }[] }>().data;
    expect((await listed()).map(({ id }) => id)).toEqual([revoked.id, kept.id]);
    expect((await call('DELETE', `${path}/${revoked.id}`, adminToken)).status).toBe(200);
    expect((await listed()).map(({ id }) => id)).toEqual([kept.id]);
  });

  test('over its rate is told when to come again, and its neighbour is not concerned', async () => {
    const tenant = await aTenant();
    const { key } = await aKey(tenant, ['read'], { requestsPerMinute: 1 });
    const { key: neighbour } = await aKey(tenant, ['read']);
    expect((await call('GET', '/v1/subscriptions', key)).status).toBe(200);
    const refused = await call('GET', '/v1/subscriptions', key);
    expect(problemOf(refused)).toEqual([429, 'key-rate-exceeded']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(25);
    expect((await call('GET', '/v1/subscriptions', neighbour)).status).toBe(200);
  });

  test('with the scope admin hands out keys of its own tenant, and of no other', async () => {
    const tenant = await aTenant();
    const { key } = await aKey(tenant, ['admin']);
    const body = { scopes: ['publish'] };
    expect((await call('POST', `/v1/tenants/${tenant}/keys`, key, { body })).status).toBe(201);
    const other = await aTenant();
    expect((await call('POST', `/v1/tenants/${other}/keys`, key, { body })).status).toBe(404);
    expect((await call('POST', '/v1/tenants/nobody/keys', key, { body })).status).toBe(404);
  });
});

describe('the audit', () => {
  const from = '192.0.2.9';
  const headers = { 'x-forwarded-for': from };
  const audit = async (token: string, query = '') =>
    (await call('GET', `/v1/audit${query}`, token)).json<{ data: AuditResource[]; next?: string }>();

  async function aBusyTenant() {
    const tenant = await aTenant();
    const { id: by, key } = await aKey(tenant, ALL);
    const secret = `whsec_${randomBytes(24).toString('base64')}`;
    // Not to be asked: when that is recorded, nobody here decides.
    const config = { signature: { secret }, validation: { mode: 'none' } };
    const body = { sink, protocol: 'HTTP', config };
    const made = await call('POST', '/v1/subscriptions', key, { headers, body });
    const { id } = made.json<{ id: SubscriptionId }>();
    await call('POST', `/v1/subscriptions/${id}/pause`, key, { headers, body: { reason: 'maintenance' } });
    await call('POST', `/v1/subscriptions/${id}/secret/rotate`, key, { headers });
    return { tenant, by, key, id, secret };
  }

  test('says of every command who, when, from where and what, newest first, and no secret', async () => {
    const since = Date.now();
    const { tenant, by, key, id, secret } = await aBusyTenant();
    const { data } = await audit(key);
    // What a command entails, such as the first signing key of a tenant, is told as well.
    const commands = data.filter(({ from: address, aggregate }) => address !== undefined && aggregate !== 'signingkey');
    expect(commands).toEqual([
      expect.objectContaining({ what: 'secret-rotated', details: { graceUntil: expect.any(String) } }),
      expect.objectContaining({ what: 'paused', details: { reason: 'maintenance' } }),
      expect.objectContaining({ by, from, tenant, aggregate: 'subscription', id, what: 'created', details: { sink } }),
      expect.objectContaining({
        by: 'admin',
        aggregate: 'apikey',
        id: by,
        what: 'created',
        details: { name: by, scopes: ALL, prefix: key.slice(0, 10) },
      }),
      expect.objectContaining({ by: 'admin', from: '127.0.0.1', aggregate: 'tenant', id: tenant, what: 'created' }),
    ]);
    const times = commands.map(({ at }) => Date.parse(at)).toReversed();
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBeGreaterThanOrEqual(since);
    expect(times.at(-1)).toBeLessThanOrEqual(Date.now());
    const text = JSON.stringify(data);
    for (const hidden of [secret, secret.slice(6), key, sha256Hex(key), 'sealed', 'hash']) {
      expect(text).not.toContain(hidden);
    }
    const history = await call('GET', `/v1/subscriptions/${id}/history`, key);
    expect(history.json<{ data: object[] }>().data[0]).toMatchObject({ what: 'created', by, from });
  });

  test('has the redelivery of one delivery as well', async () => {
    const { tenant, by, key, id } = await aBusyTenant();
    await call('POST', `/v1/subscriptions/${id}/resume`, key);
    const { delivery } = await aDeadDelivery(tenant, id);
    expect((await call('POST', `/v1/deliveries/${delivery}/redeliver`, key, { headers })).status).toBe(202);
    const { data } = await audit(key, '?aggregate=delivery');
    expect(data).toEqual([
      {
        at: expect.any(String),
        by,
        from,
        tenant,
        aggregate: 'delivery',
        id: delivery,
        what: 'redelivered',
        details: { subscription: id, attempt: 2 },
      },
    ]);
    expect((await audit(key)).data[0]).toEqual(data[0]);
  });

  test.each(['an event', 'null', '{"from":"192.0.2.9","atMs":1e300}'])(
    'is there for the rest when a service that was taken over has stored %s among the facts',
    async (payload) => {
      const { tenant, key } = await aBusyTenant();
      const before = (await audit(key)).data;
      await bus.publisher.publish(bus.topology.journalSubject(tenant, 'redelivered'), Buffer.from(payload));
      expect((await audit(key)).data).toEqual(before);
      expect((await audit(adminToken)).data.slice(0, before.length)).toEqual(before);
    },
  );

  test('is filtered by who, what and when, and its pages neither miss nor repeat', async () => {
    const { by, key } = await aBusyTenant();
    const all = (await audit(key)).data;
    expect((await audit(key, `?by=${by}`)).data).toEqual(all.filter((entry) => entry.by === by));
    expect((await audit(key, '?aggregate=apikey')).data).toEqual(all.filter(({ aggregate }) => aggregate === 'apikey'));
    const middle = all[Math.floor(all.length / 2)]?.at ?? '';
    expect((await audit(key, `?since=${middle}`)).data).toEqual(all.filter(({ at }) => at >= middle));
    expect((await audit(key, `?until=${middle}`)).data).toEqual(all.filter(({ at }) => at < middle));
    // What is written for "without end".
    expect((await audit(key, '?until=9999-12-31T23:59:59Z')).data).toEqual(all);

    const pages: AuditResource[] = [];
    let next: string | undefined = '';
    while (next !== undefined) {
      const page = await audit(key, `?limit=2${next === '' ? '' : `&after=${next}`}`);
      expect(page.data.length).toBeLessThanOrEqual(2);
      pages.push(...page.data);
      next = page.next;
    }
    expect(pages).toEqual(all);
  });

  test('is of all tenants for the operator who names none, and of one otherwise', async () => {
    const one = await aBusyTenant();
    const other = await aBusyTenant();
    const everything = JSON.stringify((await audit(adminToken, '?limit=250')).data);
    expect(everything).toContain(one.id);
    expect(everything).toContain(other.id);
    const named = await call('GET', '/v1/audit', adminToken, { headers: { 'posthaste-tenant': one.tenant } });
    expect(named.text).toContain(one.id);
    expect(named.text).not.toContain(other.id);
    expect((await call('GET', '/v1/audit', (await aKey(one.tenant, ['manage', 'read'])).key)).status).toBe(403);
  });

  test.each([
    'since=yesterday',
    'aggregate=sink',
    'after=x',
    'by=',
    'since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z',
  ])('refuses ?%s with what is wrong', async (query) => {
    expect(problemOf(await call('GET', `/v1/audit?${query}`, adminToken))).toEqual([400, 'invalid-query']);
  });

  test('does not have what was refused: that is counted by the code of the problem', async () => {
    const { tenant, key } = await aBusyTenant();
    const { key: reader } = await aKey(tenant, ['read']);
    const before = (await audit(key)).data;
    expect((await call('POST', '/v1/subscriptions', reader, { body: { sink } })).status).toBe(403);
    expect((await audit(key)).data).toEqual(before);
    const metrics = (await call('GET', '/metrics')).text;
    expect(metrics).toMatch(/posthaste_http_refused_total\{code="scope-missing"\} [1-9]/);
    expect(metrics).toMatch(/posthaste_http_refused_total\{code="invalid-credential"\} [1-9]/);
  });
});
