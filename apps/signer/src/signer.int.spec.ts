import { createPublicKey, verify } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { BusModule } from '#bus/bus.module';
import { request } from '#bus/request';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { MakeKeyReply, ResealReply, SealReply, SealRequest, SealSecretRequest } from '#contracts/bus/seal';
import { decodeSignReplies, encodeSignRequests, type SignReply } from '#contracts/bus/sign';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { SigningKeyEvent } from '#core/registry/signing-key';
import type { SubscriptionEvent } from '#core/registry/subscription';
import type { SignatureSettings } from '#core/signature/signature-settings';
import { parseSignatureList } from '#core/signature/standard-webhooks';
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
const [FIRST_KEY, SECOND_KEY] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
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

async function startSigner(...masterKeys: Buffer[]): Promise<RunningService> {
  const keys = masterKeys.length === 0 ? [FIRST_KEY] : masterKeys;
  const name = 'signer';
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_MASTER_KEY: keys.map((key) => key.toString('base64')).join(','),
  });
  const logger = makeLogger({ name, level: 'silent' });
  const modules = [BusModule.forRoot({ name, config }), SignerModule];
  const service = await startService({ name, config, logger, modules });
  running.push(service);
  return service;
}

function seal(question: SealSecretRequest): Promise<SealReply> {
  return ask(question);
}

async function ask<Reply>(question: SealRequest): Promise<Reply> {
  const payload = Buffer.from(JSON.stringify(question));
  const answer = await request(bus, bus.topology.sealSubject, payload, 5000);
  return JSON.parse(Buffer.from(answer).toString()) as Reply;
}

function append(id: SubscriptionId, event: SubscriptionEvent): Promise<void> {
  return appendRecord({ aggregate: 'subscription', id, tenant, event });
}

async function appendRecord(record: RegistryRecord): Promise<void> {
  const subject = bus.topology.registrySubject(tenant, record.aggregate, record.id);
  await bus.publisher.publish(subject, Buffer.from(JSON.stringify(record)));
}

/** A key of the tenant that signs from now on. */
async function activate({ id, ...made }: MakeKeyReply, atMs = 0): Promise<void> {
  const told = { atMs, by: 'admin' };
  const events: SigningKeyEvent[] = [
    { kind: 'SigningKeyCreated', id, tenant, algorithm: 'ed25519', ...made, ...told },
    { kind: 'SigningKeyPublished', ...told },
    { kind: 'SigningKeyActivated', ...told },
  ];
  for (const event of events) await appendRecord({ aggregate: 'signingkey', id, tenant, event });
}

/** Whether the reply is an ed25519 signature of the body by this key. */
function isSignedBy(reply: SignReply | undefined, { publicJwk }: MakeKeyReply): boolean {
  const headers = Object.fromEntries(reply?.ok ? reply.headers : []);
  const content = Buffer.from(`${headers['webhook-id'] ?? ''}.${headers['webhook-timestamp'] ?? ''}.{"n":1}`);
  const key = createPublicKey({ key: publicJwk, format: 'jwk' });
  return parseSignatureList(headers['webhook-signature'] ?? '', 'v1a').some((signature) =>
    verify(null, content, key, Buffer.from(signature, 'base64')),
  );
}

async function create(
  sealedSecret: string | undefined,
  id = newId(),
  signature: SignatureSettings = { profile: 'standard-webhooks' },
): Promise<SubscriptionId> {
  const config = {
    contentMode: 'structured',
    signature,
    retry: DEFAULT_RETRY_POLICY,
  } as const;
  const spec = { sink: 'https://sink.example/', protocol: 'HTTP', filters: [], config } as const;
  const sealed = sealedSecret === undefined ? {} : { sealedSecret };
  await append(id, { kind: 'SubscriptionCreated', id, tenant, spec, ...sealed, atMs: 0, by: 'admin' });
  return id;
}

async function sealedFor(subscription: SubscriptionId): Promise<{ readonly sealed: string; readonly secret: string }> {
  const reply = await seal({ tenant, subscription });
  if (!reply.ok) throw new Error(reply.detail);
  return reply;
}

