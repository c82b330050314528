import type { MakeKeyReply, MakeKeyRequest } from '#contracts/bus/seal';
import { makeKeyPair } from './make-key-pair.ts';
import type { MasterKey } from './master-key.ts';

/** Makes a pair of keys for a tenant. The private half leaves only sealed. */
export function makeMakeSigningKey(masterKey: Pick<MasterKey, 'seal'>): (request: MakeKeyRequest) => MakeKeyReply {
  return ({ tenant, algorithm }) => {
    const { id, publicJwk, privateKey } = makeKeyPair(algorithm);
    return { id, publicJwk, sealedPrivateKey: masterKey.seal(privateKey, { tenant, signingKey: id }) };
  };
}
