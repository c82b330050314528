import type { SubscriptionId, TenantId } from '#core/ids';

/** Asks the signer to seal something of a subscription that is being created or changed, JSON on the seal subject. */
export type SealRequest = SealSecretRequest | SealCredentialRequest;

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

/** What of a credential goes into REGISTRY. */
export interface SealCredentialReply {
  readonly sealed: string;
}

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
