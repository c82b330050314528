import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { deadLetterTarget } from '../dead-letter-event.ts';

const DEAD_LETTERS = '_dead';

/**
 * Which lane, circuit and share a delivery belongs to: its subscription's, or those of the subscription's dead letter
 * sink, so that neither harms the other.
 */
export function laneKeyOf({ subscription, deadLetter }: DeliveryTask): SubscriptionId {
  return deadLetter === undefined ? subscription : deadLetterLaneOf(subscription);
}

/** The lanes of a subscription. */
export function laneKeysOf(subscription: SubscriptionId): readonly SubscriptionId[] {
  return [subscription, deadLetterLaneOf(subscription)];
}

function deadLetterLaneOf(subscription: SubscriptionId): SubscriptionId {
  return `${subscription}${DEAD_LETTERS}` as SubscriptionId;
}

/** The subscription of a lane. */
export function subscriptionOf(laneKey: SubscriptionId): SubscriptionId {
  return isDeadLetterLane(laneKey) ? (laneKey.slice(0, -DEAD_LETTERS.length) as SubscriptionId) : laneKey;
}

/** Nobody asks the registry to disable a subscription because its dead letter sink fails. */
export function isDeadLetterLane(laneKey: SubscriptionId): boolean {
  return laneKey.endsWith(DEAD_LETTERS);
}

/** Where the deliveries of a lane go; undefined when there is no such sink (any more). */
export function targetOf(laneKey: SubscriptionId, subscription: Subscription | undefined): Subscription | undefined {
  if (subscription === undefined || !isDeadLetterLane(laneKey)) return subscription;
  return deadLetterTarget(subscription);
}
