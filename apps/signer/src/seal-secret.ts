import type { SealReply, SealRequest } from '#contracts/bus/seal';
import { formatSecret, GENERATED_SECRET_BYTES, parseSecret } from '#core/signature/signing-secret';
import type { MasterKey } from './master-key.ts';

export interface SealPorts {
  readonly masterKey: Pick<MasterKey, 'seal'>;
  randomBytes(count: number): Uint8Array;
}

/** Seals the supplied secret, or one that it makes (SW-3). The answer is the only time that the secret leaves. */
export function makeSealSecret({ masterKey, randomBytes }: SealPorts): (request: SealRequest) => SealReply {
  return ({ tenant, subscription, secret }) => {
    const supplied = parseSecret(secret ?? formatSecret(randomBytes(GENERATED_SECRET_BYTES)));
    if (!supplied.ok) return supplied;
    const sealed = masterKey.seal(supplied.key, { tenant, subscription });
    return { ok: true, sealed, secret: formatSecret(supplied.key) };
  };
}
