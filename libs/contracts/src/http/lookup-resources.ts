import type { AttributeValue } from '#core/event/cloud-event';
import type { DeadReason, ExchangeError, Outcome } from '#core/delivery/outcome';

/** What every list answers; `next` goes into `?after=` and is absent on the last page. */
export interface PageResource<Resource> {
  readonly data: readonly Resource[];
  readonly next?: string;
}

/** `GET /v1/events/{id}`. Instants are RFC 3339 in UTC. */
export interface EventResource {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly acceptedAt: string;
  /** Every context attribute with its exact value; absent for the moment until the event is projected. */
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Size of the data; absent when the event has none. */
  readonly dataBytes?: number;
  readonly dataContentType?: string;
  /** Subscriptions that the event is for; absent until it was matched. */
  readonly matchCount?: number;
}

/** An event as a delivery or dead letter names it. */
export interface EventNameResource {
  readonly source?: string;
  readonly id?: string;
  readonly type?: string;
}

export interface DeliveryResource {
  readonly id: string;
  readonly subscription: string;
  readonly event: EventNameResource;
  readonly state: 'pending' | 'retrying' | 'delivered' | 'dead';
  readonly acceptedAt: string;
  readonly attemptCount: number;
  readonly lastStatus?: number;
  readonly lastOutcome?: Outcome;
  readonly lastError?: ExchangeError;
  readonly nextAttemptAt?: string;
  /** Why it is dead. */
  readonly reason?: DeadReason;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** `GET /v1/deliveries/{id}`. */
export interface DeliveryWithAttemptsResource extends DeliveryResource {
  readonly attempts: readonly AttemptResource[];
}

export interface AttemptResource {
  /** From 1. */
  readonly number: number;
  readonly at: string;
  readonly durationMs: number;
  readonly status?: number;
  /** Absent when the delivery ended without a request. */
  readonly outcome?: Outcome;
  readonly error?: ExchangeError;
  readonly message?: string;
  /** The first 16 KiB of what the sink answered. */
  readonly responseBody?: string;
  readonly responseTruncated?: boolean;
  readonly next: { readonly kind: 'delivered' | 'retry' | 'dead'; readonly at?: string; readonly reason?: DeadReason };
}

export type DeadLetterResource =
  | {
      readonly kind: 'delivery';
      readonly id: string;
      readonly at: string;
      readonly acceptedAt: string;
      readonly delivery: string;
      readonly subscription: string;
      readonly event: EventNameResource;
      readonly reason: DeadReason;
      readonly attemptCount: number;
      readonly lastStatus?: number;
      readonly lastError?: ExchangeError;
    }
  | {
      readonly kind: 'rejected';
      readonly id: string;
      readonly at: string;
      readonly acceptedAt: string;
      /** Where it was published. */
      readonly subject: string;
      /** Sequence of the message on the bus, where its bytes are. */
      readonly seq: number;
      readonly violations: readonly { readonly rule: string; readonly pointer: string; readonly detail: string }[];
    };
