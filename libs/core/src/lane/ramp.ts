/*
 * How many requests may be under way while a sink recovers. The first success after the probe allows one more, and so
 * does every further one: what is allowed doubles with each round trip, as a TCP connection starts (RFC 5681 3.1), and a
 * sink that has just come back is not met by a herd.
 */

export const RAMP_START = 1;

export function rampUp(allowed: number, maxInFlight: number): number {
  return Math.min(allowed + 1, maxInFlight);
}

/** A failure halves it; 0 means that the circuit opens again. */
export function rampDown(allowed: number): number {
  return Math.floor(allowed / 2);
}
