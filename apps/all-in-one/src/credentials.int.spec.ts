import { createPublicKey, randomBytes, verify, type JsonWebKey } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import { BusModule } from '#bus/bus.module';
import type { PublishedJwk } from '#contracts/http/signing-key-body';
import type { SubscriptionResource } from '#contracts/http/subscription-resource';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { headerOf, startSink, type Received, type Sink, type SinkAnswer } from '#testkit/sink-server';
import { callApi } from '#testkit/tenant-client';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema as deliveryConfig } from '../../delivery/src/config.ts';
import { DeliveryModule } from '../../delivery/src/delivery.module.ts';
import { configSchema as gatewayConfig } from '../../gateway/src/config.ts';
import { GatewayModule } from '../../gateway/src/gateway.module.ts';
import { configSchema as matcherConfig } from '../../matcher/src/config.ts';
import { MatcherModule } from '../../matcher/src/matcher.module.ts';
import { configSchema as registryConfig } from '../../registry/src/config.ts';
import { RegistryModule } from '../../registry/src/registry.module.ts';
import { configSchema as signerConfig } from '../../signer/src/config.ts';
import { SignerModule } from '../../signer/src/signer.module.ts';

jest.setTimeout(90_000);

const adminToken = 'the-token-of-the-operator';
const PUBLIC_URL = 'https://hooks.example';

let nats: TestNats;
let bus: TestBus;
/** The sinks of all tests by path, and the token endpoint. */
let server: Sink;
let services: RunningService[];
let gateway: RunningService;
let registry: RunningService;
const logged: string[] = [];

beforeAll(async () => {
  [nats, server] = await Promise.all([startNats(), startSink()]);
  bus = await makeTestBus(nats.url);
  const destination = new PassThrough().on('data', (chunk: Buffer) => logged.push(chunk.toString()));
  const logger = pino({ level: 'trace' }, destination);
  const env = {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_PUBLIC_URL: PUBLIC_URL,
    POSTHASTE_MASTER_KEY: randomBytes(32).toString('base64'),
    POSTHASTE_ADMIN_TOKEN: adminToken,
    POSTHASTE_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing', // nothing of this needs it
    POSTHASTE_SINK_ALLOW: '127.0.0.0/8',
    POSTHASTE_SINK_CA_FILE: server.caFile,
  };
  const start = <Config extends Parameters<typeof BusModule.forRoot>[0]['config']>(
    name: string,
    config: Config,
    module: new (...args: never[]) => object,
  ) =>
    startService({
      name,
      config: config as never,
      logger,
      modules: [BusModule.forRoot({ name, config, laneStates: name === 'matcher' }), module],
    });
  const signer = () => start('signer', loadConfig(signerConfig, env), SignerModule);
  services = [await signer(), await signer()];
  registry = await start('registry', loadConfig(registryConfig, env), RegistryModule);
  gateway = await start('gateway', loadConfig(gatewayConfig, env), GatewayModule);
  services.unshift(
    gateway,
    await start('matcher', loadConfig(matcherConfig, env), MatcherModule),
    await start('delivery', loadConfig(deliveryConfig, env), DeliveryModule),
    registry,
  );
});

afterEach(() => {
  server.respondWith(() => ({}));
});

afterAll(async () => {
  for (const service of services) await service.stop();
  await bus.close();
  await Promise.all([nats.stop(), server.stop()]);
});

/** A tenant with a path of its own at the sink. */
async function aTenant() {
  const id = `t-${randomBytes(4).toString('hex')}`;
  const asOperator = { authorization: `Bearer ${adminToken}` };
  await callApi('PUT', `${registry.url}/v1/tenants/${id}`, { headers: asOperator });
  const scopes = ['publish', 'manage', 'read'];
  const made = await callApi('POST', `${registry.url}/v1/tenants/${id}/keys`, {
    headers: asOperator,
    body: { scopes },
  });
  const headers = { authorization: `Bearer ${made.json<{ key: string }>().key}` };
  const call = (method: string, path: string, body?: object) =>
    callApi(method, `${registry.url}${path}`, { headers, ...(body === undefined ? {} : { body }) });
  let nextId = 0;
  return {
    id,
    call,
    async subscribe(body: object, path = '/hook') {
      const sink = `${server.url}/${id}${path}`;
      const config = { validation: { mode: 'none' }, ...(body as { config?: object }).config };
      const answer = await call('POST', '/v1/subscriptions', {
        sink,
        protocol: 'HTTP',
        types: ['com.example.a'],
        ...body,
        config,
      });
      expect([answer.status, answer.text]).toEqual([201, expect.stringContaining('sub_')]);
      return answer.json<SubscriptionResource>();
    },
    async show(subscription: { id: string }) {
      return (await call('GET', `/v1/subscriptions/${subscription.id}`)).json<SubscriptionResource>();
    },
    async publish() {
      const event = { specversion: '1.0', id: String(++nextId), source: '/s', type: 'com.example.a', data: {} };
      const sent = { ...headers, 'content-type': 'application/cloudevents+json' };
      const answer = await callApi('POST', `${gateway.url}/publish`, { headers: sent, body: JSON.stringify(event) });
      expect(answer.status).toBe(202);
    },
    received: (path = '/hook') => server.received.filter(({ url }) => url.startsWith(`/${id}${path}`)),
    /** What has to wait for a token or a resume is put off by 5 s, and then by 10 s. */
    async arrived(count: number, path = '/hook'): Promise<readonly Received[]> {
      const isThere = () => {
        const all = this.received(path);
        return all.length >= count ? all : undefined;
      };
      return eventually(isThere, { deadlineMs: 60_000 });
    },
  };
}

