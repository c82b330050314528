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
}

const HOUR_MS = 3_600_000;

/**
 * Wakes every lane that waits for nothing that anybody knows of: somebody crashed between two steps, or a timer was lost. One
 * that is drained already takes no harm. Answers how many were woken.
 *
 * - not empty, and neither its subscription nor its state says that it has to sleep;
 * - empty, with a state that a drained lane does not have, or of a subscription that is gone;
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
    for (const laneKey of counts.keys()) if (isHourly || !mayRestNow(laneKey, nowMs)) woken.add(laneKey);
    for (const [laneKey, state] of ports.states()) {
      if (!counts.has(laneKey) && isLeftOver(laneKey, state)) woken.add(laneKey);
    }
    await Promise.all([...woken].map((laneKey) => ports.wake(laneKey)));
    return woken.size;
  };

  function mayRestNow(laneKey: SubscriptionId, nowMs: number): boolean {
    return mayRest(ports.targetOf(laneKey), ports.laneState(laneKey), nowMs);
  }

  function isLeftOver(laneKey: SubscriptionId, { circuit }: LaneState): boolean {
    return ports.targetOf(laneKey) === undefined || !isOpen(circuit);
  }
}
