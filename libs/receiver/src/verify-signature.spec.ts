import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { formatSecret } from '#core/signature/signing-secret';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import { sign, type TestNotification } from './sign.ts';
import { verifySignature } from './verify-signature.ts';

interface VerifyVector {
  readonly name: string;
  readonly now: number;
  readonly headers: Record<string, string>;
  readonly payload: string;
  readonly ok: boolean;
  readonly profile?: string;
}

const vectors = JSON.parse(readFileSync('test/vectors/standard-webhooks.json', 'utf8')) as {
  symmetric: { secret: string; secretUnprefixed: string }[];
  verify: VerifyVector[];
};
const [{ secret, secretUnprefixed } = { secret: '', secretUnprefixed: '' }] = vectors.symmetric;
const other = formatSecret(new Uint8Array(32).fill(7));
const utf8 = new TextEncoder();
const nowSeconds = Math.floor(Date.now() / 1000);
const body = utf8.encode('{"é":1.10}');
const signable = { messageId: 'dlv_0123', timestampSeconds: nowSeconds, body };

const signed = (notification: TestNotification, ...secrets: string[]) =>
  sign(notification, { profile: 'standard-webhooks', secrets });

describe('verifySignature', () => {
  test.each(vectors.verify.filter(({ profile }) => profile !== 'svix'))(
    'agrees with the official libraries: $name (SW-1, SW-2, SW-4, SW-5)',
    ({ headers, payload, now, ok }) => {
      const result = verifySignature({ headers, body: utf8.encode(payload) }, { secrets: [secret], nowSeconds: now });
      expect(result.ok).toBe(ok);
    },
  );

  test('reads headers as an object, as lists, as pairs and as web Headers', () => {
    const pairs = signed(signable, secret);
    const lists = Object.fromEntries(pairs.map(([name, value]) => [name.toUpperCase(), [value]]));
    for (const headers of [pairs, Object.fromEntries(pairs), lists, new Headers(pairs)]) {
      expect(verifySignature({ headers, body }, { secrets: [secret] })).toMatchObject({ ok: true });
    }
  });

  test('accepts any of several signatures with any of several secrets (SW-4)', () => {
    const rotated = signed(signable, other, secret);
    expect(verifySignature({ headers: rotated, body }, { secrets: [secret] })).toMatchObject({ ok: true });
    const plain = signed(signable, secret);
    expect(verifySignature({ headers: plain, body }, { secrets: [other, secretUnprefixed] })).toMatchObject({
      ok: true,
      messageId: 'dlv_0123',
    });
  });

  test('says what to check', () => {
    const headers = Object.fromEntries(signed(signable, secret));
    const codeOf = (changed: Record<string, string>, options: { secrets?: string[]; nowSeconds?: number } = {}) => {
      const result = verifySignature({ headers: { ...headers, ...changed }, body }, { secrets: [secret], ...options });
      return result.ok ? 'ok' : result.code;
    };
    expect(codeOf({})).toBe('ok');
    expect(codeOf({ 'webhook-id': '' })).toBe('missing_header');
    expect(codeOf({ 'webhook-id': 'a.b' })).toBe('malformed_header');
    expect(codeOf({ 'webhook-timestamp': 'soon' })).toBe('malformed_header');
    expect(codeOf({ 'webhook-signature': 'v9,AAAA' })).toBe('malformed_header');
    expect(codeOf({}, { secrets: [other] })).toBe('signature_mismatch');
    expect(() => codeOf({}, { secrets: ['whsec_AAAA'] })).toThrow(ReceiverMisconfigured);
    expect(() => codeOf({}, { secrets: [] })).toThrow(ReceiverMisconfigured);
    expect(codeOf({}, { nowSeconds: nowSeconds + 301 })).toBe('timestamp_too_old');
    expect(codeOf({}, { nowSeconds: nowSeconds - 301 })).toBe('timestamp_too_new');
  });

  test('notices every change of one bit in the body (SW-2)', () => {
    const headers = signed(signable, secret);
    fc.assert(
      fc.property(fc.nat({ max: body.length * 8 - 1 }), (bit) => {
        const altered = body.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
        expect(verifySignature({ headers, body: altered }, { secrets: [secret] }).ok).toBe(false);
      }),
    );
  });
});

describe('sign', () => {
  test('is accepted by the official standardwebhooks package and by svix (SW-1 … SW-3, SW-10)', () => {
    const text = fc.oneof(fc.json(), fc.constant('')); // the peers parse what they verify
    const keys = fc.uint8Array({ minLength: 24, maxLength: 64 });
    fc.assert(
      fc.property(text, keys, (payload, key) => {
        const own = formatSecret(key);
        const headers = Object.fromEntries(signed({ ...signable, body: utf8.encode(payload) }, other, own));
        for (const peer of [new Webhook(own), new SvixWebhook(own)]) {
          expect(() => peer.verify(payload, headers)).not.toThrow();
          expect(() => peer.verify(`${payload} `, headers)).toThrow('No matching signature found');
        }
      }),
      { numRuns: 50 },
    );
  });

  test('is what we accept when the official packages sign', () => {
    for (const peer of [new Webhook(secret), new SvixWebhook(secret)]) {
      const signature = peer.sign('msg_1', new Date(nowSeconds * 1000), '{"é":1.10}');
      const headers = {
        'webhook-id': 'msg_1',
        'webhook-timestamp': String(nowSeconds),
        'webhook-signature': signature,
      };
      expect(verifySignature({ headers, body }, { secrets: [secret] })).toMatchObject({ ok: true, messageId: 'msg_1' });
    }
  });

  test('refuses a malformed secret (SW-3)', () => {
    expect(() => signed(signable, 'whsec_AAAA')).toThrow(ReceiverMisconfigured);
  });
});
