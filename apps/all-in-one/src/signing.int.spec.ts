import { createPublicKey, randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { BusModule } from '#bus/bus.module';
import { request } from '#bus/request';
import { decodeSignReplies, encodeSignRequests, type SignReply } from '#contracts/bus/sign';
import type { PublishedJwk, SigningKeyResource } from '#contracts/http/signing-key-body';
import type { SubscriptionResource } from '#contracts/http/subscription-resource';
import type { SubscriptionId, TenantId } from '#core/ids';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { isValidRfc9421 } from '#testkit/foreign-verifiers';
import { startNats, type TestNats } from '#testkit/nats';
import { callApi, type Answer } from '#testkit/tenant-client';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema as gatewayConfig } from '../../gateway/src/config.ts';
import { GatewayModule } from '../../gateway/src/gateway.module.ts';
import { configSchema as registryConfig } from '../../registry/src/config.ts';
import { RegistryModule } from '../../registry/src/registry.module.ts';
import { configSchema as signerConfig } from '../../signer/src/config.ts';
import { SignerModule } from '../../signer/src/signer.module.ts';

const adminToken = 'the-token-of-the-operator';
const minimal = { sink: 'https://sink.example/hooks', protocol: 'HTTP' };
const body = Buffer.from('{"n":1}');
const [firstKey, secondKey] = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64')) as [
  string,
  string,
];

let nats: TestNats;
let bus: TestBus;
let signer: RunningService;
let registry: RunningService;
let gateway: RunningService;

beforeAll(async () => {
  nats = await startNats();
});
afterAll(async () => {
  await nats.stop();
});

async function start(masterKeys = firstKey): Promise<void> {
  bus = await makeTestBus(nats.url);
  signer = await startSigner(masterKeys);
  registry = await startRegistry();
  gateway = await startGateway();
}

afterEach(async () => {
  for (const service of [gateway, registry, signer]) await service.stop();
  await bus.close();
});

const common = () => ({
  POSTHASTE_HTTP_PORT: '0',
  POSTHASTE_NATS_URL: nats.url,
  POSTHASTE_DEPLOYMENT: bus.deployment,
  POSTHASTE_PUBLIC_URL: 'https://hooks.example',
});
const options = { logger: makeLogger({ name: 'test', level: 'silent' }) };

function startSigner(masterKeys: string): Promise<RunningService> {
  const config = loadConfig(signerConfig, { ...common(), POSTHASTE_MASTER_KEY: masterKeys });
  const modules = [BusModule.forRoot({ name: 'signer', config }), SignerModule];
  return startService({ name: 'signer', config, modules, ...options });
}

function startRegistry(more: Record<string, string> = {}, clock?: () => number): Promise<RunningService> {
  const url = 'postgres://nobody@127.0.0.1:1/nothing'; // nothing of this needs it
  const env = { ...common(), POSTHASTE_ADMIN_TOKEN: adminToken, POSTHASTE_DATABASE_URL: url, ...more };
  const config = loadConfig(registryConfig, env);
  const modules = [BusModule.forRoot({ name: 'registry', config }), RegistryModule];
  return startService({ name: 'registry', config, modules, ...options, ...(clock === undefined ? {} : { clock }) });
}

function startGateway(): Promise<RunningService> {
  const config = loadConfig(gatewayConfig, { ...common(), POSTHASTE_ADMIN_TOKEN: adminToken });
  const modules = [BusModule.forRoot({ name: 'gateway', config }), GatewayModule];
  return startService({ name: 'gateway', config, modules, ...options });
}

interface Tenant {
  readonly id: TenantId;
  call(method: string, path: string, body?: object): Promise<Answer>;
  subscribe(signature: object): Promise<SubscriptionResource>;
  sign(subscription: SubscriptionResource): Promise<Record<string, string>>;
}

async function aTenant(): Promise<Tenant> {
  const id = `t-${randomBytes(4).toString('hex')}` as TenantId;
  const asOperator = { authorization: `Bearer ${adminToken}` };
  await callApi('PUT', `${registry.url}/v1/tenants/${id}`, { headers: asOperator });
  const keys = `${registry.url}/v1/tenants/${id}/keys`;
  const made = await callApi('POST', keys, { headers: asOperator, body: { scopes: ['manage'] } });
  const headers = { authorization: `Bearer ${made.json<{ key: string }>().key}` };
  const call = (method: string, path: string, sent?: object) =>
    callApi(method, `${registry.url}${path}`, { headers, ...(sent === undefined ? {} : { body: sent }) });
  return {
    id,
    call,
    async subscribe(signature) {
      const answer = await call('POST', '/v1/subscriptions', {
        ...minimal,
        config: { signature, validation: { mode: 'none' }, authorization: 'none' },
      });
      expect([answer.status, answer.text]).toEqual([201, expect.stringContaining('sub_')]);
      return answer.json<SubscriptionResource>();
    },
    async sign(subscription) {
      const reply = await signFor(id, subscription.id as SubscriptionId);
      if (!reply.ok) throw new Error(reply.reason);
      return Object.fromEntries(reply.headers);
    },
  };
}

