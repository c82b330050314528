import type { CloudEvent } from '../event/cloud-event.ts';
import { makeEventView, type EventView } from '../filter/event-view.ts';
import type { SubscriptionId, TenantId } from '../ids.ts';
import type { Subscription } from '../registry/subscription.ts';
import { fileEntry, makeRoot, removePlacement, visitPlacements, type Bucket, type Placement } from './bucket.ts';
import { holds, interestOf, type Interest } from './clauses.ts';

/** Which subscriptions want an event. */
export interface MatchIndex {
  /** Adds a subscription, or replaces the one with the same id. */
  put(subscription: Subscription): void;
  /** Forgets a subscription; does nothing when it is not there. */
  remove(id: SubscriptionId): void;
  /** Ids of all subscriptions of the tenant that match, each once, in no promised order. */
  match(tenant: TenantId, event: CloudEvent): SubscriptionId[];
  /** Subscriptions in the index. */
  size(): number;
}

interface Entry {
  readonly id: SubscriptionId;
  readonly tenant: TenantId;
  readonly residue: Interest['residue'];
  placements: Placement<Entry>[];
  /** The last match that came by: an entry with several placements is looked at once. */
  seenBy: number;
}

/**
 * ```
 * tenant ─ root ─┬─ type = "order.created" ─┬─ subject = "a-17" ─ ids
 *                │                          └─ ids
 *                ├─ source starts with "/eu/" ─ ids
 *                └─ ids
 * ```
 *
 * The cost of an event grows with its matches, not with the subscriptions: see {@link Bucket}. Whatever of a subscription
 * no index can look up (`not`, most of `sql`, data) is asked last, and the data of the event is parsed once at most.
 * Why like this, and with what figures: docs/adr/0009.
 */
export function makeMatchIndex(): MatchIndex {
  const roots = new Map<TenantId, Bucket<Entry>>();
  const entries = new Map<SubscriptionId, Entry>();
  let matchCount = 0;

  function remove(id: SubscriptionId): void {
    const entry = entries.get(id);
    if (entry === undefined) return;
    entries.delete(id);
    for (const placement of entry.placements) removePlacement(placement);
    if (roots.get(entry.tenant)?.count === 0) roots.delete(entry.tenant);
  }

  return {
    put({ id, tenant, spec }) {
      remove(id);
      const { clauses, residue } = interestOf(spec);
      const entry: Entry = { id, tenant, residue, placements: [], seenBy: 0 };
      entries.set(id, entry);
      fileEntry(rootOf(roots, tenant), entry, clauses, (placement) => {
        if (entry.placements.length === 0) entry.placements = [placement];
        else entry.placements.push(placement);
      });
    },

    remove,

    match(tenant, event) {
      const root = roots.get(tenant);
      const matches: SubscriptionId[] = [];
      if (root === undefined) return matches;
      const thisMatch = ++matchCount;
      const view = makeEventView(event);
      visitPlacements(root, event.attributes, ({ entry, rest }) => {
        if (entry.seenBy === thisMatch) return;
        entry.seenBy = thisMatch;
        if (isWanted(entry, rest, view)) matches.push(entry.id);
      });
      return matches;
    },

    size: () => entries.size,
  };
}

function rootOf(roots: Map<TenantId, Bucket<Entry>>, tenant: TenantId): Bucket<Entry> {
  const existing = roots.get(tenant);
  if (existing !== undefined) return existing;
  const made = makeRoot<Entry>();
  roots.set(tenant, made);
  return made;
}

function isWanted({ residue }: Entry, rest: Placement<Entry>['rest'], view: EventView): boolean {
  for (const clause of rest) if (!holds(clause, view)) return false;
  return residue === undefined || residue(view);
}
