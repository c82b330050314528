import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { Webhook as SvixWebhook } from 'svix';
import { formatSecret } from '#core/signature/signing-secret';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import { sign, type SignSettings } from './sign.ts';
import { verifySignature, type SignatureOptions } from './verify-signature.ts';
import { checkVerifyOptions, verify } from './verify.ts';

const URL = 'https://sink.example/hooks';
const nowSeconds = Math.floor(Date.now() / 1000);
const secret = formatSecret(new Uint8Array(32).fill(5));
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
const privateKeys = [privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()];
const body = Buffer.from('{"specversion":"1.0","id":"1","source":"/s","type":"a.b"}');
const contentType: [string, string] = ['content-type', 'application/cloudevents+json'];

const hmac = { profile: 'standard-webhooks', secrets: [secret] } as const;
const rfc9421 = { profile: 'rfc9421', privateKey: privateKeys[0] ?? '', keyId: 'k' } as const;

function signed(settings: SignSettings) {
  const notification = { messageId: 'dlv_1', timestampSeconds: nowSeconds, body, url: URL, headers: [contentType] };
  return { url: URL, headers: [contentType, ...sign(notification, settings)], body };
}

const namesOf = ({ headers }: ReturnType<typeof signed>) => headers.slice(1).map(([name]) => name);

/** What is said of a notification that lacks a header. */
function without(missing: string, settings: SignSettings, options: SignatureOptions) {
  const { headers, ...notification } = signed(settings);
  return verifySignature({ ...notification, headers: headers.filter(([name]) => name !== missing) }, options);
}

describe('sign() with a prefix', () => {
  const WEBHOOKS = ['acme-id', 'acme-timestamp', 'acme-signature'];
  const made: readonly { readonly settings: SignSettings; readonly names: readonly string[] }[] = [
    { settings: hmac, names: WEBHOOKS },
    { settings: { profile: 'standard-webhooks-v1a', privateKeys }, names: WEBHOOKS },
    { settings: rfc9421, names: ['content-digest', 'acme-id', 'signature-input', 'signature'] },
    { settings: { profile: 'hmac-timestamp', secrets: [secret] }, names: ['x-acme-id', 'x-acme-signature'] },
    { settings: { profile: 'none' }, names: [] },
  ];

  test.each(made)('makes the headers that Posthaste sends: $settings.profile', ({ settings, names }) => {
    expect(namesOf(signed({ ...settings, headerPrefix: 'acme' }))).toEqual(names);
  });

  test('leaves names that were given', () => {
    const headerNames = { signature: 'my-signature', id: 'my-id' };
    const settings = { profile: 'hmac-timestamp', secrets: [secret], headerNames, headerPrefix: 'acme' } as const;
    expect(namesOf(signed(settings))).toEqual(['my-id', 'my-signature']);
    const options = { secrets: [secret], headerPrefix: 'acme', hmacHeaderNames: headerNames };
    expect(verifySignature(signed(settings), options).ok).toBe(true);
  });

  test('is understood by svix, and the other way round', () => {
    const peer = new SvixWebhook(secret);
    const { headers } = signed({ ...hmac, headerPrefix: 'svix' });
    expect(() => peer.verify(body.toString(), Object.fromEntries(headers))).not.toThrow();
    const theirs = {
      'svix-id': 'msg_1',
      'svix-timestamp': String(nowSeconds),
      'svix-signature': peer.sign('msg_1', new Date(nowSeconds * 1000), body.toString()),
    };
    const result = verifySignature({ headers: theirs, body }, { secrets: [secret], headerPrefix: 'svix' });
    expect(result).toMatchObject({ ok: true, messageId: 'msg_1', signedFields: ['svix-id', 'svix-timestamp'] });
  });
});

