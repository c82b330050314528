import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { SubscriptionId, TenantId } from '#core/ids';
import { asksForOperationalEvents } from '#core/match/operational-event';
import { isMatched } from '#core/registry/subscription-state';
import type { Subscription } from '#core/registry/subscription';

/** Whether anybody of a tenant asks for operational events, as far as the fold has come. Few do, so those are kept. */
export function makeIsWatched(
  snapshot: Pick<RegistrySnapshot, 'subscriptions' | 'onSubscriptionChange'>,
): (tenant: TenantId) => boolean {
  const asking = new Map<SubscriptionId, TenantId>();

  function follow(id: SubscriptionId, now: Subscription | undefined): void {
    if (now !== undefined && isMatched(now) && asksForOperationalEvents(now.spec)) asking.set(id, now.tenant);
    else asking.delete(id);
  }

  for (const subscription of snapshot.subscriptions()) follow(subscription.id, subscription);
  snapshot.onSubscriptionChange(follow);
  return (tenant) => {
    for (const of of asking.values()) if (of === tenant) return true;
    return false;
  };
}
