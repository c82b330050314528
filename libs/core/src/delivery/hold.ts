const FIRST_HOLD_MS = 5_000;
const LONGEST_HOLD_MS = 60_000;

/**
 * When a delivery that has to wait, because the signer refuses its signature for now, is tried again: after 5 s, then
 * after twice as long each time, up to a minute. Never long after the deadline, so that its end is told in time.
 *
 * @param holds how often it was put off before
 */
export function holdUntilMs(holds: number, nowMs: number, deadlineAtMs: number): number {
  const delayMs = Math.min(FIRST_HOLD_MS * 2 ** Math.min(holds, 10), LONGEST_HOLD_MS);
  return Math.min(nowMs + delayMs, Math.max(nowMs, deadlineAtMs + 1));
}