type Tenant = Awaited<ReturnType<typeof aTenant>>;

/** An authorization server that rotates its refresh tokens, and ends a grant of which one comes twice. */
function aTokenServer({ id }: Tenant, lifetimeSeconds = 3600) {
  const path = `/${id}/token`;
  const grant = { refreshToken: 'refresh-0', accessToken: 'access-0', count: 0, isOver: false, isAway: false };
  const json = (status: number, body: object): SinkAnswer => ({ status, body: JSON.stringify(body) });
  const answer = ({ body, headers }: Received): SinkAnswer => {
    if (grant.isAway) return { status: 503 };
    const form = new URLSearchParams(Buffer.from(body).toString());
    const isRefresh = form.get('grant_type') === 'refresh_token';
    if (isRefresh && form.get('refresh_token') !== grant.refreshToken) grant.isOver = true;
    const isClient = headers.some(
      ([name, value]) => name === 'authorization' && value === `Basic ${btoa('client:client-secret')}`,
    );
    if (grant.isOver || (!isRefresh && !isClient)) return json(400, { error: 'invalid_grant' });
    grant.accessToken = `access-${++grant.count}`;
    if (isRefresh) grant.refreshToken = `refresh-${grant.count}`;
    return json(200, {
      access_token: grant.accessToken,
      token_type: 'Bearer',
      expires_in: lifetimeSeconds,
      ...(isRefresh ? { refresh_token: grant.refreshToken } : {}),
    });
  };
  const hook = (received: Received): SinkAnswer =>
    headerOf(received, 'authorization') === `Bearer ${grant.accessToken}`
      ? {}
      : { status: 401, body: JSON.stringify(received.headers) };
  server.respondWith((received) => (received.url === path ? answer(received) : hook(received)));
  return { grant, endpoint: `${server.url}${path}`, asked: () => server.received.filter(({ url }) => url === path) };
}

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
const refreshCredential = (endpoint: string, expiresInSeconds: number) => ({
  credentialtype: 'REFRESHTOKEN',
  accesstoken: 'access-0',
  accesstokenexpiresutc: inSeconds(expiresInSeconds),
  accesstokentype: 'bearer',
  refreshtoken: 'refresh-0',
  refreshtokenendpoint: endpoint,
});
const authorizations = (received: readonly Received[]) => received.map((one) => headerOf(one, 'authorization'));

describe('without a credential', () => {
  test('a delivery carries a token that the served key set verifies, the same of each signer for a while (WH-7, WH-9)', async () => {
    const tenant = await aTenant();
    const subscription = await tenant.subscribe({});
    expect(subscription.config.authorization).toBe('jwt');
    for (let i = 0; i < 10; i++) await tenant.publish();
    const sent = authorizations(await tenant.arrived(10));
    expect(new Set(sent).size).toBeLessThanOrEqual(2);
    const [first = ''] = sent;
    const [head = '', claims = '', signature = ''] = first.replace('Bearer ', '').split('.');
    const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
    const { iat } = read(claims) as { iat: number };
    expect(read(claims)).toEqual({
      iss: PUBLIC_URL,
      aud: [subscription.sink],
      sub: subscription.id,
      iat,
      exp: iat + 3600,
    });
    expect(Math.abs(iat - Date.now() / 1000)).toBeLessThan(60);
    // One that can not hear of the newest within a second shows what it knows.
    const jwk = await eventually(async () => {
      const set = await callApi('GET', `${gateway.url}/.well-known/jwks.json?tenant=${tenant.id}`);
      return set.json<{ keys: PublishedJwk[] }>().keys.find(({ kid }) => kid === read(head)['kid']);
    });
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    const bytes = Buffer.from(signature, 'base64url');
    expect(verify('sha256', Buffer.from(`${head}.${claims}`), { key, dsaEncoding: 'ieee-p1363' }, bytes)).toBe(true);
  });

  test('and with "none", or an Authorization of its own, it carries none of ours', async () => {
    const tenant = await aTenant();
    await tenant.subscribe({ config: { authorization: 'none' } }, '/none');
    await tenant.subscribe({ protocolsettings: { headers: { Authorization: 'Bearer own' } } }, '/own');
    await tenant.publish();
    expect(authorizations(await tenant.arrived(1, '/none'))).toEqual([undefined]);
    expect(authorizations(await tenant.arrived(1, '/own'))).toEqual(['Bearer own']);
  });
});

