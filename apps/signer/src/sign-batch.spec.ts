import { describe, expect, test } from '@jest/globals';
import type { SignReply, SignRequest } from '#contracts/bus/sign';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { formatSecret } from '#core/signature/signing-secret';
import { verifySignature } from '#receiver/verify-signature';
import { aSubscription as aSubscriptionWith } from '#testkit/a-subscription';
import { makeHeaderNamesOf } from './header-names-of.ts';
import { makeMasterKey } from './master-key.ts';
import { makeSigning } from './sign-batch.ts';

const tenant = 'acme' as TenantId;
const masterKey = makeMasterKey(new Uint8Array(32).fill(1));
const NOW = 1_700_000_000;

function aSubscription(id: string, secret?: Uint8Array): Subscription {
  const subscription = id as SubscriptionId;
  const sealed = secret === undefined ? {} : { sealedSecret: masterKey.seal(secret, { tenant, subscription }) };
  return aSubscriptionWith({ id: subscription, tenant, ...sealed });
}

function aRequest(id: string, overrides: Partial<SignRequest> = {}): SignRequest {
  const body = new TextEncoder().encode(`{"for":"${id}"}`);
  return { subscription: id as SubscriptionId, tenant, messageId: 'dlv_1', timestampSeconds: NOW, body, ...overrides };
}

/** A registry that others write to: it shows a change only after catching up. */
function aRegistry(...initial: Subscription[]) {
  const prefixes = new Map<TenantId, string>();
  const seen = new Map(initial.map((one) => [one.id, one]));
  let behind: Subscription[] = [];
  let catchUps = 0;
  let unseals = 0;
  const signing = makeSigning({
    findSubscription: (of, id) => (seen.get(id)?.tenant === of ? seen.get(id) : undefined),
    signingKeys: () => [],
    headerNamesOf: makeHeaderNamesOf((of) => prefixes.get(of)),
    nonce: () => 'n',
    authorize: () => ({ ok: true, header: ['Acme-Id', 'the key'] }),
    catchUp() {
      catchUps++;
      for (const one of behind) seen.set(one.id, one);
      behind = [];
      return Promise.resolve();
    },
    masterKey: {
      unseal(sealed, owner) {
        unseals++;
        return masterKey.unseal(sealed, owner);
      },
    },
  });
  return {
    signing,
    change: (one: Subscription) => seen.set(one.id, one),
    setPrefix: (prefix: string) => prefixes.set(tenant, prefix),
    write: (one: Subscription) => behind.push(one),
    counts: () => ({ catchUps, unseals }),
  };
}

/** Which of the secrets a reply was signed with. */
function signers(reply: SignReply | undefined, body: Uint8Array, nowSeconds = NOW): string[] {
  const message = { headers: reply?.ok ? reply.headers : [], body };
  const all = Object.entries({ a: secretA, b: secretB });
  return all
    .filter(([, key]) => verifySignature(message, { secrets: [formatSecret(key)], nowSeconds }).ok)
    .map(([name]) => name);
}

const secretA = new Uint8Array(32).fill(10);
const secretB = new Uint8Array(32).fill(11);

