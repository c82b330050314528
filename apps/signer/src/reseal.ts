import type { ResealReply, ResealRequest, Resealed, SealedThing } from '#contracts/bus/seal';
import { keyIdOf, type MasterKey } from './master-key.ts';

/** Opens what another master key sealed, and seals it with the one of now. Nothing is answered but envelopes. */
export function makeReseal(masterKey: MasterKey): (request: ResealRequest) => ResealReply {
  const resealOne = ({ tenant, sealed, of }: SealedThing): Resealed => {
    if (keyIdOf(sealed) === masterKey.id) return { kind: 'current' };
    const owner = { tenant, ...of };
    const opened = masterKey.unseal(sealed, owner);
    if (!opened.ok) return { kind: 'failed', reason: opened.reason };
    return { kind: 'resealed', sealed: masterKey.seal(opened.secret, owner) };
  };
  return ({ reseal }) => ({ resealed: reseal.map(resealOne) });
}
