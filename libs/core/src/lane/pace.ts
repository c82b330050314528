/** What the network does to distances between two requests, as a share of them. */
const MARGIN = 1.01;

/** Least distance between two starts, so that no 60 s hold more than the rate, wherever they begin (WH-11, WH-17). */
export function startDistanceMs(requestsPerMinute: number): number {
  return Math.ceil((60_000 / requestsPerMinute) * MARGIN);
}

/** When the holder of a lane may start its next request. */
export interface Pace {
  /** `-Infinity` without a rate, and when nothing was started yet. At most a distance from now, also when the clock was set back. */
  nextStartAtMs(requestsPerMinute: number | undefined, nowMs: number): number;
  started(nowMs: number): void;
}

/**
 * @param presumedStartAtMs with a lease that was taken over from a crash: when it was. The one before may have started a
 *   request up to that instant.
 */
export function makePace(presumedStartAtMs?: number): Pace {
  let lastStartAtMs = presumedStartAtMs ?? -Infinity;
  return {
    nextStartAtMs(rate, nowMs) {
      lastStartAtMs = Math.min(lastStartAtMs, nowMs);
      return rate === undefined ? -Infinity : lastStartAtMs + startDistanceMs(rate);
    },
    started(nowMs) {
      lastStartAtMs = Math.max(lastStartAtMs, nowMs);
    },
  };
}
