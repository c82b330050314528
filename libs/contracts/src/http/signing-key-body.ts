import { z } from 'zod';
import { decodeBase64 } from '#core/event/base64';
import {
  RETIRED_KEY_SERVED_MS,
  type PublicJwk,
  type SigningKey,
  type SigningKeyState,
} from '#core/registry/signing-key';
import { KEY_ALGORITHMS, type KeyAlgorithm } from '#core/signature/rfc9421';
import { parseSecret } from '#core/signature/signing-secret';
import { formatPublicKey } from '#core/signature/standard-webhooks-v1a';
import { required, strictMembers } from './violations.ts';
import { seconds } from './whole-number.ts';

const ALGORITHMS = KEY_ALGORITHMS.map((name) => `"${name}"`).join(' or ');

/** Body of `POST /v1/signing-keys`. */
export const signingKeyBody = strictMembers({
  algorithm: z.enum(KEY_ALGORITHMS, required(ALGORITHMS)),
});

const GRACE_MAX_SECONDS = 30 * 86_400;
const GRACE_DEFAULT_SECONDS = 86_400;

/** Body of `POST /v1/subscriptions/{id}/secret/rotate`; the body may be empty as well. */
export const rotateSecretBody = strictMembers({
  /** How long the secret of now signs beside the new one; 0: not any more, for a secret that others know. */
  graceSeconds: seconds(0, GRACE_MAX_SECONDS).default(GRACE_DEFAULT_SECONDS),
  secret: z
    .string(required('a secret such as whsec_…'))
    .refine((text) => parseSecret(text).ok, {
      error:
        'This must be whsec_ followed by the base64 of 24 to 64 random bytes (SW-3); leave it out to get a generated one.',
    })
    .optional(),
});

/** A public key as others find it (RFC 7517). */
export type PublishedJwk = PublicJwk & {
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'EdDSA' | 'ES256';
};

export function publishedJwk({ id, publicJwk }: Pick<SigningKey, 'id' | 'publicJwk'>): PublishedJwk {
  return { ...publicJwk, kid: id, use: 'sig', alg: publicJwk.kty === 'OKP' ? 'EdDSA' : 'ES256' };
}

/** How a signing key is shown; never its private half. */
export interface SigningKeyResource {
  /** The `keyid` of its signatures. */
  readonly id: string;
  readonly algorithm: KeyAlgorithm;
  readonly state: SigningKeyState;
  readonly publicKey: PublishedJwk;
  /** `whpk_…`, as receivers of Standard Webhooks configure it; ed25519 only. */
  readonly webhookPublicKey?: string;
  readonly createdAt: string;
  readonly publishedAt?: string;
  readonly activatedAt?: string;
  readonly withdrawnAt?: string;
  readonly retiredAt?: string;
  /** Of a retired one: until when its public half is served. */
  readonly servedUntil?: string;
}

export function signingKeyToResource(key: SigningKey): SigningKeyResource {
  const { id, algorithm, state, publicJwk, retiredAtMs, publishedAtMs } = key;
  const isServedOn = retiredAtMs !== undefined && publishedAtMs !== undefined;
  return {
    id,
    algorithm,
    state,
    publicKey: publishedJwk(key),
    ...(publicJwk.kty === 'OKP' ? { webhookPublicKey: formatPublicKey(base64UrlBytes(publicJwk.x)) } : {}),
    createdAt: instant(key.createdAtMs),
    ...optionalInstant('publishedAt', publishedAtMs),
    ...optionalInstant('activatedAt', key.activatedAtMs),
    ...optionalInstant('withdrawnAt', key.withdrawnAtMs),
    ...optionalInstant('retiredAt', retiredAtMs),
    ...optionalInstant('servedUntil', isServedOn ? retiredAtMs + RETIRED_KEY_SERVED_MS : undefined),
  };
}

function base64UrlBytes(text: string): Uint8Array {
  const base64 = text.replaceAll('-', '+').replaceAll('_', '/');
  return decodeBase64(base64.padEnd(Math.ceil(base64.length / 4) * 4, '=')) ?? new Uint8Array();
}

function optionalInstant<Name extends string>(name: Name, ms: number | undefined): { readonly [N in Name]?: string } {
  return (ms === undefined ? {} : { [name]: instant(ms) }) as { readonly [N in Name]?: string };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