describe('a credential that stays what it is', () => {
  test('is sent with each delivery, signed or not (SA-10)', async () => {
    const tenant = await aTenant();
    const signature = { profile: 'none' };
    const plain = { credentialtype: 'PLAIN', identifier: 'us', secret: 'plain-secret' };
    await tenant.subscribe({ sinkcredential: plain }, '/plain');
    await tenant.subscribe(
      {
        sinkcredential: { credentialtype: 'APIKEY', header: 'X-API-Key', value: 'api-key-secret' },
        config: { signature },
      },
      '/key',
    );
    const token = {
      credentialtype: 'ACCESSTOKEN',
      accesstoken: 'access-secret',
      accesstokenexpiresutc: inSeconds(600),
    };
    await tenant.subscribe({ sinkcredential: token, config: { signature: { profile: 'rfc9421' } } }, '/token-sink');
    await tenant.publish();
    expect(authorizations(await tenant.arrived(1, '/plain'))).toEqual([`Basic ${btoa('us:plain-secret')}`]);
    const [byKey] = await tenant.arrived(1, '/key');
    expect([byKey && headerOf(byKey, 'x-api-key'), byKey && headerOf(byKey, 'authorization')]).toEqual([
      'api-key-secret',
      undefined,
    ]);
    expect(authorizations(await tenant.arrived(1, '/token-sink'))).toEqual(['Bearer access-secret']);
  });

  test('is not sent any more when it expires: the subscription is paused, and the tenant is told why (SA-10)', async () => {
    const tenant = await aTenant();
    const token = (accesstoken: string, seconds: number) => ({
      credentialtype: 'ACCESSTOKEN',
      accesstoken,
      accesstokenexpiresutc: inSeconds(seconds),
    });
    const expired = { sink: `${server.url}/x`, protocol: 'HTTP', sinkcredential: token('expired-secret', -1) };
    const refused = await tenant.call('POST', '/v1/subscriptions', expired);
    expect([refused.status, refused.text]).toEqual([
      400,
      expect.stringContaining('/sinkcredential/accesstokenexpiresutc'),
    ]);
    await tenant.subscribe({ types: ['io.posthaste.subscription.paused'] }, '/told');
    const subscription = await tenant.subscribe({ sinkcredential: token('expiring-secret', 15) });
    await tenant.publish();
    const paused = await eventually(async () => {
      const shown = await tenant.show(subscription);
      return shown.state === 'paused' ? shown : undefined;
    });
    expect(paused.stateReason).toMatch(
      /^The access token of the sink credential expires at .*; replace it, then resume\.$/,
    );
    const [told] = await tenant.arrived(1, '/told');
    expect(JSON.parse(Buffer.from(told?.body ?? []).toString())).toMatchObject({
      subject: subscription.id,
      data: { state: 'paused', cause: 'credential_expired', reason: paused.stateReason },
    });
    const path = `/v1/subscriptions/${subscription.id}`;
    expect((await tenant.call('PATCH', path, { sinkcredential: token('fresh-secret', 600) })).status).toBe(200);
    expect((await tenant.call('POST', `${path}/resume`)).status).toBe(200);
    expect(authorizations(await tenant.arrived(1))).toEqual(['Bearer fresh-secret']); // what waited, and nothing before it
  });
});