function makeKey(): Promise<MakeKeyReply> {
  return ask<MakeKeyReply>({ tenant, algorithm: 'ed25519' });
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

  test('does not start without a master key that it needs, and says which one', async () => {
    bus = await makeTestBus(nats.url);
    await startSigner();
    const subscription = newId();
    const sealed = await seal({ tenant, subscription });
    await create(sealed.ok ? sealed.sealed : '', subscription);
    const expected = sealed.ok ? sealed.sealed.split('.')[1] : '';
    await expect(startSigner(SECOND_KEY)).rejects.toThrow(`The master key ${expected} is missing`);
  });

  test('seals with another master key while everything runs, and then does without the first one', async () => {
    bus = await makeTestBus(nats.url);
    const first = await startSigner(FIRST_KEY);
    const subscription = newId();
    const { sealed, secret } = await sealedFor(subscription);
    await create(sealed, subscription);
    await startSigner(SECOND_KEY, FIRST_KEY);
    await first.stop();
    running.shift();
    expect(await sign(subscription)).toMatchObject([{ ok: true }]);
    const { resealed } = await ask<ResealReply>({ reseal: [{ tenant, sealed, of: { subscription } }] });
    const [anew] = resealed;
    if (anew?.kind !== 'resealed') throw new Error(JSON.stringify(resealed));
    await append(subscription, { kind: 'SecretsResealed', sealedSecret: anew.sealed, atMs: 1, by: 'admin' });
    for (const service of running.splice(0)) await service.stop();
    await startSigner(SECOND_KEY);
    const [reply] = await sign(subscription);
    expect(new Webhook(secret).verify('{"n":1}', Object.fromEntries(reply?.ok ? reply.headers : []))).toEqual({ n: 1 });
  });

  describe('of which two run while the master key is replaced in one after the other', () => {
    /** So many that each of two has sealed and been asked by chance: with all but 2⁻³¹. */
    const MANY = 32;
    const subscriptions: { id: SubscriptionId; sealed: string }[] = [];

    beforeEach(async () => {
      bus = await makeTestBus(nats.url);
      subscriptions.length = 0;
      for (let count = 0; count < 2; count++) await startSigner(FIRST_KEY);
    });

    /** The one that runs for longest stops, and starts with other keys: it refuses when it can not open all that is sealed. */
    async function replaceOne(...masterKeys: Buffer[]): Promise<void> {
      await running.shift()?.stop();
      await startSigner(...masterKeys);
    }

    /** Why one does not open what the other, or a signer before them, has sealed. */
    async function refusals(): Promise<string[]> {
      for (let count = 0; count < MANY; count++) {
        const id = newId();
        const { sealed } = await sealedFor(id);
        subscriptions.push({ id: await create(sealed, id), sealed });
      }
      const ids = subscriptions.map(({ id }) => id);
      const replies = await Promise.all(Array.from({ length: MANY }, () => sign(...ids)));
      return [...new Set(replies.flat().flatMap((reply) => (reply.ok ? [] : [reply.reason])))];
    }

    async function resealAll(): Promise<void> {
      const reseal = subscriptions.map(({ id, sealed }) => ({ tenant, sealed, of: { subscription: id } }));
      const { resealed } = await ask<ResealReply>({ reseal });
      for (const [at, { id }] of subscriptions.entries()) {
        const anew = resealed[at];
        if (anew?.kind === 'resealed')
          await append(id, { kind: 'SecretsResealed', sealedSecret: anew.sealed, atMs: 1, by: 'admin' });
      }
    }

    test('each opens what the other seals at every step, in the order of docs/signatures.md', async () => {
      for (const keys of [[FIRST_KEY, SECOND_KEY], [SECOND_KEY, FIRST_KEY], [SECOND_KEY]]) {
        if (keys.length === 1) await resealAll();
        for (let count = 0; count < 2; count++) {
          await replaceOne(...keys);
          expect(await refusals()).toEqual([]);
        }
      }
    });

    test('one that does not have the new key yet opens nothing that is sealed with it, and does not start again', async () => {
      await replaceOne(SECOND_KEY, FIRST_KEY);
      expect(await refusals()).toEqual(['wrong_master_key']);
      await expect(replaceOne(FIRST_KEY)).rejects.toThrow(/^The master key \w+ is missing: .* sealed \d+ secret/);
    });
  });

  test('signs with the secret before as well while one is rotated (SW-4)', async () => {
    bus = await makeTestBus(nats.url);
    await startSigner();
    const subscription = newId();
    const [before, after] = [await sealedFor(subscription), await sealedFor(subscription)];
    await create(before.sealed, subscription);
    expect(await sign(subscription)).toMatchObject([{ ok: true }]);
    const graceUntilMs = Date.now() + 600_000;
    const rotated = { kind: 'SecretRotated', sealedSecret: after.sealed, graceUntilMs, atMs: 1, by: 'admin' } as const;
    await append(subscription, rotated);
    await sign(await create(undefined)); // unknown until then: so the signer catches up
    const [reply] = await sign(subscription);
    for (const { secret } of [before, after]) {
      expect(new Webhook(secret).verify('{"n":1}', Object.fromEntries(reply?.ok ? reply.headers : []))).toEqual({
        n: 1,
      });
    }
  });

  test('makes keys for a tenant, and signs with the one that is active, heard of only now, and the one that it replaces (SW-3, SW-4, MS-5)', async () => {
    bus = await makeTestBus(nats.url);
    await startSigner();
    const subscription = await create(undefined, newId(), { profile: 'standard-webhooks-v1a' });
    expect(await sign(subscription)).toEqual([{ ok: false, reason: 'no_key' }]);
    const [first, second] = [await makeKey(), await makeKey()];
    await activate(first);
    expect(isSignedBy((await sign(subscription))[0], first)).toBe(true);
    await activate(second, 1);
    await sign(await create(undefined)); // unknown until then: so the signer catches up
    const [reply] = await sign(subscription);
    expect([isSignedBy(reply, first), isSignedBy(reply, second)]).toEqual([true, true]);
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
