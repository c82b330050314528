import type { DeadReason } from '#core/delivery/outcome';
import type { SecondTries } from '#core/delivery/second-try';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { CloudEvent } from '#core/event/cloud-event';

/**
 * One obligation to deliver, as it travels on DELIVERIES, RETRIES and DEADLETTERS.
 *
 * The event travels by value up to {@link INLINE_EVENT_MAX_BYTES}, above that by its sequence in EVENTS.
 */
export interface DeliveryTask extends SecondTries {
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
  /** Instant for which this attempt was scheduled, Unix ms. Absent: as soon as possible. */
  readonly dueAtMs?: number;
  /** How often it was put off before this attempt, because its signature was refused. Absent: never. */
  readonly holds?: number;
  /** W3C trace context of the publish request; the notification carries on the same trace. */
  readonly traceparent?: string;
  /** It goes to `config.deadLetterSink`, with this about the delivery that ended. Absent: to the sink. */
  readonly deadLetter?: DeadLetterNote;
  readonly event: { readonly kind: 'inline'; readonly value: CloudEvent } | { readonly kind: 'reference' };
}

/** What a dead letter sink is told about a delivery that ended without success. */
export interface DeadLetterNote {
  readonly reason: DeadReason;
  /** Attempts that were made. */
  readonly attempts: number;
  /** Status of the last response; absent when there was none. */
  readonly status?: number;
}

/** Attributes and data together; copying costs the same as a reference up to here and saves the read (measured). */
export const INLINE_EVENT_MAX_BYTES = 4096;
