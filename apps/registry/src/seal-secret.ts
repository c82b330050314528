import type {
  MakeKeyReply,
  MakeKeyRequest,
  ResealReply,
  ResealRequest,
  SealCredentialReply,
  SealCredentialRequest,
  SealReply,
  SealSecretRequest,
} from '#contracts/bus/seal';
import { ProblemError } from '#platform/problem';
import type { ResealPorts } from './reseal-secrets.ts';
import type { SigningKeyPorts } from './signing-keys.ts';
import type { WriteSubscriptionPorts } from './write-subscriptions.ts';

/**
 * Asks the signer to seal a secret, so that only the signer can ever open it again.
 *
 * @param request one question on the seal subject
 */
export function makeSealSecret(request: (payload: Uint8Array) => Promise<Uint8Array>): WriteSubscriptionPorts['seal'] {
  return async (tenant, subscription, secret) => {
    const question: SealSecretRequest = { tenant, subscription, ...(secret === undefined ? {} : { secret }) };
    const answer = await request(new TextEncoder().encode(JSON.stringify(question)));
    const reply = JSON.parse(new TextDecoder().decode(answer)) as SealReply;
    if (reply.ok) return { sealed: reply.sealed, secret: reply.secret };
    const errors = [{ rule: reply.rule, pointer: '/config/signature/secret', detail: reply.detail }];
    throw new ProblemError({
      status: 400,
      code: 'invalid-body',
      detail: 'The secret cannot be used. See errors.',
      errors,
    });
  };
}

/** Asks the signer to seal a credential: it says yes to any. */
export function makeSealCredential(
  request: (payload: Uint8Array) => Promise<Uint8Array>,
): WriteSubscriptionPorts['sealCredential'] {
  return async (tenant, subscription, credential) => {
    const question: SealCredentialRequest = { tenant, subscription, credential };
    const answer = await request(new TextEncoder().encode(JSON.stringify(question)));
    return (JSON.parse(new TextDecoder().decode(answer)) as SealCredentialReply).sealed;
  };
}

/** Asks the signer for a pair of keys, of which it keeps the private half to itself by sealing it. */
export function makeMakeKey(request: (payload: Uint8Array) => Promise<Uint8Array>): SigningKeyPorts['makeKey'] {
  return async (tenant, algorithm) => {
    const question: MakeKeyRequest = { tenant, algorithm };
    const answer = await request(new TextEncoder().encode(JSON.stringify(question)));
    return JSON.parse(new TextDecoder().decode(answer)) as MakeKeyReply;
  };
}

/** Asks the signer to seal with the master key of now. */
export function makeReseal(request: (payload: Uint8Array) => Promise<Uint8Array>): ResealPorts['reseal'] {
  return async (reseal) => {
    const question: ResealRequest = { reseal };
    const answer = await request(new TextEncoder().encode(JSON.stringify(question)));
    return (JSON.parse(new TextDecoder().decode(answer)) as ResealReply).resealed;
  };
}