describe('signBatch', () => {
  test('signs each with the secret of its subscription, in order (SW-1 … SW-3)', async () => {
    const { signing } = aRegistry(aSubscription('sub_a', secretA), aSubscription('sub_b', secretB));
    const requests = ['sub_a', 'sub_b', 'sub_a'].map((id) => aRequest(id));
    const replies = await signing.signBatch(requests);
    const valid = replies.map((reply, i) => {
      const { body = new Uint8Array() } = requests[i] ?? {};
      const secrets = [formatSecret(i === 1 ? secretB : secretA)];
      return reply.ok && verifySignature({ headers: reply.headers, body }, { secrets, nowSeconds: NOW }).ok;
    });
    expect(valid).toEqual([true, true, true]);
  });

  test('gives the headers the prefix of the tenant, from the next request on', async () => {
    const { signing, setPrefix } = aRegistry(aSubscription('sub_a', secretA));
    const names = async () => {
      const [reply] = await signing.signBatch([aRequest('sub_a')]);
      return reply?.ok === true ? reply.headers.map(([name]) => name) : reply?.reason;
    };
    expect(await names()).toEqual(['webhook-id', 'webhook-timestamp', 'webhook-signature']);
    setPrefix('acme');
    expect(await names()).toEqual(['acme-id', 'acme-timestamp', 'acme-signature']);
    setPrefix('webhook');
    expect(await names()).toEqual(['webhook-id', 'webhook-timestamp', 'webhook-signature']);
  });

  test('never sends a header twice: of a credential in one that signs, the signature stays (SA-9)', async () => {
    const { signing, setPrefix } = aRegistry(aSubscription('sub_a', secretA));
    const request = aRequest('sub_a', { authorization: { sink: 'https://sink.example/' } });
    const idsOf = async () => {
      const [reply] = await signing.signBatch([request]);
      return reply?.ok === true ? reply.headers.filter(([name]) => name.toLowerCase() === 'acme-id') : reply?.reason;
    };
    expect(await idsOf()).toEqual([['Acme-Id', 'the key']]);
    setPrefix('acme');
    expect(await idsOf()).toEqual([['acme-id', 'dlv_1']]);
  });

  test('opens a secret once', async () => {
    const { signing, counts } = aRegistry(aSubscription('sub_a', secretA));
    for (let i = 0; i < 3; i++) await signing.signBatch([aRequest('sub_a'), aRequest('sub_a')]);
    expect(counts()).toEqual({ catchUps: 0, unseals: 1 });
    signing.forget('sub_a' as SubscriptionId);
    await signing.signBatch([aRequest('sub_a')]);
    expect(counts().unseals).toBe(2);
  });

  test('uses a replaced secret with the next request', async () => {
    const { signing, change } = aRegistry(aSubscription('sub_a', secretA));
    const request = aRequest('sub_a');
    await signing.signBatch([request]);
    change(aSubscription('sub_a', secretB));
    const [reply] = await signing.signBatch([request]);
    const headers = reply?.ok ? reply.headers : [];
    const verified = verifySignature(
      { headers, body: request.body },
      { secrets: [formatSecret(secretB)], nowSeconds: NOW },
    );
    expect(verified.ok).toBe(true);
  });

  test('signs with both secrets while one is rotated, and with the new one alone after the grace (SW-4)', async () => {
    const { sealedSecret: sealed = '' } = aSubscription('sub_a', secretA);
    const previousSecrets = [{ sealed, graceUntilMs: (NOW + 60) * 1000 }];
    const { signing } = aRegistry({ ...aSubscription('sub_a', secretB), previousSecrets });
    const [during, after] = [aRequest('sub_a'), aRequest('sub_a', { timestampSeconds: NOW + 60 })];
    const replies = await signing.signBatch([during, after, during]);
    expect(signers(replies[0], during.body)).toEqual(['a', 'b']);
    expect(signers(replies[1], after.body, NOW + 60)).toEqual(['b']);
    expect(signers(replies[2], during.body)).toEqual(['a', 'b']);
  });

  test('catches up once for a whole batch when a subscription is not known yet', async () => {
    const { signing, write, counts } = aRegistry();
    write(aSubscription('sub_new', secretA));
    const replies = await signing.signBatch(['sub_new', 'sub_gone', 'sub_new'].map((id) => aRequest(id)));
    expect(replies.map((reply) => (reply.ok ? 'signed' : reply.reason))).toEqual([
      'signed',
      'unknown_subscription',
      'signed',
    ]);
    expect(counts().catchUps).toBe(1);
  });

  test('refuses one without refusing its neighbours', async () => {
    const other = makeMasterKey(new Uint8Array(32).fill(2));
    const foreign = other.seal(secretA, { tenant, subscription: 'sub_foreign' as SubscriptionId });
    const { signing } = aRegistry(
      aSubscription('sub_a', secretA),
      aSubscription('sub_none'),
      { ...aSubscription('sub_foreign'), sealedSecret: foreign },
      { ...aSubscription('sub_moved'), sealedSecret: aSubscription('sub_a', secretA).sealedSecret ?? '' },
    );
    const replies = await signing.signBatch([
      aRequest('sub_none'),
      aRequest('sub_foreign'),
      aRequest('sub_moved'),
      aRequest('sub_a', { messageId: 'with.dot' }),
      aRequest('sub_a', { tenant: 'other' as TenantId }),
      aRequest('sub_a'),
    ]);
    expect(replies.map((reply) => (reply.ok ? 'signed' : reply.reason))).toEqual([
      'no_secret',
      'wrong_master_key',
      'unseal_failed',
      'unsignable',
      'unknown_subscription',
      'signed',
    ]);
  });
});