describe('verify() with a prefix', () => {
  const options = { secrets: [secret], headerPrefix: 'acme' };
  const labelled = { ...hmac, headerPrefix: 'acme' };

  test('names the header that is missing or wrong', () => {
    for (const name of ['acme-id', 'acme-timestamp', 'acme-signature']) {
      expect(without(name, labelled, options)).toMatchObject({
        code: 'missing_header',
        detail: expect.stringContaining(name),
      });
    }
    const { headers, ...notification } = signed(labelled);
    const garbled = headers.map(([name, value]): [string, string] => [
      name,
      name === 'acme-timestamp' ? 'soon' : value,
    ]);
    expect(verifySignature({ ...notification, headers: garbled }, options)).toMatchObject({
      code: 'malformed_header',
      detail: expect.stringContaining('acme-timestamp'),
    });
  });

  test('of rfc9421 wants the header with the id covered, which webhook-id stands for (MS-8)', async () => {
    const keys = { publicKeys: [pem], headerPrefix: 'acme' };
    expect(await verify(signed({ ...rfc9421, headerPrefix: 'acme' }), keys)).toMatchObject({
      ok: true,
      messageId: 'dlv_1',
      idempotencyKey: 'dlv_1',
    });
    const components = ['@method', '@target-uri', 'content-digest', 'content-type'];
    const uncovered = signed({ ...rfc9421, components, headerPrefix: 'acme' });
    expect(verifySignature(uncovered, keys)).toMatchObject({
      code: 'component_not_signed',
      detail: expect.stringContaining('acme-id'),
    });
    const explicit = { ...keys, requiredComponents: ['content-digest', 'webhook-id'] };
    expect(verifySignature(uncovered, explicit)).toMatchObject({ code: 'component_not_signed' });
    expect(verifySignature(signed({ ...rfc9421, headerPrefix: 'acme' }), explicit).ok).toBe(true);
  });

  test('does not believe the usual headers beside them', () => {
    const both = signed(labelled);
    const forged = sign({ messageId: 'dlv_2', timestampSeconds: nowSeconds, body }, hmac);
    const result = verifySignature({ ...both, headers: [...both.headers, ...forged] }, options);
    expect(result).toMatchObject({ ok: true, messageId: 'dlv_1' });
  });

  test('of x-… tells profiles apart whose header has the same name by it', () => {
    const both = { secrets: [secret], headerPrefix: 'x-acme' };
    for (const profile of ['standard-webhooks', 'hmac-timestamp'] as const) {
      const notification = signed({ profile, secrets: [secret], headerPrefix: 'x-acme' });
      expect(namesOf(notification)).toContain('x-acme-signature');
      expect(verifySignature(notification, both)).toMatchObject({ ok: true, profile });
    }
  });

  test('is what is proposed when only another prefix is there', () => {
    expect(verifySignature(signed(labelled), { secrets: [secret] })).toMatchObject({
      code: 'missing_header',
      detail: expect.stringContaining("There is acme-signature: set headerPrefix to 'acme'."),
    });
    expect(verifySignature(signed(hmac), options)).toMatchObject({
      code: 'missing_header',
      detail: expect.stringContaining("headerPrefix to 'webhook'"),
    });
    const v1a = signed({ profile: 'standard-webhooks-v1a', privateKeys, headerPrefix: 'acme' });
    expect(verifySignature(v1a, { publicKeys: [pem] })).toMatchObject({ detail: expect.stringContaining("'acme'") });
    const unsigned = verifySignature({ headers: { 'some-signature': 'x' }, body }, { secrets: [secret] });
    expect(unsigned).toMatchObject({ detail: expect.stringContaining('is it signed at all') });
  });

  test.each(['', 'Acme', 'acme-', 'acme-signature '])('can not be %j, which is said at once', (headerPrefix) => {
    expect(() => checkVerifyOptions({ secrets: [secret], headerPrefix })).toThrow(ReceiverMisconfigured);
    expect(() => verifySignature(signed(hmac), { secrets: [secret], headerPrefix })).toThrow(ReceiverMisconfigured);
    expect(() => signed({ ...hmac, headerPrefix })).toThrow('headerPrefix can not be');
  });
});