const nowSeconds = () => Math.floor(Date.now() / 1000);

async function signFor(tenant: TenantId, subscription: SubscriptionId): Promise<SignReply> {
  const head = { method: 'POST', url: minimal.sink, headers: [['content-type', 'application/json']] } as const;
  const one = { subscription, tenant, messageId: 'dlv_1', timestampSeconds: nowSeconds(), body, head };
  const answer = await request(bus, bus.topology.signSubject, encodeSignRequests([one]), 5000);
  const [reply] = decodeSignReplies(answer);
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

/** Until all is read that the registry has written: the signer looks for a subscription that it does not know. */
async function signerReadsOn(tenant: TenantId): Promise<void> {
  await signFor(tenant, 'sub_00000000000000000000000000' as SubscriptionId);
}

/** What everybody can read. */
async function open(path: string): Promise<Answer> {
  return callApi('GET', `${gateway.url}${path}`, {});
}

const keysIn = (answer: Answer) => answer.json<{ keys: PublishedJwk[] }>().keys.map(({ kid }) => kid);
const verifies = (secret: string | undefined, headers: Record<string, string>): boolean => {
  try {
    new Webhook(secret ?? '').verify(body.toString(), headers);
    return true;
  } catch {
    return false;
  }
};

describe('a shared secret', () => {
  test('is rotated: both sign until the grace is over, and the answer shows the new one once (SW-4)', async () => {
    await start();
    const tenant = await aTenant();
    const made = await tenant.subscribe({});
    const path = `/v1/subscriptions/${made.id}`;
    const rotated = await tenant.call('POST', `${path}/secret/rotate`, { graceSeconds: 60 });
    expect([rotated.status, rotated.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const [before, after] = [made.config.signature, rotated.json<SubscriptionResource>().config.signature].map(
      ({ secret }) => secret,
    );
    expect(after).not.toBe(before);
    expect((await tenant.call('GET', path)).text).not.toContain('whsec_');
    await registry.stop();
    registry = await startRegistry(); // from the stream alone
    await signerReadsOn(tenant.id);
    const headers = await tenant.sign(made);
    expect([before, after].map((secret) => verifies(secret, headers))).toEqual([true, true]);
    expect((await tenant.call('GET', `${path}/history`)).text).toMatch(
      /"what":"secret-rotated".*\/config\/signature\/secret/,
    );
  });

  test('is rotated at once when others know it, to the one that is supplied', async () => {
    await start();
    const tenant = await aTenant();
    const made = await tenant.subscribe({});
    const secret = `whsec_${randomBytes(24).toString('base64')}`;
    const path = `/v1/subscriptions/${made.id}/secret/rotate`;
    expect((await tenant.call('POST', path, { graceSeconds: 0, secret })).status).toBe(200);
    await signerReadsOn(tenant.id);
    const headers = await tenant.sign(made);
    expect([made.config.signature.secret, secret].map((one) => verifies(one, headers))).toEqual([false, true]);
  });

  test('is refused without its padding where its whole text is the key, and is taken where its bytes are (SW-3)', async () => {
    await start();
    const tenant = await aTenant();
    const secret = `whsec_${randomBytes(32).toString('base64').replace('=', '')}`;
    const rotate = async (profile: string) => {
      const { id } = await tenant.subscribe({ profile });
      return tenant.call('POST', `/v1/subscriptions/${id}/secret/rotate`, { secret });
    };
    const refused = await rotate('hmac-timestamp');
    expect(refused.json()).toMatchObject({ status: 400, errors: [{ rule: 'SW-3', pointer: '/secret' }] });
    expect(refused.text).not.toContain(secret);
    expect((await rotate('standard-webhooks')).status).toBe(200);
  });

  test('is refused where there is none, and for nonsense', async () => {
    await start();
    const tenant = await aTenant();
    const keyed = await tenant.subscribe({ profile: 'rfc9421' });
    expect(keyed.config.signature).not.toHaveProperty('secret');
    const rotate = (id: string, sent: object) => tenant.call('POST', `/v1/subscriptions/${id}/secret/rotate`, sent);
    expect((await rotate(keyed.id, {})).status).toBe(409);
    const unknown = `sub_${'0'.repeat(26)}`;
    expect((await rotate(unknown, {})).status).toBe(404);
    const shared = await tenant.subscribe({});
    const wrong = await rotate(shared.id, { graceSeconds: -1, secret: 'hunter2', more: 1 });
    expect(wrong.status).toBe(400);
    expect(wrong.json<{ errors: { pointer: string }[] }>().errors.map(({ pointer }) => pointer)).toEqual([
      '/graceSeconds',
      '/secret',
      '/more',
    ]);
    expect(wrong.text).not.toContain('hunter2');
    expect((await (await aTenant()).call('POST', `/v1/subscriptions/${shared.id}/secret/rotate`)).status).toBe(404);
  });
});

describe('a signing key', () => {
  test('is made with the first subscription that needs one, and found by everybody who verifies (MS-5)', async () => {
    await start();
    const tenant = await aTenant();
    const made = await tenant.subscribe({ profile: 'rfc9421', algorithm: 'ecdsa-p256-sha256' });
    await tenant.subscribe({ profile: 'http-signatures-draft-05' });
    const { data } = (await tenant.call('GET', '/v1/signing-keys')).json<{ data: SigningKeyResource[] }>();
    expect(data).toMatchObject([{ algorithm: 'ecdsa-p256-sha256', state: 'active' }]);
    const [{ id } = { id: '' }] = data;

    const headers = { ...(await tenant.sign(made)), host: 'sink.example', 'content-type': 'application/json' };
    expect(headers).toMatchObject({ 'signature-input': expect.stringContaining(`keyid="${id}"`) });
    const jwk = await open(`/keys/${id}.jwk`);
    expect(jwk.headers.get('content-type')).toContain('application/jwk+json');
    const received = { method: 'POST', target: '/hooks', headers, body };
    const how = { scheme: 'https', required: ['@method', '@target-uri', 'content-digest'] } as const;
    expect(await isValidRfc9421(received, jwk.json(), { ...how, required: [...how.required] })).toBe(true);

    const pem = await open(`/keys/${id}.pem`);
    expect(pem.headers.get('content-type')).toContain('application/x-pem-file');
    expect(pem.headers.get('cache-control')).toContain('immutable');
    expect(createPublicKey(pem.text).equals(createPublicKey({ key: jwk.json(), format: 'jwk' }))).toBe(true);
    expect(`${pem.text}${jwk.text}`).not.toMatch(/PRIVATE|"d"/);
  });

  test('stays in force until the next one is known: created, published, active, retiring, retired (MS-5)', async () => {
    await start();
    const tenant = await aTenant();
    const made = await tenant.subscribe({ profile: 'standard-webhooks-v1a' });
    const list = async () => (await tenant.call('GET', '/v1/signing-keys')).json<{ data: SigningKeyResource[] }>().data;
    const [{ id: first } = { id: '' }] = await list();
    const created = await tenant.call('POST', '/v1/signing-keys', { algorithm: 'ed25519' });
    expect(created.status).toBe(201);
    const { id: next, webhookPublicKey } = created.json<SigningKeyResource>();
    expect(webhookPublicKey).toMatch(/^whpk_/);
    const step = async (id: string, name: string) => {
      const answer = await tenant.call('POST', `/v1/signing-keys/${id}/${name}`);
      return answer.status === 200 ? answer.json<SigningKeyResource>().state : answer.status;
    };
    const set = async () => keysIn(await open(`/.well-known/jwks.json?tenant=${tenant.id}`)).toSorted();

    expect(await set()).toEqual([first]);
    expect((await open(`/keys/${next}.pem`)).status).toBe(404);
    expect(await step(next, 'activate')).toBe(409);
    expect(await step(next, 'publish')).toBe('published');
    expect(await set()).toEqual([first, next].toSorted());
    const one = (await tenant.sign(made))['webhook-signature'];
    expect(one?.split(' ')).toHaveLength(1);
    expect(await step(first, 'retire')).toBe(409);
    expect(await step(next, 'activate')).toBe('active');
    expect(Object.fromEntries((await list()).map(({ id, state }) => [id, state]))).toEqual({
      [first]: 'retiring',
      [next]: 'active',
    });
    await signerReadsOn(tenant.id);
    expect((await tenant.sign(made))['webhook-signature']?.split(' ')).toHaveLength(2);
    expect(await step(first, 'retire')).toBe('retired');
    expect(await set()).toEqual([first, next].toSorted()); // what it signed may still be on its way
    expect(await step(first, 'activate')).toBe(409);
  });

  test("is its tenant's alone", async () => {
    await start();
    const [tenant, other] = [await aTenant(), await aTenant()];
    const created = await tenant.call('POST', '/v1/signing-keys', { algorithm: 'ed25519' });
    const { id } = created.json<SigningKeyResource>();
    const path = created.headers.get('location') ?? '';
    expect((await other.call('GET', path)).status).toBe(404);
    for (const step of ['publish', 'activate', 'withdraw', 'retire']) {
      expect((await other.call('POST', `${path}/${step}`)).status).toBe(404);
    }
    expect((await other.call('GET', '/v1/signing-keys')).json()).toEqual({ data: [] });
    expect((await tenant.call('POST', `${path}/publish`)).status).toBe(200);
    const directory = '/.well-known/http-message-signatures-directory';
    const all = await open(directory);
    expect(all.headers.get('content-type')).toContain('application/http-message-signatures-directory+json');
    expect(keysIn(all)).toEqual([id]);
    expect(keysIn(await open(`${directory}?tenant=${other.id}`))).toEqual([]);
    expect((await open(`${directory}?tenant=A%20B`)).status).toBe(404);
    for (const file of ['x.pem', `${id}`, `${id}.txt`, `${'A'.repeat(43)}.pem`]) {
      expect((await open(`/keys/${file}`)).status).toBe(404);
    }
    expect((await tenant.call('POST', '/v1/signing-keys', { algorithm: 'rsa' })).status).toBe(400);
  });
});

describe('the rotation of signing keys', () => {
  test('makes, publishes, activates and retires in its time, with several registries at it at once (MS-5)', async () => {
    await start();
    const tenant = await aTenant();
    const made = await tenant.subscribe({ profile: 'rfc9421' });
    const states = async () => {
      const { data } = (await tenant.call('GET', '/v1/signing-keys')).json<{ data: SigningKeyResource[] }>();
      return data.map(({ state }) => state).toSorted();
    };
    const [first] = (await tenant.sign(made))['signature-input']?.match(/keyid="[^"]+"/) ?? [];
    const seen: Record<number, string[]> = {};
    for (const day of [0, 82, 83.5, 91, 94]) {
      const clock = () => Date.now() + day * 24 * 3_600_000;
      const env = { POSTHASTE_SIGNING_KEY_DAYS: '90' };
      const rotating = await Promise.all([startRegistry(env, clock), startRegistry(env, clock)]);
      for (const one of rotating) await one.stop(); // ends after the round that it began with
      seen[day] = await states();
    }
    expect(seen).toEqual({
      0: ['active'],
      82: ['active'],
      83.5: ['active', 'published'],
      91: ['active', 'retiring'],
      94: ['active', 'retired'],
    });
    await signerReadsOn(tenant.id);
    expect((await tenant.sign(made))['signature-input']).not.toContain(first);
  });
});

describe('the master key', () => {
  test('is replaced while everything runs: both open, then all is sealed anew, then the old one is not needed', async () => {
    await start(firstKey);
    const tenant = await aTenant();
    const shared = await tenant.subscribe({});
    await tenant.call('POST', `/v1/subscriptions/${shared.id}/secret/rotate`, { graceSeconds: 600 });
    const keyed = await tenant.subscribe({ profile: 'rfc9421' });
    const gone = await tenant.subscribe({});
    expect((await tenant.call('DELETE', `/v1/subscriptions/${gone.id}`)).status).toBe(200);
    const sinkcredential = { credentialtype: 'PLAIN', identifier: 'u', secret: 'p' };
    expect((await tenant.call('POST', '/v1/subscriptions', { ...minimal, sinkcredential })).status).toBe(201);

    await expect(startSigner(secondKey)).rejects.toThrow(
      /is missing: the key \w+ sealed 3 secrets, 1 credential, 1 signing key\./,
    );
    const next = await startSigner(`${secondKey},${firstKey}`);
    await signer.stop();
    signer = next;
    const reseal = async () =>
      callApi('POST', `${registry.url}/v1/secrets/reseal`, { headers: { authorization: `Bearer ${adminToken}` } });
    expect((await tenant.call('POST', '/v1/secrets/reseal')).status).toBe(403);
    expect((await reseal()).json()).toEqual({ resealed: 3, current: 1, failed: [] });
    expect((await reseal()).json()).toEqual({ resealed: 0, current: 4, failed: [] });

    const alone = await startSigner(secondKey);
    await signer.stop();
    signer = alone;
    const headers = await tenant.sign(shared);
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(2);
    expect(verifies(shared.config.signature.secret, headers)).toBe(true);
    expect(await tenant.sign(keyed)).toHaveProperty('signature');
  });
});
