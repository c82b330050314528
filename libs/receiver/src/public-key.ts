import { createPublicKey, verify, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { KeyAlgorithm } from '#core/signature/rfc9421';
import { parsePublicKey } from '#core/signature/standard-webhooks-v1a';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';

/** A public key as JSON (RFC 7517). */
export interface PublicKeyJwk {
  readonly kty?: string;
  readonly crv?: string;
  readonly x?: string;
  readonly y?: string;
  readonly kid?: string;
  readonly use?: string;
  readonly alg?: string;
}

/** `whpk_…`, a PEM (`BEGIN PUBLIC KEY`), a JWK, or one of these with the `keyid` that it goes by. */
export type PublicKeyInput = string | PublicKeyJwk | { readonly keyId: string; readonly key: string | PublicKeyJwk };

/** A key, and the one algorithm that it is for: what a message says of its algorithm never decides (MS-7). */
export interface VerificationKey {
  /** Absent: it may be any key that a message names. */
  readonly keyId?: string;
  readonly algorithm: KeyAlgorithm;
  readonly key: KeyObject;
}

/** @throws ReceiverMisconfigured when it is no public key of ed25519 or P-256 */
export function readPublicKey(input: PublicKeyInput): VerificationKey {
  if (typeof input === 'object' && 'key' in input) return { ...readPublicKey(input.key), keyId: input.keyId };
  const key = typeof input === 'string' ? readText(input) : readJwk(input);
  const algorithm = algorithmOf(key);
  if (algorithm === undefined)
    throw new ReceiverMisconfigured('A public key must be ed25519 or P-256; this one is not.');
  const keyId = typeof input === 'string' ? undefined : input.kid;
  return { algorithm, key, ...(keyId === undefined ? {} : { keyId }) };
}

/** The same for keys that others publish: `undefined` for what is not for us. */
export function readPublishedKey(input: PublicKeyInput): VerificationKey | undefined {
  if (typeof input === 'object' && 'use' in input && input.use !== 'sig') return undefined;
  try {
    return readPublicKey(input);
  } catch (error) {
    if (error instanceof ReceiverMisconfigured) return undefined;
    throw error;
  }
}

function readText(text: string): KeyObject {
  const raw = parsePublicKey(text.trim());
  if (raw !== undefined) return readJwk({ kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') });
  if (!text.includes('-----BEGIN PUBLIC KEY-----')) {
    const what = text.includes('PRIVATE KEY') || text.startsWith('whsk_') ? 'A private key was given' : 'This is none';
    throw new ReceiverMisconfigured(`A public key must be whpk_… or a PEM with BEGIN PUBLIC KEY. ${what}.`);
  }
  return create(() => createPublicKey(text));
}

function readJwk(jwk: PublicKeyJwk): KeyObject {
  const { kty, crv, x, y } = jwk;
  if ('d' in jwk || 'k' in jwk)
    throw new ReceiverMisconfigured('A public key must hold no private part; this JWK does.');
  return create(() => createPublicKey({ key: { kty, crv, x, y } as JsonWebKey, format: 'jwk' }));
}

function create(make: () => KeyObject): KeyObject {
  try {
    return make();
  } catch (cause) {
    throw new ReceiverMisconfigured('A public key that was given can not be read.', { cause });
  }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): KeyAlgorithm | undefined {
  if (asymmetricKeyType === 'ed25519') return 'ed25519';
  const isP256 = asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1';
  return isP256 ? 'ecdsa-p256-sha256' : undefined;
}

/** The keys that a message may mean by its `keyid`: of that id, or without one. A URL means the last part of its path. */
export function keysNamed(keys: readonly VerificationKey[], keyid: string | undefined): VerificationKey[] {
  if (keyid === undefined) return [...keys];
  return keys.filter(({ keyId }) => keyId === undefined || namesKey(keyid, keyId));
}

export function namesKey(keyid: string, keyId: string): boolean {
  return keyid === keyId || lastPart(keyid) === keyId;
}

/** Of `https://host/keys/abc.pem`: `abc`. */
function lastPart(keyid: string): string | undefined {
  return /^https?:\/\/[^?#]*\/([^/?#]+?)(?:\.(?:pem|jwk))?$/.exec(keyid)?.[1];
}

/** Ed25519 hashes by itself; ECDSA is r and s in 64 bytes, not DER (MS-1). */
export function isSignedBy(
  { algorithm, key }: VerificationKey,
  pieces: readonly (string | Uint8Array)[],
  signature: Uint8Array,
): boolean {
  if (signature.length !== 64) return false;
  const bytes = Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
  return algorithm === 'ed25519'
    ? verify(null, bytes, key, signature)
    : verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
