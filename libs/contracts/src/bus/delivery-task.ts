import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { CloudEvent } from '#core/event/cloud-event';

/**
 * One obligation to deliver, as it travels on DELIVERIES, RETRIES and DEADLETTERS.
 *
 * The event travels by value up to {@link INLINE_EVENT_MAX_BYTES}, above that by its sequence in EVENTS.
 */
export interface DeliveryTask {
  readonly delivery: DeliveryId;
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** Sequence of the event in EVENTS. */
  readonly eventSeq: number;
  /** Instant at which JetStream stored the event, Unix ms. Partition key of all its rows, start of the deadline. */
  readonly acceptedAtMs: number;
  /** Instant after which no attempt may start. Unset until the first attempt fixes it from the subscription's policy. */
  readonly deadlineAtMs?: number;
  /** Number of the attempt that this message asks for, from 1. */
  readonly attempt: number;
  /** Attempts before this one which belong to an earlier round (before a redelivery): the schedule restarts there. */
  readonly firstAttempt: number;
  /** How often it was put off before this attempt, because the subscription was paused or pending. Absent: never. */
  readonly holds?: number;
  /** W3C trace context of the publish request; the notification carries on the same trace. */
  readonly traceparent?: string;
  readonly event: { readonly kind: 'inline'; readonly value: CloudEvent } | { readonly kind: 'reference' };
}

/** Attributes and data together; copying costs the same as a reference up to here and saves the read (measured). */
export const INLINE_EVENT_MAX_BYTES = 4096;
