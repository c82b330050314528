import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { BusModule } from '#bus/bus.module';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { makeApiKeyId, type SigningKeyId, type TenantId } from '#core/ids';
import { API_KEY_SCOPES, type ApiKeyScope } from '#core/registry/api-key';
import type { PublicJwk } from '#core/registry/signing-key';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { sha256Hex } from '#platform/digest';
import { makeLogger } from '#platform/logger';
import { startNats, type TestNats } from '#testkit/nats';
import { routesOf } from '#testkit/routes-of';
import { callApi, type Answer } from '#testkit/tenant-client';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { GatewayModule } from './gateway.module.ts';

const adminToken = 'the-token-of-the-operator';
const theirs = 'globex' as TenantId;
const mine = 'acme' as TenantId;
const theirKey = randomBytes(32).toString('base64url') as SigningKeyId;

let nats: TestNats;
let bus: TestBus;
let service: RunningService;

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  for (const tenant of [mine, theirs]) {
    const event = { kind: 'TenantCreated', id: tenant, name: tenant, atMs: 0, by: 'admin' } as const;
    await record({ aggregate: 'tenant', id: tenant, tenant, event });
  }
  const publicJwk = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) as PublicJwk;
  const about = { aggregate: 'signingkey', id: theirKey, tenant: theirs } as const;
  const made = { id: theirKey, tenant: theirs, algorithm: 'ed25519', publicJwk, sealedPrivateKey: 'sealed' } as const;
  await record({ ...about, event: { kind: 'SigningKeyCreated', ...made, atMs: 0, by: 'admin' } });
  await record({ ...about, event: { kind: 'SigningKeyPublished', atMs: 0, by: 'admin' } });
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
  });
  const logger = makeLogger({ name: 'gateway', level: 'silent' });
  const modules = [BusModule.forRoot({ name: 'gateway', config }), GatewayModule];
  service = await startService({ name: 'gateway', config, logger, modules });
});

afterAll(async () => {
  await service.stop();
  await bus.close();
  await nats.stop();
});

async function record(one: RegistryRecord): Promise<void> {
  const subject = bus.topology.registrySubject(one.tenant, one.aggregate, one.id);
  await bus.publisher.publish(subject, Buffer.from(JSON.stringify(one)));
}

async function aKey(tenant: TenantId, scopes: readonly ApiKeyScope[], terms: object = {}): Promise<string> {
  const text = `phk_${randomBytes(32).toString('base64url')}`;
  const id = makeApiKeyId(Date.now(), randomBytes(10));
  const key = { id, tenant, hash: sha256Hex(text), name: id, scopes, ...terms };
  await record({ aggregate: 'apikey', id, tenant, event: { kind: 'ApiKeyCreated', ...key, atMs: 0, by: 'admin' } });
  return text;
}

/** Every route: `publish` needs the scope; the others are for everybody, and show or do nothing that is a tenant's alone. */
const ACCESS: Readonly<Record<string, 'public' | 'publish'>> = {
  'GET /livez': 'public',
  'GET /readyz': 'public',
  'GET /metrics': 'public',
  'POST /publish': 'publish',
  'OPTIONS /publish': 'public',
  'GET /validate/:subscription': 'public',
  'POST /validate/:subscription': 'public',
  'GET /keys/:file': 'public',
  'GET /.well-known/jwks.json': 'public',
  'GET /.well-known/http-message-signatures-directory': 'public',
};

const publish = (token?: string, headers: Record<string, string> = {}): Promise<Answer> => {
  const body = JSON.stringify({ specversion: '1.0', id: randomBytes(8).toString('hex'), source: '/s', type: 'a.b' });
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const type = { 'content-type': 'application/cloudevents+json' };
  return callApi('POST', `${service.url}/publish`, { headers: { ...type, ...authorization, ...headers }, body });
};

const problemOf = (answer: Answer) => [answer.status, answer.json<{ code: string }>().code];

describe('every route of the gateway', () => {
  test('is in the table above: with a new one this fails until the table says whom it is for', () => {
    const fastify = service.app.getHttpAdapter().getInstance() as FastifyInstance;
    const routes = routesOf(fastify.printRoutes({ commonPrefix: false }))
      .filter(({ method }) => method !== 'HEAD')
      .map(({ method, path }) => `${method} ${path}`);
    expect(routes.toSorted()).toEqual(Object.keys(ACCESS).toSorted());
  });

  test('that is public says nothing of a tenant to who does not know its ids, and confirms nothing', async () => {
    const of = async (path: string) => (await callApi('GET', `${service.url}${path}`)).text;
    expect(await of(`/.well-known/jwks.json?tenant=${mine}`)).not.toContain(theirKey);
    expect(await of(`/.well-known/jwks.json?tenant=${theirs}`)).toContain(theirKey);
    expect(await of(`/keys/${theirKey}.jwk`)).not.toContain('sealed');
    for (const method of ['GET', 'POST']) {
      const answer = await callApi(method, `${service.url}/validate/sub_${'0'.repeat(26)}?code=guess`);
      expect(problemOf(answer)).toEqual([404, 'not-found']);
    }
  });
});

test('a token in the query is not repeated in the refusal of a path that can not be read', async () => {
  const answer = await callApi('POST', `${service.url}/publish/%zz?access_token=phk_secret`);
  expect(problemOf(answer)).toEqual([400, 'bad-request']);
  expect(answer.text).not.toContain('phk_secret');
});

test('a request that never ends is not kept for ever, with or without a credential', () => {
  const { requestTimeout, headersTimeout } = service.app.getHttpServer() as Server;
  expect(requestTimeout).toBeGreaterThan(0);
  expect(headersTimeout).toBeGreaterThan(0);
});

describe('publishing', () => {
  test('is 401 without a credential and with one that nobody has, and nothing is stored', async () => {
    const stored = async () => (await bus.jsm.streams.info(bus.topology.streams.EVENTS)).state.last_seq;
    const before = await stored();
    expect(problemOf(await publish())).toEqual([401, 'missing-credential']);
    expect(problemOf(await publish(`phk_${'x'.repeat(43)}`))).toEqual([401, 'invalid-credential']);
    expect(await stored()).toBe(before);
    expect((await publish(await aKey(mine, ['publish']))).status).toBe(202);
    expect(await stored()).toBe(before + 1);
  });

  test.each(API_KEY_SCOPES)('with a key that has only the scope %s', async (scope) => {
    const { status } = await publish(await aKey(mine, [scope]));
    expect(status).toBe(scope === 'publish' || scope === 'admin' ? 202 : 403);
  });

  test('is for the tenant of the key, whatever the request says', async () => {
    const key = await aKey(mine, ['publish']);
    expect(problemOf(await publish(key, { 'posthaste-tenant': theirs }))).toEqual([403, 'tenant-forbidden']);
    expect((await publish(key)).status).toBe(202);
    const newest = await bus.jsm.streams.getMessage(bus.topology.streams.EVENTS, { last_by_subj: '>' });
    expect(bus.topology.publishedEventSubject(newest?.subject ?? '')).toBe(bus.topology.eventSubject(mine, 'a.b'));
  });

  test('with a key over its rate is told when to come again; one that expired is refused', async () => {
    const rated = await aKey(mine, ['publish'], { requestsPerMinute: 1 });
    expect((await publish(rated)).status).toBe(202);
    const refused = await publish(rated);
    expect(problemOf(refused)).toEqual([429, 'key-rate-exceeded']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(25);
    expect(problemOf(await publish(await aKey(mine, ['publish'], { expiresAtMs: 1 })))).toEqual([
      401,
      'credential-expired',
    ]);
  });
});
