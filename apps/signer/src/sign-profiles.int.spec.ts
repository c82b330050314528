import { describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import { decodeSignReplies, encodeSignReplies, type SignReply, type SignRequest } from '#contracts/bus/sign';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { SigningKey, SigningKeyState } from '#core/registry/signing-key';
import type { Subscription } from '#core/registry/subscription';
import { headerNamesOf, WEBHOOK_HEADERS } from '#core/signature/header-names';
import { withoutNamesOf, type HeaderPair } from '#core/signature/http-message';
import { DEFAULT_COMPONENTS, KEY_ALGORITHMS, type KeyAlgorithm } from '#core/signature/rfc9421';
import type { SignatureSettings } from '#core/signature/signature-settings';
import { formatSecret } from '#core/signature/signing-secret';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { isValidByOpenssl, isValidDraft05, isValidRfc9421, type WireRequest } from '#testkit/foreign-verifiers';
import { makeKeyPair } from './make-key-pair.ts';
import { makeMasterKey } from './master-key.ts';
import { makeSigning } from './sign-batch.ts';

const tenant = 'acme' as TenantId;
const subscription = 'sub_1' as SubscriptionId;
const masterKey = makeMasterKey(new Uint8Array(32).fill(1));
const secret = new Uint8Array(32).fill(7);
const nowSeconds = Math.floor(Date.now() / 1000);
const body = Buffer.from('{"id":"1","data":"é"}');
const NONCE = '27fde337ab04852f23c8eccf3bc4e8a4';

const head = {
  method: 'POST',
  url: 'https://sink.example/hooks?a=b',
  headers: [
    ['content-type', 'application/cloudevents+json; charset=UTF-8'],
    ['content-length', String(body.length)],
    ['date', new Date(nowSeconds * 1000).toUTCString()],
    ['user-agent', 'Posthaste/0'],
    ['ce-id', '1'],
  ],
} as const;

function aKey(algorithm: KeyAlgorithm, state: SigningKeyState = 'active'): SigningKey {
  const { id, publicJwk, privateKey } = makeKeyPair(algorithm);
  const sealedPrivateKey = masterKey.seal(privateKey, { tenant, signingKey: id });
  return { id, tenant, algorithm, publicJwk, sealedPrivateKey, state, createdAtMs: 0, activatedAtMs: 1 };
}

function notAsked(): never {
  throw new Error('nothing is to be authorized');
}

interface SignerOptions {
  readonly publicUrl?: string;
  readonly headerPrefix?: string;
}

function aSigner(
  signature: SignatureSettings,
  keys: readonly SigningKey[] = [],
  { publicUrl, headerPrefix }: SignerOptions = {},
) {
  const sealedSecret = masterKey.seal(secret, { tenant, subscription });
  const one: Subscription = aSubscription({
    id: subscription,
    tenant,
    spec: aSpec({ config: { signature } }),
    sealedSecret,
  });
  return makeSigning({
    findSubscription: () => one,
    signingKeys: () => keys,
    catchUp: () => Promise.resolve(),
    masterKey,
    publicUrl,
    headerNamesOf: () => headerNamesOf(headerPrefix),
    nonce: () => NONCE,
    authorize: notAsked,
  });
}

async function sign(signing: ReturnType<typeof aSigner>, overrides: Partial<SignRequest> = {}): Promise<SignReply> {
  const request = { subscription, tenant, messageId: 'dlv_1', timestampSeconds: nowSeconds, body, head, ...overrides };
  const [reply] = await signing.signBatch([request]);
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

/** The request as a sink gets it. */
async function signed(
  signing: ReturnType<typeof aSigner>,
  unsigned: readonly HeaderPair[] = head.headers,
): Promise<WireRequest> {
  const reply = await sign(signing, { head: { ...head, headers: unsigned } });
  if (!reply.ok) throw new Error(reply.reason);
  const sent = [['host', 'sink.example'], ...withoutNamesOf(reply.headers, unsigned), ...reply.headers] as const;
  const headers = Object.fromEntries(sent.map(([name, value]) => [name.toLowerCase(), value]));
  return { method: 'POST', target: '/hooks?a=b', headers, body };
}

/** Names of headers with id, time and signature, whatever their prefix. */
function ofSignature(headers: WireRequest['headers']): string[] {
  return Object.keys(headers).filter((name) => /(?<!^ce)-(?:id|timestamp)$|signature/.test(name));
}

const rfc9421 = { profile: 'rfc9421', components: DEFAULT_COMPONENTS, tag: 'cloudevents-webhook' } as const;

describe('every profile is verified by code that is not ours', () => {
  test('standard-webhooks by standardwebhooks and svix (SW-1 … SW-3)', async () => {
    const { headers } = await signed(aSigner({ profile: 'standard-webhooks' }));
    for (const peer of [new Webhook(formatSecret(secret)), new SvixWebhook(formatSecret(secret))]) {
      expect(() => peer.verify(body.toString(), headers)).not.toThrow();
      expect(() => peer.verify(`${body.toString()} `, headers)).toThrow('No matching signature found');
    }
  });

  test('standard-webhooks-v1a by openssl, with the active key and those that are retiring (SW-3, SW-4)', async () => {
    const keys = [
      aKey('ed25519', 'retiring'),
      aKey('ed25519'),
      aKey('ecdsa-p256-sha256'),
      aKey('ed25519', 'published'),
    ];
    const { headers } = await signed(aSigner({ profile: 'standard-webhooks-v1a' }, keys));
    const list = (headers['webhook-signature'] ?? '').split(' ').map((entry) => entry.split(','));
    expect(list.map(([version]) => version)).toEqual(['v1a', 'v1a']);
    const content = Buffer.from(`dlv_1.${nowSeconds}.${body.toString()}`);
    const valid = list.map(([, signature = ''], i) =>
      isValidByOpenssl(keys[i === 0 ? 1 : 0]?.publicJwk ?? {}, content, Buffer.from(signature, 'base64')),
    );
    expect(valid).toEqual([true, true]);
  });

  test.each(KEY_ALGORITHMS)('rfc9421 with %s by http-message-signatures (MS-8)', async (algorithm) => {
    const key = aKey(algorithm);
    const request = await signed(aSigner({ ...rfc9421, algorithm, expiresSeconds: 3600 }, [key]));
    const options = {
      scheme: 'https' as const,
      required: ['@method', '@target-uri', 'content-digest', 'ce-id', 'webhook-id'],
    };
    expect(await isValidRfc9421(request, key.publicJwk, options)).toBe(true);
    expect(request.headers['signature-input']).toContain(`;expires=${nowSeconds + 3600};keyid="${key.id}"`);
    for (const changed of [
      { ...request, target: '/hooks?a=c' },
      { ...request, method: 'PUT' },
      { ...request, body: Buffer.from('{}') },
      { ...request, headers: { ...request.headers, 'ce-id': '2' } },
    ]) {
      expect(await isValidRfc9421(changed, key.publicJwk, options)).toBe(false);
    }
  });

  test.each([false, true])('http-signatures-draft-05 by openssl, verbatim %s (MS-1 … MS-4)', async (verbatim) => {
    const key = aKey('ecdsa-p256-sha256');
    const signing = aSigner({ profile: 'http-signatures-draft-05', verbatim }, [key], {
      publicUrl: 'https://hooks.example',
    });
    const request = await signed(signing);
    expect(request.headers['signature-input']).toBe(
      'sig1=("date" "content-type" "digest" "content-length" "user-agent" "@request-target")' +
        (verbatim ? '' : `;created=${nowSeconds}`) +
        `;alg="ecdsa-p256-sha256";keyid="https://hooks.example/keys/${key.id}.pem";nonce=${verbatim ? NONCE : `"${NONCE}"`}`,
    );
    expect(isValidDraft05(request, key.publicJwk)).toBe(true);
    for (const changed of [
      { ...request, target: '/hooks' },
      { ...request, body: Buffer.from('{}') },
      { ...request, headers: { ...request.headers, 'user-agent': 'Other' } },
    ]) {
      expect(isValidDraft05(changed, key.publicJwk)).toBe(false);
    }
  });

  test('hmac-timestamp by the package of a payment service', async () => {
    const { headers } = await signed(
      aSigner({ profile: 'hmac-timestamp', headerNames: WEBHOOK_HEADERS.hmacTimestamp }),
    );
    const header = headers['x-webhook-signature'] ?? '';
    expect(Stripe.webhooks.constructEvent(body.toString(), header, formatSecret(secret))).toMatchObject({ id: '1' });
    expect(() => Stripe.webhooks.constructEvent(`${body.toString()} `, header, formatSecret(secret))).toThrow(
      'signature',
    );
    expect(headers['x-webhook-id']).toBe('dlv_1');
  });
});

describe('with a prefix of the tenant', () => {
  test('standard-webhooks is verified by svix as its own headers', async () => {
    const { headers } = await signed(aSigner({ profile: 'standard-webhooks' }, [], { headerPrefix: 'svix' }));
    expect(ofSignature(headers)).toEqual(['svix-id', 'svix-timestamp', 'svix-signature']);
    const peer = new SvixWebhook(formatSecret(secret));
    expect(() => peer.verify(body.toString(), headers)).not.toThrow();
    expect(() => peer.verify(body.toString(), { ...headers, 'svix-id': 'dlv_2' })).toThrow('No matching signature');
  });

  test('standard-webhooks-v1a is verified by openssl', async () => {
    const key = aKey('ed25519');
    const { headers } = await signed(aSigner({ profile: 'standard-webhooks-v1a' }, [key], { headerPrefix: 'acme' }));
    expect(ofSignature(headers)).toEqual(['acme-id', 'acme-timestamp', 'acme-signature']);
    const signature = Buffer.from((headers['acme-signature'] ?? '').replace('v1a,', ''), 'base64');
    const content = Buffer.from(`${headers['acme-id']}.${headers['acme-timestamp']}.${body.toString()}`);
    expect(isValidByOpenssl(key.publicJwk, content, signature)).toBe(true);
  });

  test('rfc9421 covers the header with the id by its name, and once (MS-7)', async () => {
    const key = aKey('ed25519');
    const signing = aSigner({ ...rfc9421, algorithm: 'ed25519' }, [key], { headerPrefix: 'acme' });
    // As the subscription has it: the prefix came later.
    const request = await signed(signing, [...head.headers, ['Acme-Id', 'of the subscriber']]);
    expect(ofSignature(request.headers)).toEqual(['acme-id', 'signature-input', 'signature']);
    expect(request.headers['acme-id']).toBe('dlv_1');
    const options = { scheme: 'https' as const, required: ['@target-uri', 'content-digest', 'acme-id'] };
    expect(await isValidRfc9421(request, key.publicJwk, options)).toBe(true);
    const replayed = { ...request, headers: { ...request.headers, 'acme-id': 'dlv_2' } };
    expect(await isValidRfc9421(replayed, key.publicJwk, options)).toBe(false);
  });
});

describe('the keys of a tenant', () => {
  test('sign from the next request on when another one is active', async () => {
    const keys = [aKey('ed25519')];
    const signing = aSigner({ ...rfc9421, algorithm: 'ed25519' }, keys);
    expect((await signed(signing)).headers['signature-input']).toContain(keys[0]?.id);
    const next = { ...aKey('ed25519'), activatedAtMs: 2 };
    keys.push(next);
    expect((await signed(signing)).headers['signature-input']).toContain(next.id);
  });

  test('are asked for again before it is said that there is none', async () => {
    const keys: SigningKey[] = [];
    let catchUps = 0;
    const signing = makeSigning({
      findSubscription: () =>
        aSubscription({ tenant, spec: aSpec({ config: { signature: { ...rfc9421, algorithm: 'ed25519' } } }) }),
      signingKeys: () => keys,
      catchUp() {
        if (++catchUps === 2) keys.push(aKey('ed25519'));
        return Promise.resolve();
      },
      masterKey,
      headerNamesOf: () => WEBHOOK_HEADERS,
      nonce: () => NONCE,
      authorize: notAsked,
    });
    expect(await sign(signing)).toEqual({ ok: false, reason: 'no_key' });
    expect((await sign(signing)).ok).toBe(true);
    expect((await sign(signing)).ok).toBe(true);
    expect(catchUps).toBe(2);
  });

  test('are refused when they are of another master key', async () => {
    const foreign = makeMasterKey(new Uint8Array(32).fill(2)).seal(Buffer.alloc(9), { tenant, subscription });
    const settings = { ...rfc9421, algorithm: 'ed25519' } as const;
    const other = { ...aKey('ed25519'), sealedPrivateKey: foreign };
    expect(await sign(aSigner(settings, [other]))).toEqual({ ok: false, reason: 'wrong_master_key' });
  });

  test('sign nothing for a worker that does not know yet that the profile covers the request: it asks again (MS-4)', async () => {
    const { head: _none, ...withoutHead } = { subscription, tenant, messageId: 'a', timestampSeconds: 1, body, head };
    const profiles = [
      [{ ...rfc9421, algorithm: 'ed25519' }, aKey('ed25519')],
      [{ profile: 'http-signatures-draft-05', verbatim: false }, aKey('ecdsa-p256-sha256')],
    ] as const;
    for (const [settings, key] of profiles) {
      const [reply] = await aSigner(settings, [key]).signBatch([withoutHead]);
      expect(reply).toEqual({ ok: false, reason: 'other_profile' });
    }
  });

  test('refuse what makes a header that no answer has room for, and answer its neighbours', async () => {
    const many = Array.from({ length: 4000 }, (_, i) => [`ce-attribute${i}`, '1'] as const);
    const requests = [[...head.headers, ...many], head.headers].map((headers) => {
      return { subscription, tenant, messageId: 'a', timestampSeconds: 1, body, head: { ...head, headers } };
    });
    const signing = aSigner({ ...rfc9421, algorithm: 'ed25519' }, [aKey('ed25519')]);
    const replies = decodeSignReplies(encodeSignReplies(await signing.signBatch(requests)));
    expect(replies.map((reply) => (reply.ok ? 'signed' : reply.reason))).toEqual(['unsignable', 'signed']);
  });
});
