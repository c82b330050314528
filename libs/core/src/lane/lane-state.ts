import type { ExchangeError } from '../delivery/outcome.ts';
import type { SecondTries } from '../delivery/second-try.ts';

/**
 * What all processes know of a subscription that is not on the common road, as CIRCUITS holds it (JSON). Absent: it is
 * on the common road, or goes by its lane only because of its own specification (ordered, rated, batched, paused).
 */
export interface LaneState {
  /** Why its deliveries go by the lane. */
  readonly circuit: Circuit;
  /** Ordered deliveries that were attempted and failed and stay where they are, by sequence in LANES. */
  readonly heads?: readonly LaneHead[];
  /**
   * A head was given up and the subscription's policy is to stop there: its revision at that moment. The pause that
   * follows makes one revision, the resume that ends it another; see `isBlocked`.
   */
  readonly blockedAtRevision?: number;
}

/**
 * ```
 *            overflow                      lane is empty
 *  (absent) ──────────► closed ──────────────────────────► (absent)
 *     │                   │ failures
 *     │ failures, 429     ▼           probe due              probe delivered
 *     └───────────────► open ──────────────────► half_open ─────────────────► recovering ──► (absent)
 *                         ▲                          │ failed                     │ failed
 *                         └──────────────────────────┴────────────────────────────┘
 * ```
 */
export type Circuit =
  /** More than its share is waiting, or a head is: the lane is drained with `maxInFlight`. */
  | { readonly kind: 'closed'; readonly sinceMs: number }
  | OpenCircuit
  /** One probe is in flight. */
  | (Omit<OpenCircuit, 'kind'> & { readonly kind: 'half_open' })
  /** The probe was delivered; the lane is drained with rising concurrency. */
  | { readonly kind: 'recovering'; readonly sinceMs: number };

export interface OpenCircuit {
  readonly kind: 'open';
  readonly sinceMs: number;
  /** First failure since the last delivery that succeeded, as far as anybody remembers. */
  readonly failingSinceMs: number;
  readonly lastFailureAtMs: number;
  /** `throttled`: the sink named an instant (429, 503 with Retry-After); `gone`: 410. */
  readonly cause: 'failures' | 'throttled' | 'gone';
  /** Probes that failed since it opened. */
  readonly failedProbes: number;
  /** No request before this instant. */
  readonly nextProbeAtMs: number;
  /** The latest instant that the sink has named: `nextProbeAtMs` is never before it, and it holds for every revision. */
  readonly askedUntilMs?: number;
  /** Of the subscription that failed. A higher one (another sink, a resume) is tried at once and judged anew. */
  readonly revision: number;
  readonly lastStatus?: number;
  readonly lastError?: ExchangeError;
}

/** An attempted delivery that holds up those behind it. */
export interface LaneHead {
  readonly laneSeq: number;
  /** Number of the next attempt. */
  readonly attempt: number;
  /** Not before this instant. */
  readonly dueAtMs: number;
  /** What is done otherwise since the sink refused the first form: its message in LANES does not say so. Absent: nothing. */
  readonly tried?: SecondTries;
}
