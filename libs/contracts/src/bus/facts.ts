import type { DeadReason, ExchangeError, NextStep, Outcome } from '#core/delivery/outcome';
import type { OpenCircuit } from '#core/lane/lane-state';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { StopCause } from '#core/registry/subscription';

/*
 * Facts on JOURNAL (`journal.<tenant>.<kind>`), JSON. All instants are Unix milliseconds. A reader leaves out the kinds
 * that it does not know.
 */

/** About deliveries: they become rows. */
export type Fact = EventMatched | AttemptMade | DeliveryRedelivered;

/** About subscriptions: the registry acts upon them and tells the tenant. */
export type SubscriptionFact = CircuitChanged | SubscriptionVerdict;

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

/** Attempts that a delivery has had: one that ended without a request had one less than its number says. */
export function attemptsMade({ attempt, request }: Pick<AttemptMade, 'attempt' | 'request'>): number {
  return request === undefined ? attempt - 1 : attempt;
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
  /** Address of the client that asked for this one. Absent when it was a job. */
  readonly from?: string;
}

/** A circuit opened, or is closed again. While it is open, failed probes tell nothing. */
export interface CircuitChanged {
  readonly kind: 'circuit';
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly change: 'opened' | 'closed';
  /** When it opened. */
  readonly sinceMs: number;
  /** Why it opened. */
  readonly cause?: OpenCircuit['cause'];
  /** First failure since the last success, as far as anybody remembers. */
  readonly failingSinceMs?: number;
  readonly lastStatus?: number;
  readonly lastError?: ExchangeError;
  readonly atMs: number;
}

/** What delivery found out about a subscription that the registry has to act upon. A repeat is harmless. */
export interface SubscriptionVerdict {
  readonly kind: 'verdict';
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** Of the subscription that was looked at. One that has another by now was changed or resumed: the verdict is void. */
  readonly revision: number;
  readonly verdict: 'disable' | 'pause';
  readonly reason: StopCause;
  /** For people. */
  readonly detail: string;
  readonly atMs: number;
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
      /** Attempts that were made. */
      readonly attempts: number;
      /** Number of the attempt that it ended with, made or not: a delivery may die once in each round. Absent: `attempts`. */
      readonly attempt?: number;
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
