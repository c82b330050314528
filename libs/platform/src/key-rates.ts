/** A burst of that long at full rate is allowed. */
const BURST_MS = 1_000;

export interface KeyRates {
  /** Takes one request of this key; answers how long to wait when there is none left, ms, otherwise 0. */
  take(key: string, requestsPerMinute: number): number;
}

/**
 * Requests per minute of an API key, in this process (with n gateways a key has n times as many). The generic cell rate
 * algorithm: one number per key, the instant at which its budget is whole again.
 */
export function makeKeyRates(now: () => number): KeyRates {
  const wholeAtMs = new Map<string, number>();

  return {
    take(key, requestsPerMinute) {
      const distanceMs = 60_000 / requestsPerMinute;
      const nowMs = now();
      const burstMs = Math.max(BURST_MS, distanceMs);
      const known = wholeAtMs.get(key) ?? 0;
      // It is ahead by one burst, give or take a rounding; by more when the clock was set back.
      const from = known > nowMs + 2 * burstMs ? nowMs : Math.max(nowMs, known);
      const waitMs = from - nowMs - burstMs + distanceMs;
      if (waitMs > 0) return waitMs;
      wholeAtMs.set(key, from + distanceMs);
      return 0;
    },
  };
}
