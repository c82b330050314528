import type { Validation } from '../registry/subscription.ts';

const EARLY_ATTEMPTS = 5;
/** For somebody who mends the sink meanwhile. */
const EARLY_WAIT_MS = 5_000;
/** After that, as Fatture in Cloud has it: a way to knock at somebody else's door must be slow. */
const LATE_WAIT_MS = 600_000;

/** How long a subscriber has to wait before its sink is asked again on its demand; 0: not at all. Milliseconds. */
export function verifyWaitMs(
  { attempts, requestedAtMs = -Infinity }: Pick<Validation, 'attempts' | 'requestedAtMs'>,
  nowMs: number,
): number {
  const waitMs = attempts < EARLY_ATTEMPTS ? EARLY_WAIT_MS : LATE_WAIT_MS;
  return Math.max(0, requestedAtMs + waitMs - nowMs);
}
