import type { LaneLease } from '#bus/lane-lease';
import { isOpen } from '#core/lane/circuit';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { DrainedLane } from './drain-lane.ts';
import { isDeadLetterLane, laneKeysOf, targetOf } from './lane-key.ts';

export interface KeepLanesPorts {
  drainLane(lease: LaneLease): DrainedLane;
  laneState(laneKey: SubscriptionId): LaneState | undefined;
  wake(laneKey: SubscriptionId): Promise<void>;
  reportTrouble(laneKey: SubscriptionId, error: unknown): void;
}

/** The lanes that this process drains. */
export interface KeptLanes {
  /** Drains until the lease is over. */
  take(lease: LaneLease): Promise<void>;
  find(laneKey: SubscriptionId): DrainedLane | undefined;
  count(): number;
  /** Those of them whose circuit was open when they were taken, and has not been left since: most are given up soon, or hang. */
  probed(): number;
  oldestStoredAtMs(): number | undefined;
  subscriptionChanged(id: SubscriptionId, now: Subscription | undefined): void;
  stateChanged(laneKey: SubscriptionId, now: LaneState | undefined): void;
}

export function makeKeptLanes(ports: KeepLanesPorts): KeptLanes {
  const lanes = new Map<SubscriptionId, DrainedLane>();
  const probed = new Set<DrainedLane>();

  /** Another rate, a resume, a new sink: what a sleeping lane waits for may be over. All workers say so; one wake is stored. */
  function wakeSleeping(laneKey: SubscriptionId): void {
    ports.wake(laneKey).catch((error: unknown) => {
      ports.reportTrouble(laneKey, error);
    });
  }

  return {
    async take(lease) {
      const lane = ports.drainLane(lease);
      lanes.set(lane.laneKey, lane);
      if (isOpen(ports.laneState(lane.laneKey)?.circuit)) probed.add(lane);
      try {
        await lane.done;
      } finally {
        probed.delete(lane);
        if (lanes.get(lane.laneKey) === lane) lanes.delete(lane.laneKey);
      }
    },
    find: (laneKey) => lanes.get(laneKey),
    count: () => lanes.size,
    probed: () => probed.size,
    oldestStoredAtMs() {
      const stored = [...lanes.values()].flatMap((lane) => lane.oldestStoredAtMs() ?? []);
      return stored.length === 0 ? undefined : Math.min(...stored);
    },
    subscriptionChanged(id, now) {
      for (const laneKey of laneKeysOf(id)) {
        lanes.get(laneKey)?.targetChanged(targetOf(laneKey, now));
        // Also one that is drained here: its holder may have looked for the last time. Otherwise the wake is refused.
        if (mayHaveSomething(laneKey, now)) wakeSleeping(laneKey);
      }
    },
    stateChanged(laneKey, now) {
      const lane = lanes.get(laneKey);
      if (lane === undefined) return;
      // Its sink answers: it may be drained for hours, and no timer of others has to wait for that.
      if (!isOpen(now?.circuit)) probed.delete(lane);
      lane.stateChanged(now);
    },
  };
}

/**
 * Whether the timer of a lane that fired at an instant still means something: whoever has probed it since has ended what
 * was over, and set another timer.
 */
export function isStillDue(state: LaneState | undefined, firedAtMs: number, nowMs: number): boolean {
  const circuit = state?.circuit;
  return !isOpen(circuit) || circuit.lastFailureAtMs <= firedAtMs || nowMs >= circuit.nextProbeAtMs;
}

/** Nothing waits for a new subscription, nor for a dead letter sink that is none. */
function mayHaveSomething(laneKey: SubscriptionId, now: Subscription | undefined): boolean {
  if (now === undefined) return true;
  const isNew = now.createdAtMs === now.updatedAtMs;
  return !isNew && (!isDeadLetterLane(laneKey) || now.spec.config.deadLetterSink !== undefined);
}
