import type { HmacHeaderNames } from './header-names.ts';
import type { KeyAlgorithm } from './rfc9421.ts';

/** How the notifications of a subscription are signed, with every default applied. Secrets are kept apart. */
export type SignatureSettings =
  | { readonly profile: 'standard-webhooks' }
  | { readonly profile: 'standard-webhooks-v1a' }
  | {
      readonly profile: 'rfc9421';
      readonly algorithm: KeyAlgorithm;
      /** Derived components (`@method`), fields (`content-type`), or `ce-*` for all fields with attributes. */
      readonly components: readonly string[];
      readonly tag: string;
      /** How long a signature is valid. Absent: no `expires`. */
      readonly expiresSeconds?: number;
    }
  | {
      readonly profile: 'http-signatures-draft-05';
      /** True sends the nonce without quotes and no `created`, as the senders do that this is compatible with (MS-2). */
      readonly verbatim: boolean;
    }
  | { readonly profile: 'hmac-timestamp'; readonly headerNames: HmacHeaderNames }
  | { readonly profile: 'none' };

export const SIGNATURE_PROFILES = [
  'standard-webhooks',
  'standard-webhooks-v1a',
  'rfc9421',
  'http-signatures-draft-05',
  'hmac-timestamp',
  'none',
] as const satisfies SignatureSettings['profile'][];

export type SignatureProfile = SignatureSettings['profile'];

/** True when notifications are signed with a secret of the subscription. */
export function usesSecret({ profile }: SignatureSettings): boolean {
  return profile === 'standard-webhooks' || profile === 'hmac-timestamp';
}

/** The algorithm of the tenant's key that signs; `undefined` when none does. */
export function keyAlgorithmOf(settings: SignatureSettings): KeyAlgorithm | undefined {
  switch (settings.profile) {
    case 'standard-webhooks-v1a':
      return 'ed25519';
    case 'rfc9421':
      return settings.algorithm;
    case 'http-signatures-draft-05':
      return 'ecdsa-p256-sha256';
    case 'standard-webhooks':
    case 'hmac-timestamp':
    case 'none':
      return undefined;
  }
}

/** True when the signature covers the request itself, not only its body: there has to be one, by HTTP. */
export function coversRequest({ profile }: SignatureSettings): boolean {
  return profile === 'rfc9421' || profile === 'http-signatures-draft-05';
}
