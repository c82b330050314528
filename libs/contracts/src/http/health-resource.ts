import type { ExchangeError } from '#core/delivery/outcome';
import type { OpenCircuit } from '#core/lane/lane-state';
import type { SubscriptionState } from '#core/registry/subscription';

/** `GET /v1/subscriptions/{id}/health`: how delivery to one sink goes now. Instants are RFC 3339 in UTC. */
export interface SubscriptionHealthResource {
  readonly id: string;
  readonly state: SubscriptionState;
  readonly stateReason?: string;
  readonly circuit: CircuitResource;
  /** Deliveries that are neither delivered nor given up, those of `inFlight` among them. */
  readonly waiting: number;
  /** When the event of the oldest of them was accepted; null when nothing waits. */
  readonly oldestWaitingAt: string | null;
  /** Requests to the sink now. */
  readonly inFlight: number;
  /** Share of the requests of the window that were delivered, 0 to 1; null when there were none. */
  readonly successRatio: number | null;
  readonly window: { readonly seconds: number; readonly successes: number; readonly failures: number };
  /** With an open circuit: no request before this; null when none is waited for. */
  readonly nextProbeAt: string | null;
  /** Most requests in a minute, and who says so; null for no limit. */
  readonly rate: { readonly requestsPerMinute: number; readonly source: 'config' | 'grant' } | null;
  /** Delivery workers that answered: `inFlight`, `window` and `successRatio` are of these. */
  readonly workers: number;
  /** Those that are there and did not answer in time. */
  readonly silentWorkers: number;
}

export type CircuitResource =
  | { readonly state: 'closed' }
  | { readonly state: 'recovering'; readonly since: string }
  | {
      readonly state: 'open' | 'half_open';
      readonly since: string;
      readonly cause: OpenCircuit['cause'];
      /** First failure since the last success, as far as anybody remembers. */
      readonly failingSince: string;
      readonly lastFailureAt: string;
      /** Probes that failed since it opened. */
      readonly failedProbes: number;
      readonly lastStatus?: number;
      readonly lastError?: ExchangeError;
    };
