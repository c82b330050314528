import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { travelsInline } from '#contracts/bus/delivery-task-codec';
import type { DeliveryRedelivered } from '#contracts/bus/facts';
import type { CloudEvent } from '#core/event/cloud-event';
import { deadlineOf } from '#core/delivery/retry-schedule';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { Subscription, SubscriptionState } from '#core/registry/subscription';

/** What is known of a delivery; the store's record fits. */
export interface RedeliverableDelivery {
  readonly id: DeliveryId;
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly event: { readonly seq: number };
  readonly acceptedAtMs: number;
  readonly state: 'pending' | 'retrying' | 'delivered' | 'dead';
  readonly attempts: readonly { readonly number: number }[];
}

export interface RedeliverPorts {
  findDelivery(tenant: TenantId, id: DeliveryId): Promise<RedeliverableDelivery | undefined>;
  /** The subscription as it is now. */
  findSubscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
  /** The event in EVENTS; undefined when its retention is over. */
  readEvent(seq: number): Promise<CloudEvent | undefined>;
  publishTask(task: DeliveryTask, msgId: string): Promise<void>;
  publishFact(fact: DeliveryRedelivered, msgId: string): Promise<void>;
  now(): number;
}

export type Redelivered =
  | { readonly kind: 'accepted'; readonly attempt: number }
  | { readonly kind: 'not_found' }
  /** An attempt is due anyway. */
  | { readonly kind: 'in_progress'; readonly state: 'pending' | 'retrying' }
  | { readonly kind: 'subscription_deleted'; readonly subscription: SubscriptionId }
  /** It is disabled, retired, or expired without consent. */
  | { readonly kind: 'subscription_ended'; readonly subscription: SubscriptionId; readonly state: SubscriptionState }
  | { readonly kind: 'event_gone' };

/**
 * Starts a new round of attempts for a delivery that is over, with the subscription as it is now: the schedule begins
 * anew, and so does the deadline.
 *
 * Task before fact: a crash between them leaves a delivery that is made but not announced, never the opposite. Both
 * carry an id of the round, so a second click is recognised and harmless.
 */
export function makeRedeliver(ports: RedeliverPorts) {
  return async function redeliver(tenant: TenantId, id: DeliveryId, by: string): Promise<Redelivered> {
    const delivery = await ports.findDelivery(tenant, id);
    if (delivery === undefined) return { kind: 'not_found' };
    const { state, subscription: subscriptionId, acceptedAtMs } = delivery;
    if (state === 'pending' || state === 'retrying') return { kind: 'in_progress', state };
    const subscription = await ports.findSubscription(tenant, subscriptionId);
    if (subscription === undefined) return { kind: 'subscription_deleted', subscription: subscriptionId };
    if (deliveryFateOf(subscription) === 'end') {
      return { kind: 'subscription_ended', subscription: subscriptionId, state: subscription.state };
    }
    const eventSeq = delivery.event.seq;
    const event = await ports.readEvent(eventSeq);
    if (event === undefined) return { kind: 'event_gone' };

    const atMs = ports.now();
    const attempt = (delivery.attempts.at(-1)?.number ?? 0) + 1;
    const round = { delivery: id, tenant, subscription: subscriptionId, eventSeq, acceptedAtMs, attempt };
    const task: DeliveryTask = {
      ...round,
      firstAttempt: attempt,
      deadlineAtMs: deadlineOf(subscription.spec.config.retry, atMs),
      event: travelsInline(event) ? { kind: 'inline', value: event } : { kind: 'reference' },
    };
    await ports.publishTask(task, `${id}:r${attempt}`);
    await ports.publishFact({ ...round, kind: 'redelivered', atMs, by }, `r:${id}:${attempt}`);
    return { kind: 'accepted', attempt };
  };
}
