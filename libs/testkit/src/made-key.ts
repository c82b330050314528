import { randomBytes } from 'node:crypto';
import type { MakeKeyReply } from '#contracts/bus/seal';
import type { SigningKeyId } from '#core/ids';

/** What a signer answers that was asked for a pair of keys, where nothing is ever signed with it. */
export function aMadeKey(): MakeKeyReply {
  const random = () => randomBytes(32).toString('base64url');
  const publicJwk = { kty: 'EC', crv: 'P-256', x: random(), y: random() } as const;
  return { id: random() as SigningKeyId, publicJwk, sealedPrivateKey: 'sealed:key' };
}
