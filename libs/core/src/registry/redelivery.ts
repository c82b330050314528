import type { DeadReason } from '../delivery/outcome.ts';
import type { DeliveryId, RedeliveryId, SubscriptionId, TenantId } from '../ids.ts';

/** A delivery in one of these is over, so it can have another round of attempts. */
export const REDELIVERABLE_STATES = ['dead', 'delivered'] as const;
export type RedeliverableState = (typeof REDELIVERABLE_STATES)[number];

/** `running` until it is one of the others, for ever. */
export const REDELIVERY_STATES = ['running', 'completed', 'cancelled', 'failed'] as const;
export type RedeliveryState = (typeof REDELIVERY_STATES)[number];

/** What a job redelivers. Everything that is said must hold; of a list, one of its members. */
export interface RedeliverySelection {
  readonly states: readonly RedeliverableState[];
  readonly subscription?: SubscriptionId;
  /** Why it is dead. */
  readonly reasons?: readonly DeadReason[];
  /** Types of the event. */
  readonly types?: readonly string[];
  /** Events accepted from this instant on, Unix ms. */
  readonly sinceMs?: number;
  /** Events accepted before this instant, Unix ms. */
  readonly untilMs: number;
}

/** The last delivery of a part: they are taken in the order of acceptance, then id. */
export interface RedeliveryCursor {
  readonly acceptedAtMs: number;
  readonly id: DeliveryId;
}

/** Why a selected delivery is passed over; the codes are shown. */
export const SKIP_REASONS = ['subscription_deleted', 'subscription_ended', 'event_gone', 'dead_letter'] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

/** What became of the deliveries so far. */
export interface RedeliveryTally {
  /** Rounds that were begun. What came of their attempts, the deliveries tell. */
  readonly done: number;
  /** Reasons without any are left out. */
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
}

/** A job that redelivers a set. What was selected at `requestedAtMs` is the set; what changes later is not in it. */
export interface Redelivery extends RedeliveryTally {
  readonly id: RedeliveryId;
  readonly tenant: TenantId;
  readonly state: RedeliveryState;
  readonly selection: RedeliverySelection;
  /** Rounds that begin per minute, at most and evenly. */
  readonly requestsPerMinute: number;
  readonly note?: string;
  /** Size of the set when it was requested, as far as the read side was. */
  readonly count: number;
  /** Parts that are recorded; the next one is the part after {@link cursor}. */
  readonly checkpoint: number;
  /** Absent before the first checkpoint. */
  readonly cursor?: RedeliveryCursor;
  readonly requestedAtMs: number;
  /** `admin`, or the id of the API key. */
  readonly by: string;
  readonly finishedAtMs?: number;
  readonly cancelledBy?: string;
  /** For people: why it failed. */
  readonly failure?: string;
}

/** `continues`: the checkpoint after which this part began. Whoever was overtaken is refused. */
export type RedeliveryCommand =
  | {
      readonly kind: 'RequestRedelivery';
      readonly id: RedeliveryId;
      readonly tenant: TenantId;
      readonly selection: RedeliverySelection;
      readonly requestsPerMinute: number;
      readonly note?: string;
      readonly count: number;
    }
  | ({
      readonly kind: 'RecordProgress';
      readonly continues: number;
      readonly cursor: RedeliveryCursor;
    } & RedeliveryTally)
  | { readonly kind: 'CancelRedelivery' }
  | ({ readonly kind: 'CompleteRedelivery'; readonly continues: number } & RedeliveryTally)
  | ({ readonly kind: 'FailRedelivery'; readonly continues: number; readonly detail: string } & RedeliveryTally);

interface Told {
  readonly atMs: number;
  readonly by: string;
}

/** Tallies are totals of the job, not of a part. */
export type RedeliveryEvent = Told &
  (
    | {
        readonly kind: 'RedeliveryRequested';
        readonly id: RedeliveryId;
        readonly tenant: TenantId;
        readonly selection: RedeliverySelection;
        readonly requestsPerMinute: number;
        readonly note?: string;
        readonly count: number;
      }
    | ({
        readonly kind: 'RedeliveryProgressed';
        readonly checkpoint: number;
        readonly cursor: RedeliveryCursor;
      } & RedeliveryTally)
    | { readonly kind: 'RedeliveryCancelled' }
    | ({ readonly kind: 'RedeliveryCompleted' } & RedeliveryTally)
    | ({ readonly kind: 'RedeliveryFailed'; readonly detail: string } & RedeliveryTally)
  );
