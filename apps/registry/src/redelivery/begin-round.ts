import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { carriedEvent } from '#contracts/bus/delivery-task-codec';
import type { DeliveryRedelivered } from '#contracts/bus/facts';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { deadlineOf } from '#core/delivery/retry-schedule';
import { deliveryIdInput, makeDeliveryId, type DeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { Subscription, SubscriptionState } from '#core/registry/subscription';
import type { Caller } from '#platform/authenticate';

/** A delivery that is over. */
export interface EndedDelivery {
  readonly id: DeliveryId;
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly eventSeq: number;
  readonly acceptedAtMs: number;
  /** Number of the last attempt, 0 for none. */
  readonly lastAttempt: number;
}

export interface BeginRoundPorts {
  /** The subscription as it is now. */
  findSubscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
  /** The event in EVENTS; undefined when its retention is over. */
  readEvent(seq: number): Promise<CloudEvent | undefined>;
  sha256(text: string): Uint8Array;
  publishTask(task: DeliveryTask, msgId: string): Promise<void>;
  publishFact(fact: DeliveryRedelivered, msgId: string): Promise<void>;
}

export type RoundBegun =
  | { readonly kind: 'accepted'; readonly attempt: number }
  | { readonly kind: 'subscription_deleted'; readonly subscription: SubscriptionId }
  /** It is disabled, retired, or expired without consent. */
  | { readonly kind: 'subscription_ended'; readonly subscription: SubscriptionId; readonly state: SubscriptionState }
  | { readonly kind: 'event_gone' }
  /** It is what was sent to `config.deadLetterSink` about another delivery. */
  | { readonly kind: 'dead_letter' };

export type BeginRound = (delivery: EndedDelivery, asked: { readonly atMs: number } & Caller) => Promise<RoundBegun>;

/**
 * Starts a new round of attempts for a delivery that is over, with the subscription as it is now: the schedule begins
 * anew, and so does the deadline.
 *
 * Task before fact: a crash between them leaves a delivery that is made but not announced, never the opposite. Both
 * carry an id of the round, so a second click is recognised and harmless.
 */
export function makeBeginRound(ports: BeginRoundPorts): BeginRound {
  return async (
    { id, tenant, subscription: subscriptionId, eventSeq, acceptedAtMs, lastAttempt },
    { atMs, by, from },
  ) => {
    const subscription = await ports.findSubscription(tenant, subscriptionId);
    if (subscription === undefined) return { kind: 'subscription_deleted', subscription: subscriptionId };
    if (deliveryFateOf(subscription) === 'end') {
      return { kind: 'subscription_ended', subscription: subscriptionId, state: subscription.state };
    }
    const event = await ports.readEvent(eventSeq);
    if (event === undefined) return { kind: 'event_gone' };
    if (id !== deliveryIdOf(event, tenant, subscriptionId)) return { kind: 'dead_letter' };

    const attempt = lastAttempt + 1;
    const round = { delivery: id, tenant, subscription: subscriptionId, eventSeq, acceptedAtMs, attempt };
    const task: DeliveryTask = {
      ...round,
      firstAttempt: attempt,
      deadlineAtMs: deadlineOf(subscription.spec.config.retry, atMs),
      event: carriedEvent(event),
    };
    // An event that was published twice has the same delivery ids: a round belongs to one acceptance.
    await ports.publishTask(task, `${id}-${eventSeq}:r${attempt}`);
    await ports.publishFact(
      { ...round, kind: 'redelivered', atMs, by, ...(from === undefined ? {} : { from }) },
      `r:${id}-${eventSeq}:${attempt}`,
    );
    return { kind: 'accepted', attempt };
  };

  /** The id that the delivery of an event to the sink has. A dead letter that is sent has another one. */
  function deliveryIdOf(event: CloudEvent, tenant: TenantId, subscription: SubscriptionId): DeliveryId {
    const name = (attribute: string): string => attributeOf(event, attribute) ?? '';
    return makeDeliveryId(ports.sha256(deliveryIdInput(tenant, name('source'), name('id'), subscription)));
  }
}
