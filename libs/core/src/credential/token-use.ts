export interface TokenTimes {
  /** Unix ms. */
  readonly expiresAtMs: number;
  /** Unix ms. Absent: nobody knows. */
  readonly obtainedAtMs?: number | undefined;
}

export interface TokenQuestion {
  readonly nowMs: number;
  /** A request that was sent at this instant, Unix ms, was answered 401. */
  readonly refusedAtMs?: number | undefined;
}

/** `use`: it is good. `renew_ahead`: it is good, and will not be for long. `expired`, `refused`: another one is needed. */
export type TokenUse = 'use' | 'renew_ahead' | 'expired' | 'refused';

/** Between the moment in which a header is made and the last in which its request may leave: 5 s and a timeout of 15 s. */
const SENT_WITHIN_MS = 20_000;
const AHEAD_MS = 60_000;
/** A sink that refuses a token so young refuses the next one as well; and the clocks of two machines may differ by as much. */
const YOUNG_MS = 10_000;

/**
 * What is to be done with an access token. It is over a little before its time, so that none is ever sent after it
 * (SA-10); of one that lives shorter than three minutes an eighth of its life before.
 */
export function tokenUse(times: TokenTimes, { nowMs, refusedAtMs }: TokenQuestion): TokenUse {
  const usableUntilMs = times.expiresAtMs - leadMs(times, SENT_WITHIN_MS);
  if (nowMs >= usableUntilMs) return 'expired';
  const obtainedAtMs = times.obtainedAtMs ?? -Infinity;
  if (refusedAtMs !== undefined && obtainedAtMs <= refusedAtMs && nowMs - obtainedAtMs >= YOUNG_MS) return 'refused';
  return nowMs >= usableUntilMs - leadMs(times, AHEAD_MS) ? 'renew_ahead' : 'use';
}

function leadMs({ expiresAtMs, obtainedAtMs }: TokenTimes, longestMs: number): number {
  const livesMs = obtainedAtMs === undefined ? Infinity : Math.max(0, expiresAtMs - obtainedAtMs);
  return Math.min(longestMs, livesMs / 8);
}
