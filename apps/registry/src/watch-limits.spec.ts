import { describe, expect, test } from '@jest/globals';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeLimitWatch, type WatchLimitsPorts } from './watch-limits.ts';

const START = Date.parse('2026-01-01T00:00:00Z');
const HOUR = 3_600_000;
const id = aSubscription().id;

const until = (expiresAt: string) => aSubscription({ spec: aSpec({ config: { expiresAt } }) });
const upTo = (maxEvents: number) => aSubscription({ spec: aSpec({ config: { maxEvents } }) });
const atHour = (n: number) => new Date(START + n * HOUR).toISOString();

/** A watch over one subscription, with a clock that is set. */
function aWatch(initial: Subscription | undefined, overrides: Partial<WatchLimitsPorts> = {}) {
  const clock = { nowMs: START };
  const timers = new Map<number, { readonly atMs: number; readonly work: () => void }>();
  const expired: string[] = [];
  const forgotten: SubscriptionId[] = [];
  let current = initial;
  let lastTimer = 0;
  const watch = makeLimitWatch({
    subscriptions: () => (current === undefined ? [] : [current]),
    subscriptionById: () => current,
    expire(_target, { reason, maxEvents }) {
      expired.push(maxEvents === undefined ? reason : `${reason} ${maxEvents}`);
      return Promise.resolve({ kind: 'written' });
    },
    forgetCount(one) {
      forgotten.push(one);
      return Promise.resolve();
    },
    onTrouble: () => undefined,
    now: () => clock.nowMs,
    after(ms, work) {
      const timer = ++lastTimer;
      timers.set(timer, { atMs: clock.nowMs + ms, work });
      return () => timers.delete(timer);
    },
    ...overrides,
  });
  function advanceTo(atMs: number): void {
    for (;;) {
      const [next] = [...timers].sort(([, a], [, b]) => a.atMs - b.atMs);
      if (next === undefined || next[1].atMs > atMs) break;
      timers.delete(next[0]);
      clock.nowMs = Math.max(clock.nowMs, next[1].atMs);
      next[1].work();
    }
    clock.nowMs = atMs;
  }
  return {
    watch,
    timers,
    expired,
    forgotten,
    advanceTo,
    change(now: Subscription | undefined) {
      current = now;
      watch.changed(id, now);
    },
  };
}

describe('the watch over limits', () => {
  test('lets a subscription expire at its time, and not before', () => {
    const { expired, advanceTo } = aWatch(until(atHour(2)));
    advanceTo(START + 2 * HOUR - 1);
    expect(expired).toEqual([]);
    advanceTo(START + 2 * HOUR);
    expect(expired).toEqual(['expires_at']);
  });

  test('finds at its start what became due while nothing ran', () => {
    const { expired, advanceTo } = aWatch(until(atHour(-1)));
    advanceTo(START);
    expect(expired).toEqual(['expires_at']);
  });

  test('follows a time that is moved, set or taken away', () => {
    const { expired, advanceTo, change } = aWatch(until(atHour(2)));
    change(until(atHour(4)));
    advanceTo(START + 3 * HOUR);
    expect(expired).toEqual([]);
    change(aSubscription());
    advanceTo(START + 5 * HOUR);
    expect(expired).toEqual([]);
    change(until(atHour(6)));
    advanceTo(START + 6 * HOUR);
    expect(expired).toEqual(['expires_at']);
  });

  test('says it again when it did not come about, and not once it has', () => {
    const { expired, advanceTo, change } = aWatch(until(atHour(1)));
    advanceTo(START + HOUR + 5_000);
    expect(expired).toEqual(['expires_at', 'expires_at']);
    change({ ...until(atHour(1)), state: 'expired' });
    advanceTo(START + 9 * HOUR);
    expect(expired).toHaveLength(2);
  });

  test('lets it expire with its last event, and as well when the limit is lowered to what was counted', () => {
    const { watch, expired, change } = aWatch(upTo(3));
    watch.counted(id, 2);
    expect(expired).toEqual([]);
    watch.counted(id, 3);
    expect(expired).toEqual(['max_events 3']);
    change(upTo(2));
    expect(expired).toEqual(['max_events 3', 'max_events 2']);
  });

  test('forgets the count of a subscription that is deleted', () => {
    const { watch, forgotten, change } = aWatch(upTo(3));
    watch.counted(id, 1);
    change(undefined);
    expect(forgotten).toEqual([id]);
  });

  test('forgets what a matcher counts after that as well, which did not know of it yet', () => {
    const { watch, forgotten, change, advanceTo } = aWatch(upTo(3));
    change(undefined);
    expect(forgotten).toEqual([]);
    advanceTo(START + 30_000);
    watch.counted(id, 1);
    expect(forgotten).toEqual([id]);
  });

  test('keeps the count of a subscription that it has not heard of yet', () => {
    const { watch, forgotten, expired, change } = aWatch(undefined);
    watch.counted(id, 3);
    expect(forgotten).toEqual([]);
    change(upTo(3));
    expect(expired).toEqual(['max_events 3']);
  });

  test('tries again when the bus is away', async () => {
    let tries = 0;
    const expire = () => (++tries === 1 ? Promise.reject(new Error('away')) : Promise.resolve({ kind: 'written' }));
    const { watch, advanceTo } = aWatch(upTo(1), { expire });
    watch.counted(id, 1);
    await Promise.resolve();
    await Promise.resolve();
    advanceTo(START + 5_000);
    expect(tries).toBe(2);
  });

  test('leaves no timer behind when it stops', () => {
    const { watch, timers } = aWatch(until(atHour(1)));
    watch.stop();
    expect(timers.size).toBe(0);
  });
});
