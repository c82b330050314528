import { generateKeyPairSync, hash, type KeyObject } from 'node:crypto';
import type { SigningKeyId } from '#core/ids';
import type { PublicJwk } from '#core/registry/signing-key';
import type { KeyAlgorithm } from '#core/signature/rfc9421';

export interface KeyPair {
  readonly id: SigningKeyId;
  readonly publicJwk: PublicJwk;
  /** PKCS #8, DER. */
  readonly privateKey: Uint8Array;
}

/** A new pair of keys; its id is the thumbprint of the public one (RFC 7638). */
export function makeKeyPair(algorithm: KeyAlgorithm): KeyPair {
  const { publicKey, privateKey } =
    algorithm === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = publicJwkOf(publicKey);
  return { id: thumbprint(publicJwk), publicJwk, privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }) };
}

function publicJwkOf(publicKey: KeyObject): PublicJwk {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  return publicKey.asymmetricKeyType === 'ed25519'
    ? { kty: 'OKP', crv: 'Ed25519', x }
    : { kty: 'EC', crv: 'P-256', x, y };
}

/** SHA-256 over the members that make the key, by their names, without blanks. */
export function thumbprint(jwk: PublicJwk): SigningKeyId {
  const { crv, kty, x } = jwk;
  const members = jwk.kty === 'EC' ? { crv, kty, x, y: jwk.y } : { crv, kty, x };
  return hash('sha256', JSON.stringify(members), 'base64url') as SigningKeyId;
}