describe('OAuth', () => {
  test('a refresh token obtains the next access token once, with two signers and many deliveries at once', async () => {
    const tenant = await aTenant();
    const { grant, endpoint, asked } = aTokenServer(tenant);
    const subscription = await tenant.subscribe({ sinkcredential: refreshCredential(endpoint, 5) });
    await Promise.all(Array.from({ length: 30 }, () => tenant.publish()));
    const received = await tenant.arrived(30);
    expect(new Set(authorizations(received))).toEqual(new Set(['Bearer access-1']));
    expect([asked().length, grant.isOver]).toEqual([1, false]);
    const history = await tenant.call('GET', `/v1/subscriptions/${subscription.id}/history`);
    expect(history.json<{ data: object[] }>().data).toContainEqual(
      expect.objectContaining({
        what: 'credential-refreshed',
        by: 'signer',
        changes: [{ pointer: '/sinkcredential' }],
      }),
    );
  });

  test('a 401 of the sink renews the token once, and the delivery goes at once', async () => {
    const tenant = await aTenant();
    const { grant, endpoint, asked } = aTokenServer(tenant);
    grant.accessToken = 'access-that-nobody-has';
    await tenant.subscribe({ sinkcredential: refreshCredential(endpoint, 600) });
    await tenant.publish();
    expect(authorizations(await tenant.arrived(2))).toEqual(['Bearer access-0', 'Bearer access-1']);
    expect(asked()).toHaveLength(1);
  });

  test('a grant that is over pauses the subscription and says so (SA-10)', async () => {
    const tenant = await aTenant();
    const { grant, endpoint } = aTokenServer(tenant);
    grant.isOver = true;
    const subscription = await tenant.subscribe({ sinkcredential: refreshCredential(endpoint, 5) });
    await tenant.publish();
    await eventually(async () => (await tenant.show(subscription)).state === 'paused');
    expect((await tenant.show(subscription)).stateReason).toBe(
      'The token endpoint answered 400 invalid_grant; replace the credential, then resume.',
    );
    expect(tenant.received()).toEqual([]);
    Object.assign(grant, { isOver: false });
    const path = `/v1/subscriptions/${subscription.id}`;
    await tenant.call('PATCH', path, { sinkcredential: refreshCredential(endpoint, 5) });
    await tenant.call('POST', `${path}/resume`);
    expect(authorizations(await tenant.arrived(1))).toEqual(['Bearer access-1']);
  });

  test('client credentials obtain a token; while the endpoint is away, deliveries wait and nothing is paused', async () => {
    const tenant = await aTenant();
    const { grant, endpoint, asked } = aTokenServer(tenant);
    grant.isAway = true;
    const subscription = await tenant.subscribe({
      sinkcredential: {
        credentialType: 'CLIENTCREDENTIALS',
        tokenEndpoint: endpoint,
        clientId: 'client',
        clientSecret: 'client-secret',
        scopes: 'deliver',
      },
    });
    await tenant.publish();
    await eventually(() => asked().length > 0);
    expect((await tenant.show(subscription)).state).toBe('active');
    grant.isAway = false;
    const [received] = await tenant.arrived(1);
    expect(received && headerOf(received, 'authorization')).toMatch(/^Bearer access-\d$/);
    expect(Buffer.from(asked().at(-1)?.body ?? []).toString()).toBe('grant_type=client_credentials&scope=deliver');
  });

  test('a token endpoint is guarded like a sink (EG)', async () => {
    const tenant = await aTenant();
    const sinkcredential = refreshCredential('https://10.0.0.1/token', 600);
    const answer = await tenant.call('POST', '/v1/subscriptions', {
      sink: `${server.url}/x`,
      protocol: 'HTTP',
      sinkcredential,
    });
    expect([answer.status, answer.text]).toEqual([
      400,
      expect.stringContaining('/sinkcredential/refreshtokenendpoint'),
    ]);
  });
});

test('no credential is in any log or stream, though a sink repeated it', async () => {
  const tenant = await aTenant();
  server.respondWith(({ headers }) => ({ status: 500, body: JSON.stringify(headers) }));
  const sinkcredential = { credentialtype: 'APIKEY', header: 'X-API-Key', value: 'api-key-secret' };
  const { id } = await tenant.subscribe({ sinkcredential });
  await tenant.publish();
  const { streams } = bus.topology;
  await eventually(async () => {
    const facts = await contentOf(streams.JOURNAL);
    return facts.includes('"responseBody":"[') && facts.includes('[secret]');
  });
  const text = (await Promise.all(Object.values(streams).map(contentOf))).join('\n');
  const shown = [
    JSON.stringify(await tenant.show({ id })),
    (await tenant.call('GET', `/v1/subscriptions/${id}/history`)).text,
  ];
  const everything = [text, ...logged, ...shown].join('\n');
  const secrets = ['plain-secret', btoa('us:plain-secret'), 'api-key-secret', 'access-secret', 'expiring-secret'];
  for (const secret of [...secrets, 'fresh-secret', 'refresh-0', 'access-0', 'access-1', 'client-secret']) {
    expect([secret, everything.includes(secret)]).toEqual([secret, false]);
  }
  expect(logged.length).toBeGreaterThan(10);
});

async function contentOf(stream: string): Promise<string> {
  const { state } = await bus.jsm.streams.info(stream);
  const messages: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq && seq > 0; seq++) {
    const message = await bus.jsm.streams.getMessage(stream, { seq });
    if (message !== null) messages.push(Buffer.from(message.data).toString('latin1'));
  }
  return messages.join('\n');
}
