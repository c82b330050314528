import { timestampToUnixMs } from '../event/timestamp.ts';
import type { Subscription, SubscriptionSpec } from './subscription.ts';

/** Whether any event can still match; of which instant, says {@link matchesUntilMs}. */
export function isMatched({ state, stateReason }: Pick<Subscription, 'state' | 'stateReason'>): boolean {
  if (state === 'expired') return stateReason !== 'validation_deadline';
  return state === 'active' || state === 'pending' || state === 'paused';
}

/** Longer than a matcher needs to come back after a crash, whatever the clocks say. */
const LATE_MATCHER_MS = 60_000;

/**
 * Instant after which accepted events do not match any more; `Infinity` for none. A matcher may be behind: what was
 * accepted before the end is matched though the end has come. With `maxEvents` it is the count that decides, so that
 * the last event is not lost with the matcher that counted it.
 */
export function matchesUntilMs({ state, stateReason, spec, updatedAtMs }: Subscription): number {
  const hadLastEvent = state === 'expired' && stateReason === 'max_events';
  return Math.min(expiresAtMs(spec), hadLastEvent ? updatedAtMs + LATE_MATCHER_MS : Infinity);
}

/** Nothing but a deletion follows. */
export function isTerminal({ state }: Pick<Subscription, 'state'>): boolean {
  return state === 'retired' || state === 'expired';
}

/**
 * What becomes of a delivery of this subscription now: it is attempted, it waits, or it ends.
 *
 * A subscription that expired by its own limits has got its last event, which is owed to it: those deliveries go on. One
 * that expired without consent never gets anything (WH-16).
 */
export function deliveryFateOf({
  state,
  stateReason,
}: Pick<Subscription, 'state' | 'stateReason'>): 'attempt' | 'hold' | 'end' {
  switch (state) {
    case 'active':
      return 'attempt';
    case 'pending':
    case 'paused':
      return 'hold';
    case 'disabled':
    case 'retired':
      return 'end';
    case 'expired':
      return stateReason === 'validation_deadline' ? 'end' : 'attempt';
  }
}

/** `config.expiresAt` as Unix ms; `Infinity` without one. */
export function expiresAtMs({ config: { expiresAt } }: Pick<SubscriptionSpec, 'config'>): number {
  return (expiresAt === undefined ? undefined : timestampToUnixMs(expiresAt)) ?? Infinity;
}

/** True when the subscription waits for a consent that it can not go without. */
export function lacksConsent({ spec, validation }: Pick<Subscription, 'spec' | 'validation'>): boolean {
  return spec.config.validation.mode === 'required' && validation.status !== 'granted';
}
