import { isOpen } from '#core/lane/circuit';
import { mayRest } from '#core/lane/road';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';

export interface SweepLanesPorts {
  /** Lanes that are not empty, with the number of their messages. */
  counts(): Promise<ReadonlyMap<SubscriptionId, number>>;
  states(): Iterable<readonly [SubscriptionId, LaneState]>;
  laneState(laneKey: SubscriptionId): LaneState | undefined;
  targetOf(laneKey: SubscriptionId): Subscription | undefined;
  wake(laneKey: SubscriptionId): Promise<void>;
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** So many are woken at once, then some others may be. */
const AT_ONCE = 64;
const PAUSE_MS = 250;
/** Timers of so many sleeping lanes are taken for lost at a time: when all are late, somebody is busy with them. */
const MAX_LATE = 256;

const HOUR_MS = 3_600_000;

/**
 * Wakes every lane that waits for nothing that anybody knows of: somebody crashed between two steps, or a timer was lost. One
 * that is drained already takes no harm. Answers how many were woken.
 *
 * - not empty, and neither its subscription nor its state says that it has to sleep;
 * - empty, with a state that a drained lane does not have, or of a subscription that is gone;
 * - of those whose timer is late some, see {@link MAX_LATE};
 * - each hour every one that is not empty: what sleeps has a timer, unless somebody crashed before it was stored, and nothing may
 *   grow so old in a lane that the stream drops it.
 */
export function makeSweepLanes(ports: SweepLanesPorts) {
  let wokeAllAtMs = ports.now();

  return async function sweepLanes(): Promise<number> {
    const counts = await ports.counts();
    const nowMs = ports.now();
    const woken = new Set<SubscriptionId>();
    const isHourly = nowMs - wokeAllAtMs >= HOUR_MS;
    if (isHourly) wokeAllAtMs = nowMs;
    let late = 0;
    for (const laneKey of counts.keys()) {
      if (!isHourly && mayRestNow(laneKey, nowMs)) continue;
      if (!isHourly && isAsleep(laneKey) && late++ >= MAX_LATE) continue;
      woken.add(laneKey);
    }
    for (const [laneKey, state] of ports.states()) {
      if (!counts.has(laneKey) && isLeftOver(laneKey, state)) woken.add(laneKey);
    }
    await wakeAll([...woken]);
    return woken.size;
  };

  async function wakeAll(laneKeys: readonly SubscriptionId[]): Promise<void> {
    for (let from = 0; from < laneKeys.length; from += AT_ONCE) {
      if (from > 0) await ports.sleep(PAUSE_MS);
      await Promise.all(laneKeys.slice(from, from + AT_ONCE).map((laneKey) => ports.wake(laneKey)));
    }
  }

  function isAsleep(laneKey: SubscriptionId): boolean {
    return ports.targetOf(laneKey) !== undefined && isOpen(ports.laneState(laneKey)?.circuit);
  }

  function mayRestNow(laneKey: SubscriptionId, nowMs: number): boolean {
    return mayRest(ports.targetOf(laneKey), ports.laneState(laneKey), nowMs);
  }

  function isLeftOver(laneKey: SubscriptionId, { circuit }: LaneState): boolean {
    return ports.targetOf(laneKey) === undefined || !isOpen(circuit);
  }
}
