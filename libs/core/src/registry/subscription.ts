import type { SubscriptionId, TenantId } from '../ids.ts';
import type { Filter } from '../filter/filter.ts';
import type { RetryPolicy } from '../delivery/retry-policy.ts';

export type ContentMode = 'structured' | 'binary';
export type SignatureProfile = 'standard-webhooks' | 'none';

/** What a sink is reached by, in the letter case of the Subscriptions API (SA-8). */
export const PROTOCOLS = ['HTTP', 'NATS'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** How a notification travels (SA-8, SA-9). */
export type Transmission =
  | {
      readonly protocol: 'HTTP';
      readonly protocolsettings: {
        /** A webhook is always a POST (WH-2, D1). */
        readonly method: 'POST';
        /** Extra header fields of every notification, names as they were given. Absent: none. */
        readonly headers?: Readonly<Record<string, string>>;
      };
    }
  | {
      readonly protocol: 'NATS';
      readonly protocolsettings: {
        /** Subject that every notification is published on (NB-5). */
        readonly subject: string;
      };
    };

export const CREDENTIAL_TYPES = ['PLAIN', 'ACCESSTOKEN', 'REFRESHTOKEN'] as const;
export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

/** How a sink is asked whether it wants the notifications (http-webhook 4, WH-10). */
export interface ValidationPolicy {
  /**
   * `required`: nothing is sent before consent. `optional`: asked, and sent meanwhile and whatever the answer. `none`:
   * never asked.
   */
  readonly mode: 'required' | 'optional' | 'none';
  readonly method: 'webhook' | 'event-grid' | 'fic';
  /** Until when consent has to be there, counted from the request for it. */
  readonly deadlineSeconds: number;
  /** Whether the request offers a callback: at once, only after one without it got no consent, or never (D10). */
  readonly callback: 'never' | 'fallback' | 'always';
  /** Requests per minute to ask for (WH-11). Absent: no rate is asked for. */
  readonly requestedRate?: number;
  /** Seconds after a grant after which the sink is asked again. Absent: never. */
  readonly revalidateSeconds?: number;
}

/** What a subscriber asked for, with every default applied (SA-11) and without secrets. */
export type SubscriptionSpec = Transmission & {
  readonly sink: string;
  /** Events with exactly this `source` (SA-3); absent: any. */
  readonly source?: string;
  /** Events whose `type` is one of these (SA-4); absent: any. Never empty. */
  readonly types?: readonly string[];
  /** All must match (SA-6). */
  readonly filters: readonly Filter[];
  /** The kind of the credential that is kept for the sink; its members are sealed (SA-10). */
  readonly sinkcredential?: { readonly credentialtype: CredentialType };
  readonly config: {
    readonly contentMode: ContentMode;
    readonly signature: { readonly profile: SignatureProfile };
    readonly retry: RetryPolicy;
    readonly validation: ValidationPolicy;
    /** RFC 3339, UTC. Events that are accepted later are not matched any more. */
    readonly expiresAt?: string;
    /** Events that are matched in all; with the last of them the subscription expires. */
    readonly maxEvents?: number;
  };
};

/**
 * | state    | events are matched | deliveries                 | leaves by                          |
 * | -------- | ------------------ | -------------------------- | ---------------------------------- |
 * | pending  | yes                | wait for consent           | consent, deadline, pause, deletion |
 * | active   | yes                | are attempted              |                                    |
 * | paused   | yes                | wait                       | resume                             |
 * | disabled | no                 | end as dead letters        | resume                             |
 * | retired  | no                 | end as dead letters        | deletion only                      |
 * | expired  | no more            | see `deliveryFateOf`       | deletion only                      |
 */
export const SUBSCRIPTION_STATES = ['pending', 'active', 'paused', 'disabled', 'retired', 'expired'] as const;
export type SubscriptionState = (typeof SUBSCRIPTION_STATES)[number];

export type ExpiryReason = 'expires_at' | 'max_events' | 'validation_deadline';

export type ValidationVia = 'options' | 'callback' | 'event-grid' | 'fic';

/** How far the sink's consent has come (WH-13). Instants are Unix ms. */
export interface Validation {
  /**
   * `none`: not to be asked. `requested`: to be asked, or being asked. `granted`: consent, and it holds until the sink
   * withdraws it. `denied`: the sink names another origin. `pending`: no consent in the answer, and a callback was
   * offered. `unsupported`: the sink knows nothing of it.
   */
  readonly status: 'none' | 'requested' | 'granted' | 'denied' | 'pending' | 'unsupported';
  /** Requests that were made of this sink, or are under way. */
  readonly attempts: number;
  /** SHA-256 of the code in the callback URL, lower-case hex; the code itself is kept nowhere. */
  readonly codeHash?: string;
  readonly requestedAtMs?: number;
  readonly deadlineAtMs?: number;
  /** Origin that the grant names, `*` for any. */
  readonly grantedOrigin?: string;
  /** Requests per minute; `*` for no limit. */
  readonly allowedRatePerMinute?: number | '*';
  readonly grantedAtMs?: number;
  readonly via?: ValidationVia;
  /** What the sink's answer was, for people. */
  readonly detail?: string;
}

export interface Subscription {
  readonly id: SubscriptionId;
  readonly tenant: TenantId;
  readonly spec: SubscriptionSpec;
  readonly state: SubscriptionState;
  /** Why it is not active. Of an expired one an {@link ExpiryReason}, otherwise what the command said. */
  readonly stateReason?: string;
  readonly validation: Validation;
  /** Signing secret, sealed with the master key; only the signer can open it. Absent when the profile is `none`. */
  readonly sealedSecret?: string;
  /** The sink credential as JSON, sealed likewise (SA-10). There exactly when `spec.sinkcredential` is. */
  readonly sealedCredential?: string;
  /**
   * From 1, one more with every change of the specification or of the state that was asked for; the progress of a
   * validation does not count. So whoever read it to change it is not disturbed by a sink that answers meanwhile.
   */
  readonly revision: number;
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
      readonly sealedCredential?: string;
    }
  | {
      readonly kind: 'ReplaceSubscription';
      readonly spec: SubscriptionSpec;
      readonly sealedSecret?: string;
      readonly sealedCredential?: string;
    }
  | { readonly kind: 'DeleteSubscription' }
  | { readonly kind: 'PauseSubscription'; readonly reason?: string }
  | { readonly kind: 'ResumeSubscription' }
  | { readonly kind: 'DisableSubscription'; readonly reason: string }
  | { readonly kind: 'RetireSubscription'; readonly reason: string }
  | {
      readonly kind: 'ExpireSubscription';
      readonly reason: ExpiryReason;
      /** With `max_events`: the limit that was reached. Refused when the subscription has another one by now. */
      readonly maxEvents?: number;
    }
  | { readonly kind: 'RequestValidation'; readonly codeHash: string; readonly deadlineAtMs: number }
  | {
      readonly kind: 'RecordValidation';
      readonly result: 'granted' | 'denied' | 'pending' | 'unsupported';
      readonly via: ValidationVia;
      /** The `codeHash` of the request that this answers; refused when another one was made since. */
      readonly codeHash?: string;
      readonly origin?: string;
      readonly allowedRate?: number | '*';
      readonly detail?: string;
    };

interface Told {
  readonly atMs: number;
  readonly by: string;
}

/** What is stored for ever: members are added, never changed, and the fold gives absent ones their meaning. */
export type SubscriptionEvent = Told &
  (
    | {
        readonly kind: 'SubscriptionCreated';
        readonly id: SubscriptionId;
        readonly tenant: TenantId;
        readonly spec: StoredSpec;
        readonly sealedSecret?: string;
        readonly sealedCredential?: string;
      }
    | {
        readonly kind: 'SubscriptionReplaced';
        readonly spec: StoredSpec;
        /** Present only when the secret changes; absent keeps the one there is. */
        readonly sealedSecret?: string;
        /** Likewise; a specification without `sinkcredential` forgets it. */
        readonly sealedCredential?: string;
      }
    | { readonly kind: 'SubscriptionDeleted' }
    | { readonly kind: 'SubscriptionPaused'; readonly reason?: string }
    | { readonly kind: 'SubscriptionResumed' }
    | { readonly kind: 'SubscriptionDisabled'; readonly reason: string }
    | { readonly kind: 'SubscriptionRetired'; readonly reason: string }
    | { readonly kind: 'SubscriptionExpired'; readonly reason: ExpiryReason }
    | { readonly kind: 'ValidationRequested'; readonly codeHash: string; readonly deadlineAtMs: number }
    | {
        readonly kind: 'ValidationRecorded';
        readonly result: 'granted' | 'denied' | 'pending' | 'unsupported';
        readonly via: ValidationVia;
        readonly origin?: string;
        readonly allowedRate?: number | '*';
        readonly detail?: string;
      }
  );

/** A specification as any version wrote it: the first ones knew only HTTP without settings, and no validation. */
export type StoredSpec =
  | SubscriptionSpec
  | {
      readonly sink: string;
      readonly protocol: 'HTTP';
      readonly source?: string;
      readonly types?: readonly string[];
      readonly filters: readonly Filter[];
      readonly config: Pick<SubscriptionSpec['config'], 'contentMode' | 'signature' | 'retry'>;
    };
