import type { SealCredentialReply, SealCredentialRequest, SealReply, SealSecretRequest } from '#contracts/bus/seal';
import { formatSecret, GENERATED_SECRET_BYTES, parseSecret } from '#core/signature/signing-secret';
import type { MasterKey } from './master-key.ts';

export interface SealPorts {
  readonly masterKey: Pick<MasterKey, 'seal'>;
  randomBytes(count: number): Uint8Array;
}

/** Seals the supplied secret, or one that it makes (SW-3). The answer is the only time that the secret leaves. */
export function makeSealSecret({ masterKey, randomBytes }: SealPorts): (request: SealSecretRequest) => SealReply {
  return ({ tenant, subscription, secret }) => {
    const supplied = parseSecret(secret ?? formatSecret(randomBytes(GENERATED_SECRET_BYTES)));
    if (!supplied.ok) return supplied;
    const sealed = masterKey.seal(supplied.key, { tenant, subscription });
    return { ok: true, sealed, secret: formatSecret(supplied.key) };
  };
}

/** Seals a sink credential (SA-10): bound to its owner like a secret, and of another purpose. */
export function makeSealCredential(
  masterKey: Pick<MasterKey, 'seal'>,
): (request: SealCredentialRequest) => SealCredentialReply {
  const encoder = new TextEncoder();
  return ({ tenant, subscription, credential }) => {
    const bytes = encoder.encode(JSON.stringify(credential));
    return { sealed: masterKey.seal(bytes, { tenant, subscription, purpose: 'credential' }) };
  };
}
