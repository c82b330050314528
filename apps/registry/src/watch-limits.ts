import type { SubscriptionId, TenantId } from '#core/ids';
import { expiresAtMs, isTerminal } from '#core/registry/subscription-state';
import type { ExpiryReason, Subscription } from '#core/registry/subscription';

/** By whom the registry's events say that a subscription expired. */
export const LIMITS_ACTOR = 'limits';

export interface WatchLimitsPorts {
  /** The subscriptions as they are; every later change comes by {@link LimitWatch.changed}. */
  subscriptions(): Iterable<Subscription>;
  subscriptionById(id: SubscriptionId): Subscription | undefined;
  expire(
    target: { readonly tenant: TenantId; readonly id: SubscriptionId; readonly by: string },
    command: { readonly kind: 'ExpireSubscription'; readonly reason: ExpiryReason; readonly maxEvents?: number },
  ): Promise<{ readonly kind: string }>;
  /** Forgets the counter of a subscription that is deleted. */
  forgetCount(id: SubscriptionId): Promise<void>;
  onTrouble(error: unknown, id: SubscriptionId): void;
  now(): number;
  /** Calls `work` once after so many milliseconds; answers how to call that off. */
  after(ms: number, work: () => void): () => void;
}

export interface LimitWatch {
  changed(id: SubscriptionId, now: Subscription | undefined): void;
  /** So many events were matched by a subscription in all. */
  counted(id: SubscriptionId, total: number): void;
  stop(): void;
}

/** A timer takes no more than 2³¹ ms; and a clock that jumps is noticed after so long. */
const LONGEST_WAIT_MS = 60_000;
const RETRY_MS = 5_000;
/** For so long a matcher may go on counting for a subscription that is deleted: it hears of that on its own. */
const LATE_COUNT_MS = 10 * 60_000;

/**
 * Makes subscriptions expire at `config.expiresAt` and with `config.maxEvents`.
 *
 * It lives in the registry, not in the janitor: the registry has the fold that says what is due and is the one that
 * writes. There is nothing to lose: what is due is read off the fold again at every start, and the totals stand in
 * COUNTERS. Several processes watch the same limits; the second one to say so causes nothing. The limits hold without this
 * as well, since matchers look at both themselves; this only makes the state say so.
 */
export function makeLimitWatch(ports: WatchLimitsPorts): LimitWatch {
  const due = new Map<SubscriptionId, number>();
  const totals = new Map<SubscriptionId, number>();
  /** Deleted since when, the oldest first. */
  const deleted = new Map<SubscriptionId, number>();
  let cancel = (): void => undefined;
  let wakeAtMs = Infinity;
  let isStopped = false;

  /** One timer, for the next of them: a limit in time is rare, and looking through those few is cheap. */
  function wakeBy(atMs: number): void {
    if (isStopped || atMs >= wakeAtMs) return;
    cancel();
    wakeAtMs = atMs;
    cancel = ports.after(Math.min(Math.max(0, atMs - ports.now()), LONGEST_WAIT_MS), wake);
  }

  function wake(): void {
    wakeAtMs = Infinity;
    const nowMs = ports.now();
    for (const [id, atMs] of due) {
      if (atMs > nowMs) continue;
      due.set(id, nowMs + RETRY_MS); // until the fold has it, or if it did not work
      void expire(id, 'expires_at');
    }
    wakeBy(Math.min(...due.values()));
  }

  function checkTotal(id: SubscriptionId): void {
    const maxEvents = ports.subscriptionById(id)?.spec.config.maxEvents;
    if (maxEvents !== undefined && (totals.get(id) ?? 0) >= maxEvents) void expire(id, 'max_events', maxEvents);
  }

  async function expire(id: SubscriptionId, reason: ExpiryReason, maxEvents?: number): Promise<void> {
    const subscription = ports.subscriptionById(id);
    if (isStopped || subscription === undefined || isTerminal(subscription)) return;
    const limit = maxEvents === undefined ? {} : { maxEvents };
    const target = { tenant: subscription.tenant, id, by: LIMITS_ACTOR };
    try {
      const { kind } = await ports.expire(target, { kind: 'ExpireSubscription', reason, ...limit });
      if (kind === 'conflict') throw new Error(`others went on changing ${id}`);
    } catch (error) {
      ports.onTrouble(error, id);
      if (reason === 'max_events') ports.after(RETRY_MS, () => checkTotal(id));
    }
  }

  function watch(subscription: Subscription): void {
    const { id, spec } = subscription;
    const atMs = isTerminal(subscription) ? Infinity : expiresAtMs(spec);
    if (atMs === Infinity) due.delete(id);
    else due.set(id, atMs);
    wakeBy(atMs);
  }

  function forget(id: SubscriptionId): void {
    due.delete(id);
    rememberDeleted(id);
    if (totals.delete(id)) forgetCount(id);
  }

  function rememberDeleted(id: SubscriptionId): void {
    const nowMs = ports.now();
    for (const [one, atMs] of deleted) {
      if (atMs > nowMs - LATE_COUNT_MS) break;
      deleted.delete(one);
    }
    deleted.set(id, nowMs);
  }

  function forgetCount(id: SubscriptionId): void {
    ports.forgetCount(id).catch((error: unknown) => {
      ports.onTrouble(error, id);
    });
  }

  for (const subscription of ports.subscriptions()) watch(subscription);

  return {
    changed(id, now) {
      if (now === undefined) return forget(id);
      watch(now);
      checkTotal(id);
    },
    counted(id, total) {
      if (deleted.has(id)) return forgetCount(id);
      totals.set(id, total);
      checkTotal(id);
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
