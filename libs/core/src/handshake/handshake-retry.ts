/**
 * When a sink that could not be asked is asked again:
 *
 * | after ask no. | 1   | 2    | 3    | 4    | 5 …  |
 * | ------------- | --- | ---- | ---- | ---- | ---- |
 * | wait          | 2 s | 5 s  | 15 s | 30 s | 60 s |
 * | since the first | 2 s | 7 s | 22 s | 52 s | +60 s |
 *
 * Short at first: somebody has just registered the sink and looks at it. The deadline ends it.
 */
const WAITS_MS: readonly number[] = [2_000, 5_000, 15_000, 30_000, 60_000];
const LAST_WAIT_MS = 60_000;

/** A Retry-After beyond this would be a way to keep a validation alive for ever; the deadline decides anyway. */
const RETRY_AFTER_MAX_MS = 24 * 3_600_000;

/**
 * @param ask number of the ask that got no answer, from 1
 * @param retryAfterMs what the sink asked for, from now
 * @returns the instant of the next ask, or undefined when the deadline comes before it
 */
export function nextAskAtMs(
  ask: number,
  { nowMs, deadlineAtMs, retryAfterMs = 0 }: { nowMs: number; deadlineAtMs: number; retryAfterMs?: number },
): number | undefined {
  const wait = WAITS_MS[ask - 1] ?? LAST_WAIT_MS;
  const atMs = nowMs + Math.max(wait, Math.min(retryAfterMs, RETRY_AFTER_MAX_MS));
  return atMs < deadlineAtMs ? atMs : undefined;
}
