/** A late start is made up for to this extent, so that timers of whole milliseconds do not slow down a fast pace. */
export const CATCH_UP_MS = 20;

/**
 * Even distances instead of bursts: starts are 60 s / `perMinute` apart. In any window of w ms there are at most
 * 1 + (w + {@link CATCH_UP_MS}) / distance of them.
 */
export interface Pace {
  /** When the next start may be, Unix ms; the past means now. At most a distance from now, also when the clock was set back. */
  nextAtMs(nowMs: number): number;
  /** There was one. */
  started(nowMs: number): void;
}

export function makePace(perMinute: number): Pace {
  const distanceMs = 60_000 / perMinute;
  let nextAtMs: number | undefined;
  return {
    nextAtMs(nowMs) {
      if (nextAtMs !== undefined) nextAtMs = Math.min(nextAtMs, nowMs + distanceMs);
      return nextAtMs ?? -Infinity;
    },
    started(nowMs) {
      nextAtMs = Math.max(nextAtMs ?? nowMs, nowMs - CATCH_UP_MS) + distanceMs;
    },
  };
}
