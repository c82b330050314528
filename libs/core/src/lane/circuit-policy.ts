/** When the circuit of a subscription opens and how it is tried again, as on the wire (`config.circuit`). */
export interface CircuitPolicy {
  /** Opens after that many failures in a row. 1 … 1000, default 10. */
  readonly consecutiveFailures: number;
  /** Or when this share of the requests of the window failed. 0.05 … 1, default 0.5. */
  readonly failureRatio: number;
  /** Length of that window. 10 … 3600 s, default 60. */
  readonly windowSeconds: number;
  /** Requests in the window below which the ratio says nothing. 1 … 100 000, default 20. */
  readonly minimumRequests: number;
  /** First probe after opening; doubles with each that fails. 1 … 1800 s, default 10. */
  readonly firstProbeSeconds: number;
  /** Longest wait between probes. 1 … 3600 s, default 1800 (30 min). */
  readonly longestProbeSeconds: number;
  /** Nothing but failures for this long disables the subscription. 3600 s … 30 d, default 432 000 (5 days). */
  readonly disableAfterSeconds: number;
}

export const DEFAULT_CIRCUIT_POLICY: CircuitPolicy = {
  consecutiveFailures: 10,
  failureRatio: 0.5,
  windowSeconds: 60,
  minimumRequests: 20,
  firstProbeSeconds: 10,
  longestProbeSeconds: 1800,
  disableAfterSeconds: 5 * 86_400,
};
