import { deliveryFateOf } from '../registry/subscription-state.ts';
import type { Subscription } from '../registry/subscription.ts';
import { isBlocked, isOpen, probeDueAtMs } from './circuit.ts';
import type { LaneState } from './lane-state.ts';

export interface Road {
  /** `end`: the subscription takes nothing any more, the delivery becomes a dead letter. */
  readonly road: 'common' | 'lane' | 'end';
  /** Nothing of the lane may start now: whoever appends to it need not hurry with the wake. */
  readonly isAsleep: boolean;
}

const COMMON: Road = { road: 'common', isAsleep: false };
const AWAKE: Road = { road: 'lane', isAsleep: false };
const ASLEEP: Road = { road: 'lane', isAsleep: true };
const END: Road = { road: 'end', isAsleep: false };

/**
 * Which way a delivery of this subscription takes now. Asked for every delivery by matchers and workers, so it makes
 * nothing.
 */
export function roadOf(subscription: Subscription, state: LaneState | undefined, nowMs: number): Road {
  switch (deliveryFateOf(subscription)) {
    case 'end':
      return END;
    case 'hold':
      return ASLEEP;
    case 'attempt':
      if (state !== undefined) return isAsleep(subscription, state, nowMs) ? ASLEEP : AWAKE;
      return isLaneBound(subscription) ? AWAKE : COMMON;
  }
}

function isAsleep(subscription: Subscription, state: LaneState, nowMs: number): boolean {
  const { circuit } = state;
  if (circuit.kind === 'open') return nowMs < probeDueAtMs(circuit, subscription.revision);
  return isBlocked(state, subscription);
}

/** True when its own specification, or what its sink granted, keeps it off the common road. */
export function isLaneBound(subscription: Pick<Subscription, 'spec' | 'validation'>): boolean {
  const { ordering, batch } = subscription.spec.config;
  return ordering !== 'none' || batch !== undefined || requestsPerMinuteOf(subscription) !== undefined;
}

/** Requests per minute that both the subscriber and the sink allow; `undefined` for no limit (WH-11, WH-17). */
export function requestsPerMinuteOf({
  spec,
  validation: { allowedRatePerMinute: granted },
}: Pick<Subscription, 'spec' | 'validation'>): number | undefined {
  const wanted = spec.config.rate?.requestsPerMinute;
  if (typeof granted !== 'number') return wanted;
  return wanted === undefined ? granted : Math.min(wanted, granted);
}

/** How late a timer may be before the sweep takes it for lost. */
const LATE_TIMER_MS = 30_000;

/**
 * For the sweep: true when it is as it should be that a lane has messages and nobody holds it: it is paused, or sleeps
 * until a timer. Everything else needs a wake.
 */
export function mayRest(subscription: Subscription | undefined, state: LaneState | undefined, nowMs: number): boolean {
  if (subscription === undefined) return false;
  const fate = deliveryFateOf(subscription);
  if (fate !== 'attempt') return fate === 'hold';
  if (state === undefined) return false;
  const headDueAtMs = firstHeadDueAtMs(subscription, state);
  if (!isOpen(state.circuit)) return nowMs < headDueAtMs + LATE_TIMER_MS;
  return nowMs < Math.max(probeDueAtMs(state.circuit, subscription.revision), headDueAtMs) + LATE_TIMER_MS;
}

/** With an order by key, other keys need not wait for a head; `-Infinity`: nothing waits for one. */
function firstHeadDueAtMs({ spec }: Subscription, { heads = [] }: LaneState): number {
  if (spec.config.ordering !== 'subscription' || heads.length === 0) return -Infinity;
  return Math.min(...heads.map((head) => head.dueAtMs));
}
