import type { Bus } from '#bus/connection';
import type { LaneStates } from '#bus/lane-states';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { Wakes } from '#bus/wake';
import type { SubscriptionId } from '#core/ids';
import { roadOf, type Road } from '#core/lane/road';
import { makeMatchIndex } from '#core/match/match-index';
import { asksForOperationalEvents } from '#core/match/operational-event';
import type { TenantBudgets } from '#core/match/tenant-budget';
import type { Subscription } from '#core/registry/subscription';
import { isMatched, matchesUntilMs } from '#core/registry/subscription-state';
import { sha256, shortHash } from '#platform/digest';
import type { Clock } from '#platform/tokens';
import { makeCountMatch } from './count-matches.ts';
import type { MatchLimits, MatchPorts } from './match-events.ts';

export interface MatcherParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly laneStates: Pick<LaneStates, 'of'>;
  readonly wakes: Pick<Wakes, 'wake'>;
  readonly budgets: TenantBudgets;
  readonly clock: Clock;
  readonly countDelivery: (road: 'common' | 'bulk' | 'lane') => void;
}

/** The index over the registry's fold, and where deliveries go. */
export function makeMatchPorts(parts: MatcherParts): MatchPorts {
  const { bus, snapshot, laneStates, wakes, budgets, clock, countDelivery } = parts;
  const { topology, publisher } = bus;
  const index = indexSubscriptions(snapshot);

  /** A subscription that is gone by now: whoever has the delivery in hand ends it. */
  function currentRoadOf(id: SubscriptionId): Road {
    const subscription = snapshot.subscriptionById(id);
    if (subscription === undefined) return { road: 'end', isAsleep: false };
    return roadOf(subscription, laneStates.of(id), clock());
  }

  return {
    catchUp: () => snapshot.catchUp(),
    isKnownTenant: (tenant) => snapshot.tenant(tenant) !== undefined,
    ...index,
    count: makeCountMatch(bus),
    roadOf: currentRoadOf,
    takeFromBudget: (tenant, count) => budgets.take(tenant, count, clock()),
    async publishTask(road, { tenant, subscription, delivery, eventSeq }, payload) {
      const msgId = `${delivery}-${eventSeq}`;
      if (road === 'lane')
        await publisher.publish(topology.laneSubject(subscription), payload, { msgId: `${msgId}:1` });
      else if (road === 'bulk') await publisher.publish(topology.bulkSubject(tenant, subscription), payload, { msgId });
      else await publisher.publish(topology.deliverSubject(subscription), payload, { msgId });
      countDelivery(road);
    },
    wakeLane: (subscription, options) => wakes.wake(subscription, options),
    async publishMatched(fact, part) {
      // Matched again after a crash, a part may hold others than before: only an equal one is a duplicate.
      const content = shortHash(fact.matches.map(({ delivery }) => delivery).join());
      await publisher.publish(topology.journalSubject(fact.tenant, fact.kind), encode(fact), {
        msgId: `m:${fact.eventSeq}:${part}:${content}`,
      });
    },
    async publishRejected(entry) {
      const msgId = `x:${entry.eventSeq}`;
      await publisher.publish(topology.deadSubject(entry.tenant, '_rejected'), encode(entry), { msgId });
    },
    eventSubject: (tenant, type) => topology.eventSubject(tenant, type),
    sha256,
    now: clock,
  };
}

function indexSubscriptions(
  snapshot: RegistrySnapshot,
): Pick<MatchPorts, 'match' | 'limitsOf' | 'asksForOperationalEvents'> {
  const index = makeMatchIndex();
  const limits = new Map<SubscriptionId, MatchLimits>();
  const operational = new Set<SubscriptionId>();

  function follow(id: SubscriptionId, now: Subscription | undefined): void {
    if (now !== undefined && isMatched(now)) index.put(now);
    else index.remove(id);
    const limitsNow = now && limitsOf(now);
    if (limitsNow === undefined) limits.delete(id);
    else limits.set(id, limitsNow);
    if (now !== undefined && asksForOperationalEvents(now.spec)) operational.add(id);
    else operational.delete(id);
  }

  for (const subscription of snapshot.subscriptions()) follow(subscription.id, subscription);
  snapshot.onSubscriptionChange(follow);
  return {
    match: (tenant, event) => index.match(tenant, event),
    limitsOf: (subscription) => limits.get(subscription),
    asksForOperationalEvents: (subscription) => operational.has(subscription),
  };
}

/** Few have any, so the others cost one look into a small map. */
function limitsOf(subscription: Subscription): MatchLimits | undefined {
  const untilMs = matchesUntilMs(subscription);
  const { maxEvents } = subscription.spec.config;
  if (untilMs === Infinity && maxEvents === undefined) return undefined;
  return { untilMs, ...(maxEvents === undefined ? {} : { maxEvents }) };
}

function encode(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
