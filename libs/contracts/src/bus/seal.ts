import type { SigningKeyId, SubscriptionId, TenantId } from '#core/ids';
import type { PublicJwk } from '#core/registry/signing-key';
import type { KeyAlgorithm } from '#core/signature/rfc9421';

/** Asks the signer for something that only it can open again, JSON on the seal subject. */
export type SealRequest = SealSecretRequest | SealCredentialRequest | MakeKeyRequest | ResealRequest;

/** A signing secret. */
export interface SealSecretRequest {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** `whsec_…` that the subscriber supplied; generated when absent. */
  readonly secret?: string;
}

/** The credential for the sink, any JSON. What comes back can not be used as a signing secret, nor the other way round. */
export interface SealCredentialRequest {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly credential: unknown;
}

/** A new pair of keys for a tenant. */
export interface MakeKeyRequest {
  readonly tenant: TenantId;
  readonly algorithm: KeyAlgorithm;
}

/** What has been sealed before, to be sealed with the master key of now. */
export interface ResealRequest {
  readonly reseal: readonly SealedThing[];
}

export interface SealedThing {
  readonly tenant: TenantId;
  readonly sealed: string;
  readonly of:
    { readonly subscription: SubscriptionId; readonly purpose?: 'credential' } | { readonly signingKey: SigningKeyId };
}

/** What of a credential goes into REGISTRY. */
export interface SealCredentialReply {
  readonly sealed: string;
}

/** What of a pair of keys goes into REGISTRY; the private half is seen by nobody. */
export interface MakeKeyReply {
  readonly id: SigningKeyId;
  readonly publicJwk: PublicJwk;
  readonly sealedPrivateKey: string;
}

/** In the order of the questions. */
export interface ResealReply {
  readonly resealed: readonly Resealed[];
}

export type Resealed =
  | { readonly kind: 'resealed'; readonly sealed: string }
  /** It is sealed with the master key of now. */
  | { readonly kind: 'current' }
  /** It can not be opened: its master key is not there, or it is damaged. */
  | { readonly kind: 'failed'; readonly reason: 'wrong_master_key' | 'unseal_failed' };

export type SealReply =
  | {
      readonly ok: true;
      /** What goes into REGISTRY. Only the signer can open it, and only for this tenant and subscription. */
      readonly sealed: string;
      /** The secret itself, to be shown once and kept nowhere. */
      readonly secret: string;
    }
  /** The supplied secret is not acceptable; the detail says why without repeating it. */
  | { readonly ok: false; readonly rule: 'SW-3'; readonly detail: string };
