import type { SubscriptionId } from '#core/ids';

/** A question to all delivery workers at once, JSON. */
export interface LaneHealthQuestion {
  readonly subscription: SubscriptionId;
}

/** What one worker answers, JSON: those of all are added up. */
export interface LaneHealthAnswer {
  /** Requests to the sink now. */
  readonly inFlight: number;
  /** Of the last `config.circuit.windowSeconds`. */
  readonly window: { readonly successes: number; readonly failures: number };
}
