import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { BusModule } from '#bus/bus.module';
import { request } from '#bus/request';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { SealReply, SealRequest } from '#contracts/bus/seal';
import { decodeSignReplies, encodeSignRequests, type SignReply } from '#contracts/bus/sign';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { SubscriptionEvent } from '#core/registry/subscription';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { SignerModule } from './signer.module.ts';

const tenant = 'acme' as TenantId;
let nats: TestNats;
let bus: TestBus;
let nextId = 0;
const running: RunningService[] = [];

beforeAll(async () => {
  nats = await startNats();
});
afterAll(async () => {
  await nats.stop();
});
afterEach(async () => {
  for (const service of running.splice(0)) await service.stop();
  await bus.close();
});

async function startSigner(masterKey = Buffer.alloc(32, 1)): Promise<RunningService> {
  const name = 'signer';
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_MASTER_KEY: masterKey.toString('base64'),
  });
  const logger = makeLogger({ name, level: 'silent' });
  const modules = [BusModule.forRoot({ name, config }), SignerModule];
  const service = await startService({ name, config, logger, modules });
  running.push(service);
  return service;
}

async function seal(question: SealRequest): Promise<SealReply> {
  const payload = Buffer.from(JSON.stringify(question));
  const answer = await request(bus, bus.topology.sealSubject, payload, 5000);
  return JSON.parse(Buffer.from(answer).toString()) as SealReply;
}

async function append(id: SubscriptionId, event: SubscriptionEvent): Promise<void> {
  const record: RegistryRecord = { aggregate: 'subscription', id, tenant, event };
  await bus.publisher.publish(
    bus.topology.registrySubject(tenant, 'subscription', id),
    Buffer.from(JSON.stringify(record)),
  );
}

async function create(sealedSecret: string | undefined, id = newId()): Promise<SubscriptionId> {
  const config = {
    contentMode: 'structured',
    signature: { profile: 'standard-webhooks' },
    retry: DEFAULT_RETRY_POLICY,
  } as const;
  const spec = { sink: 'https://sink.example/', protocol: 'HTTP', filters: [], config } as const;
  const sealed = sealedSecret === undefined ? {} : { sealedSecret };
  await append(id, { kind: 'SubscriptionCreated', id, tenant, spec, ...sealed, atMs: 0, by: 'admin' });
  return id;
}

function newId(): SubscriptionId {
  return `sub_${String(++nextId).padStart(26, '0')}` as SubscriptionId;
}

async function sign(...subscriptions: SubscriptionId[]): Promise<SignReply[]> {
  const timestampSeconds = Math.floor(Date.now() / 1000);
  const requests = subscriptions.map((subscription) => ({
    subscription,
    tenant,
    messageId: 'dlv_1',
    timestampSeconds,
    body: Buffer.from('{"n":1}'),
  }));
  return decodeSignReplies(await request(bus, bus.topology.signSubject, encodeSignRequests(requests), 5000));
}

describe('the signer', () => {
  test('seals a secret and signs with it at once, though it heard of the subscription only now (SW-1 … SW-3)', async () => {
    bus = await makeTestBus(nats.url);
    await startSigner();
    for (let i = 0; i < 20; i++) {
      const subscription = newId();
      const sealed = await seal({ tenant, subscription });
      if (!sealed.ok) throw new Error(sealed.detail);
      await create(sealed.sealed, subscription);
      const [reply] = await sign(subscription);
      const headers = Object.fromEntries(reply?.ok ? reply.headers : []);
      expect(new Webhook(sealed.secret).verify('{"n":1}', headers)).toEqual({ n: 1 });
    }
  });

  test('says what is wrong with a supplied secret (SW-3)', async () => {
    bus = await makeTestBus(nats.url);
    await startSigner();
    expect(await seal({ tenant, subscription: newId(), secret: 'hunter2' })).toMatchObject({ ok: false, rule: 'SW-3' });
  });

  test('forgets a subscription that is deleted', async () => {
    bus = await makeTestBus(nats.url);
    await startSigner();
    const subscription = newId();
    const sealed = await seal({ tenant, subscription });
    await create(sealed.ok ? sealed.sealed : '', subscription);
    expect(await sign(subscription)).toMatchObject([{ ok: true }]);
    await append(subscription, { kind: 'SubscriptionDeleted', atMs: 1, by: 'admin' });
    const later = await create(undefined);
    expect(await sign(later, subscription)).toEqual([
      { ok: false, reason: 'no_secret' },
      { ok: false, reason: 'unknown_subscription' },
    ]);
  });

  test('shares its work with other signers and goes on when one stops', async () => {
    bus = await makeTestBus(nats.url);
    const first = await startSigner();
    await startSigner();
    const subscription = newId();
    const sealed = await seal({ tenant, subscription });
    await create(sealed.ok ? sealed.sealed : '', subscription);
    const replies = Array.from({ length: 50 }, () => sign(subscription));
    await first.stop();
    running.splice(running.indexOf(first), 1);
    for (const reply of [...(await Promise.all(replies)), await sign(subscription)]) {
      expect(reply).toMatchObject([{ ok: true }]);
    }
  });

  test('does not start with a master key that opens nothing, and says which one it needs', async () => {
    bus = await makeTestBus(nats.url);
    await startSigner(Buffer.alloc(32, 1));
    const subscription = newId();
    const sealed = await seal({ tenant, subscription });
    await create(sealed.ok ? sealed.sealed : '', subscription);
    const expected = sealed.ok ? sealed.sealed.split('.')[1] : '';
    await expect(startSigner(Buffer.alloc(32, 2))).rejects.toThrow(`sealed with the key ${expected}`);
  });

  test('counts what it signs', async () => {
    bus = await makeTestBus(nats.url);
    const service = await startSigner();
    await sign(newId(), newId());
    const page = await (await fetch(`${service.url}/metrics`)).text();
    expect(page).toContain('posthaste_signer_signatures_total{result="unknown_subscription"} 2');
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  });
});
