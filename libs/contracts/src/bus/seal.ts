import type { SubscriptionId, TenantId } from '#core/ids';

/** Asks the signer for a secret of a subscription that is being created or replaced, JSON on the seal subject. */
export interface SealRequest {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** `whsec_…` that the subscriber supplied; generated when absent. */
  readonly secret?: string;
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
