import type { SubscriptionId, TenantId } from '../ids.ts';
import type { Filter } from '../filter/filter.ts';
import type { RetryPolicy } from '../delivery/retry-policy.ts';

export type ContentMode = 'structured' | 'binary';
export type SignatureProfile = 'standard-webhooks' | 'none';

/** What a subscriber asked for, with every default applied (SA-11) and without secrets. */
export interface SubscriptionSpec {
  readonly sink: string;
  readonly protocol: 'HTTP';
  /** Events with exactly this `source` (SA-3); absent: any. */
  readonly source?: string;
  /** Events whose `type` is one of these (SA-4); absent: any. Never empty. */
  readonly types?: readonly string[];
  /** All must match (SA-6). */
  readonly filters: readonly Filter[];
  readonly config: {
    readonly contentMode: ContentMode;
    readonly signature: { readonly profile: SignatureProfile };
    readonly retry: RetryPolicy;
  };
}

export interface Subscription {
  readonly id: SubscriptionId;
  readonly tenant: TenantId;
  readonly spec: SubscriptionSpec;
  /** Signing secret, sealed with the master key; only the signer can open it. Absent when the profile is `none`. */
  readonly sealedSecret?: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type SubscriptionCommand =
  | {
      readonly kind: 'CreateSubscription';
      readonly id: SubscriptionId;
      readonly tenant: TenantId;
      readonly spec: SubscriptionSpec;
      readonly sealedSecret?: string;
    }
  | { readonly kind: 'ReplaceSubscription'; readonly spec: SubscriptionSpec; readonly sealedSecret?: string }
  | { readonly kind: 'DeleteSubscription' };

export type SubscriptionEvent =
  | {
      readonly kind: 'SubscriptionCreated';
      readonly id: SubscriptionId;
      readonly tenant: TenantId;
      readonly spec: SubscriptionSpec;
      readonly sealedSecret?: string;
      readonly atMs: number;
      readonly by: string;
    }
  | {
      readonly kind: 'SubscriptionReplaced';
      readonly spec: SubscriptionSpec;
      /** Present only when the secret changes; absent keeps the one there is. */
      readonly sealedSecret?: string;
      readonly atMs: number;
      readonly by: string;
    }
  | { readonly kind: 'SubscriptionDeleted'; readonly atMs: number; readonly by: string };
