import type { FailureWindow } from '#core/lane/failure-window';
import type { SubscriptionId } from '#core/ids';
import type { LaneHealthAnswer, LaneHealthQuestion } from '#contracts/bus/lane-health';

export interface DeliveryHealthPorts {
  /** Requests in flight from common roads and from the lane, when it is drained here. */
  inFlight(subscription: SubscriptionId): number;
  findFailures(subscription: SubscriptionId): FailureWindow | undefined;
  now(): number;
}

/** Answers what this process knows of one subscription; the asker adds up the answers of all. */
export function makeAnswerHealth(ports: DeliveryHealthPorts) {
  return ({ subscription }: LaneHealthQuestion): LaneHealthAnswer => ({
    inFlight: ports.inFlight(subscription),
    window: ports.findFailures(subscription)?.counts(ports.now()) ?? { successes: 0, failures: 0 },
  });
}
