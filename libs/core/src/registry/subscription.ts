import type { SubscriptionId, TenantId } from '../ids.ts';
import type { Filter } from '../filter/filter.ts';
import type { RetryPolicy } from '../delivery/retry-policy.ts';
import type { CircuitPolicy } from '../lane/circuit-policy.ts';
import type { SignatureSettings } from '../signature/signature-settings.ts';

export type ContentMode = 'structured' | 'binary';

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

/** The last three are ours (SA-10: an application may add some). */
export const CREDENTIAL_TYPES = [
  'PLAIN',
  'ACCESSTOKEN',
  'REFRESHTOKEN',
  'CLIENTCREDENTIALS',
  'APIKEY',
  'CLIENTCERTIFICATE',
] as const;
export type CredentialType = (typeof CREDENTIAL_TYPES)[number];

/** What is known of a credential without opening it. */
export interface ShownCredential {
  readonly credentialtype: CredentialType;
  /** Of an APIKEY: the header that it is sent in. */
  readonly header?: string;
  /** Of a CLIENTCERTIFICATE: its fingerprint, 64 hexadecimal digits. */
  readonly certificatesha256?: string;
  /** Of a CLIENTCERTIFICATE: when the first of its chain expires, RFC 3339. */
  readonly certificateexpiresutc?: string;
}

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

/** What has to arrive one after the other, in the order in which EVENTS stored it. */
export type Ordering = 'none' | 'subscription' | 'partitionkey';

/** Several events in one request (CE-JSON batch format); solicited only. */
export interface BatchPolicy {
  /** 1 … 1000. */
  readonly maxEvents: number;
  /** Of the whole body, 1 KiB … 1 MiB. */
  readonly maxBytes: number;
  /** How long the first event of a batch waits for others, 0 … 60 000 ms. */
  readonly maxWaitMs: number;
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
  readonly sinkcredential?: ShownCredential;
  readonly config: {
    readonly contentMode: ContentMode;
    readonly signature: SignatureSettings;
    readonly retry: RetryPolicy;
    readonly validation: ValidationPolicy;
    /** Requests per minute to the sink, cluster-wide; a batch is one, a retry is one. Absent: none but the sink's grant. */
    readonly rate?: { readonly requestsPerMinute: number };
    /** Requests to the sink at once, cluster-wide. 1 … 256, default 32. */
    readonly maxInFlight: number;
    readonly ordering: Ordering;
    /** With `ordering`: after a dead letter the next goes on, or the subscription is paused. Default `skip`. */
    readonly onDeadLetter: 'skip' | 'block';
    readonly circuit: CircuitPolicy;
    readonly batch?: BatchPolicy;
    /** HTTPS address to which dead letters are sent as CloudEvents, too. */
    readonly deadLetterSink?: string;
    /** Without a credential: whether a token of ours is sent (WH-9), see `authorizationOf`. */
    readonly authorization: 'jwt' | 'none';
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

/**
 * Why delivery had a subscription stopped. `gone`: its sink answered 410. `failing_since`: nothing but failures for too long.
 * `ordering_blocked`: a delivery of an ordered one was given up, with `onDeadLetter: block`. `credential_expired`: its
 * access token is not good any more, and there is nobody to ask for another. `credential_refused`: there is, and the
 * answer was no (SA-10).
 */
export type StopCause = 'gone' | 'failing_since' | 'ordering_blocked' | 'credential_expired' | 'credential_refused';

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

/** A secret that signs beside the current one for a while, so that receivers can follow in their own time (SW-4). */
export interface PreviousSecret {
  readonly sealed: string;
  /** Unix ms; it signs before that. */
  readonly graceUntilMs: number;
}

/** All that is sealed for a subscription. */
export type SealedSecrets = Pick<Subscription, 'sealedSecret' | 'previousSecrets' | 'sealedCredential'>;

export interface Subscription {
  readonly id: SubscriptionId;
  readonly tenant: TenantId;
  readonly spec: SubscriptionSpec;
  readonly state: SubscriptionState;
  /** Why it is not active. Of an expired one an {@link ExpiryReason}, otherwise what the command said. */
  readonly stateReason?: string;
  readonly validation: Validation;
  /** Signing secret, sealed with the master key; only the signer can open it. Absent when the profile has no use for it. */
  readonly sealedSecret?: string;
  /** Those that it was rotated from and that still sign, the latest first. Absent: none. */
  readonly previousSecrets?: readonly PreviousSecret[];
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
  | {
      readonly kind: 'RotateSecret';
      readonly sealedSecret: string;
      /** Until when the secret of now signs as well. At or before now: at once no more, nor does any earlier one. */
      readonly graceUntilMs: number;
    }
  /** The same secrets, sealed with another master key. */
  | ({ readonly kind: 'ResealSecrets' } & SealedSecrets)
  /** Another access token was obtained. Refused when the credential is not the one that it was obtained with. */
  | { readonly kind: 'RefreshCredential'; readonly replaces: string; readonly sealedCredential: string }
  | { readonly kind: 'DeleteSubscription' }
  | { readonly kind: 'PauseSubscription'; readonly reason?: string; readonly cause?: StopCause }
  | { readonly kind: 'ResumeSubscription' }
  | { readonly kind: 'DisableSubscription'; readonly reason: string; readonly cause?: StopCause }
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
    | { readonly kind: 'SecretRotated'; readonly sealedSecret: string; readonly graceUntilMs: number }
    | ({ readonly kind: 'SecretsResealed' } & SealedSecrets)
    | { readonly kind: 'CredentialRefreshed'; readonly sealedCredential: string }
    | { readonly kind: 'SubscriptionDeleted' }
    | { readonly kind: 'SubscriptionPaused'; readonly reason?: string; readonly cause?: StopCause }
    | { readonly kind: 'SubscriptionResumed' }
    | { readonly kind: 'SubscriptionDisabled'; readonly reason: string; readonly cause?: StopCause }
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

type Config = SubscriptionSpec['config'];
type SinceEngine = 'maxInFlight' | 'ordering' | 'onDeadLetter' | 'circuit' | 'authorization';
type StoredRetry = Omit<RetryPolicy, 'floorsSeconds'> & Partial<Pick<RetryPolicy, 'floorsSeconds'>>;

/** `config` as stored by any version that knew validation. */
export type StoredConfig = Omit<Config, SinceEngine | 'retry'> &
  Partial<Pick<Config, SinceEngine>> & { readonly retry: StoredRetry };

/**
 * A specification as any version wrote it: the first ones knew only HTTP without settings, and no validation; the next
 * ones no circuit, order, cap or floors.
 */
export type StoredSpec =
  | (Transmission &
      Omit<SubscriptionSpec, 'config' | 'protocol' | 'protocolsettings'> & { readonly config: StoredConfig })
  | {
      readonly sink: string;
      readonly protocol: 'HTTP';
      readonly source?: string;
      readonly types?: readonly string[];
      readonly filters: readonly Filter[];
      readonly config: Pick<StoredConfig, 'contentMode' | 'signature' | 'retry'>;
    };
