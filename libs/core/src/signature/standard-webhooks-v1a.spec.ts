import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  formatPublicKey,
  parsePrivateKey,
  parsePublicKey,
  prepareStandardWebhooksV1a,
} from './standard-webhooks-v1a.ts';

interface Vector {
  readonly name: string;
  readonly secretKey64: string;
  readonly secretKeySeed32: string;
  readonly publicKey: string;
  readonly id: string;
  readonly timestamp: number;
  readonly payload: string;
  readonly signature: string;
}

const vectors = JSON.parse(readFileSync('test/vectors/standard-webhooks.json', 'utf8')) as { asymmetric: Vector[] };

describe('v1a', () => {
  test.each(vectors.asymmetric)('signs as the official servers do: $name (SW-3)', (vector) => {
    const { x, d } = { x: parsePublicKey(vector.publicKey), d: parsePrivateKey(vector.secretKey64) };
    const privateKey = createPrivateKey({ format: 'jwk', key: jwk(x, d) });
    const body = Buffer.from(vector.payload);
    const unsigned = prepareStandardWebhooksV1a({ messageId: vector.id, timestampSeconds: vector.timestamp, body });
    const content = Buffer.concat(unsigned.pieces.map((piece) => Buffer.from(piece)));
    const signature = sign(null, content, privateKey);
    expect(unsigned.headersWith([signature.toString('base64')])).toEqual([
      ['webhook-id', vector.id],
      ['webhook-timestamp', String(vector.timestamp)],
      ['webhook-signature', vector.signature],
    ]);
    const publicKey = createPublicKey({ format: 'jwk', key: jwk(x) });
    expect(verify(null, content, publicKey, signature)).toBe(true);
  });

  test.each(vectors.asymmetric)('reads both forms of a private key: $name (SW-3)', (vector) => {
    const seed = parsePrivateKey(vector.secretKeySeed32);
    expect(seed).toHaveLength(32);
    expect(parsePrivateKey(vector.secretKey64)).toEqual(seed);
  });

  test('reads back the public key that it wrote, and nothing of another length or kind (SW-3)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 30, maxLength: 34 }), (key) => {
        const text = formatPublicKey(key);
        expect(parsePublicKey(text)).toEqual(key.length === 32 ? key : undefined);
        expect(parsePrivateKey(text)).toBeUndefined();
        expect(parsePublicKey(text.replace('whpk_', 'whsk_'))).toBeUndefined();
      }),
    );
  });
});

function jwk(x: Uint8Array | undefined, d?: Uint8Array) {
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64url');
  return { kty: 'OKP', crv: 'Ed25519', x: text(x), ...(d === undefined ? {} : { d: text(d) }) };
}
