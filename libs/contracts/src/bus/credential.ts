import type { SubscriptionId, TenantId } from '#core/ids';

/** The signer has obtained another access token, JSON on the credential subject: the registry is to keep it. */
export interface KeepCredentialRequest {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** The sealed credential that it was obtained with. */
  readonly replaces: string;
  readonly sealed: string;
}

/** `stale`: the subscription has another credential by now, or is gone. Nothing was kept. */
export interface KeepCredentialReply {
  readonly result: 'kept' | 'stale';
}
