import type { DeadReason, ExchangeError, NextStep, Outcome } from '#core/delivery/outcome';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';

/** Facts on JOURNAL (`journal.<tenant>.<kind>`), JSON. All instants are Unix milliseconds. */
export type Fact = EventMatched | AttemptMade | DeliveryRedelivered;

/** The matcher looked at an event. A fan-out above {@link MATCHES_PER_FACT} is told in several facts. */
export interface EventMatched {
  readonly kind: 'matched';
  readonly tenant: TenantId;
  readonly eventSeq: number;
  readonly acceptedAtMs: number;
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly atMs: number;
  /** Matches of the event in all, 0 when nobody wants it. */
  readonly matchCount: number;
  /** The part of them that this fact tells. */
  readonly matches: readonly { readonly delivery: DeliveryId; readonly subscription: SubscriptionId }[];
}

export const MATCHES_PER_FACT = 500;

/** One attempt and what follows from it. */
export interface AttemptMade {
  readonly kind: 'attempt';
  readonly tenant: TenantId;
  readonly delivery: DeliveryId;
  readonly subscription: SubscriptionId;
  readonly eventSeq: number;
  readonly acceptedAtMs: number;
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly attempt: number;
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** Absent when the delivery ended without a request (deadline passed, subscription deleted, event gone). */
  readonly request?: {
    readonly outcome: Outcome;
    readonly status?: number;
    readonly error?: ExchangeError;
    readonly message?: string;
    /** The first 16 KiB of the response body as text. */
    readonly responseBody?: string;
    readonly responseTruncated?: boolean;
  };
  readonly next: NextStep;
}

/** Somebody asked for a delivery once more; attempts go on from `attempt`. */
export interface DeliveryRedelivered {
  readonly kind: 'redelivered';
  readonly tenant: TenantId;
  readonly delivery: DeliveryId;
  readonly subscription: SubscriptionId;
  readonly eventSeq: number;
  readonly acceptedAtMs: number;
  readonly attempt: number;
  readonly atMs: number;
  readonly by: string;
}

/**
 * What DEADLETTERS carries (`dead.<tenant>.<subscription>` or `dead.<tenant>._rejected`), JSON.
 * A delivery points at its event by `eventSeq`; a rejected entry carries what was wrong and where to find the bytes.
 */
export type DeadLetter =
  | {
      readonly kind: 'delivery';
      readonly tenant: TenantId;
      readonly delivery: DeliveryId;
      readonly subscription: SubscriptionId;
      readonly eventSeq: number;
      readonly acceptedAtMs: number;
      readonly source: string;
      readonly id: string;
      readonly type: string;
      readonly reason: DeadReason;
      readonly attempts: number;
      readonly lastStatus?: number;
      readonly lastError?: ExchangeError;
      readonly atMs: number;
    }
  | {
      readonly kind: 'rejected';
      readonly tenant: string;
      readonly subject: string;
      readonly eventSeq: number;
      readonly acceptedAtMs: number;
      readonly violations: readonly { readonly rule: string; readonly pointer: string; readonly detail: string }[];
      readonly atMs: number;
    };
