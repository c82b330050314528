import { attributeOf, type CloudEvent } from '../event/cloud-event.ts';
import { compileFilters, type EventPredicate } from '../filter/compile-filters.ts';
import type { SubscriptionId, TenantId } from '../ids.ts';
import type { Subscription } from '../registry/subscription.ts';

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

/**
 * ```
 * tenant ─┬─ type "order.created" ─┬─ source "/shop" ─ id → filters
 *         │                        └─ any source     ─ id → filters
 *         └─ any type ─────────────┬─ source …
 *                                  └─ any source
 * ```
 *
 * An event looks into at most four of these buckets, so its cost grows with the subscriptions that want its type and
 * source, not with all of them. A subscription to n types stands in n buckets.
 */
export function makeMatchIndex(): MatchIndex {
  const tenants = new Map<TenantId, TypeBuckets>();
  const indexed = new Map<SubscriptionId, Subscription>();

  function remove(id: SubscriptionId): void {
    const subscription = indexed.get(id);
    if (subscription === undefined) return;
    indexed.delete(id);
    const types = tenants.get(subscription.tenant);
    for (const type of typesOf(subscription)) {
      const sources = types?.get(type);
      sources?.get(subscription.spec.source)?.delete(id);
      pruneEmpty(sources, subscription.spec.source);
      pruneEmpty(types, type);
    }
    pruneEmpty(tenants, subscription.tenant);
  }

  return {
    put(subscription) {
      remove(subscription.id);
      indexed.set(subscription.id, subscription);
      const predicate = compileFilters(subscription.spec.filters);
      const types = getOrMake(tenants, subscription.tenant, makeTypeBuckets);
      for (const type of typesOf(subscription)) {
        const sources = getOrMake(types, type, makeSourceBuckets);
        getOrMake(sources, subscription.spec.source, makeBucket).set(subscription.id, predicate);
      }
    },

    remove,

    match(tenant, event) {
      const types = tenants.get(tenant);
      if (types === undefined) return [];
      const matches: SubscriptionId[] = [];
      const source = attributeOf(event, 'source');
      collect(types.get(attributeOf(event, 'type')), source, event, matches);
      collect(types.get(ANY), source, event, matches);
      return matches;
    },

    size: () => indexed.size,
  };
}

/** Key of the bucket of those who did not name a type or a source. Every event has both (CE-1). */
const ANY = undefined;

type Bucket = Map<SubscriptionId, EventPredicate>;
type SourceBuckets = Map<string | typeof ANY, Bucket>;
type TypeBuckets = Map<string | typeof ANY, SourceBuckets>;

const makeBucket = (): Bucket => new Map();
const makeSourceBuckets = (): SourceBuckets => new Map();
const makeTypeBuckets = (): TypeBuckets => new Map();

function typesOf(subscription: Subscription): Iterable<string | typeof ANY> {
  return subscription.spec.types === undefined ? [ANY] : new Set(subscription.spec.types);
}

function collect(
  sources: SourceBuckets | undefined,
  source: string | undefined,
  event: CloudEvent,
  matches: SubscriptionId[],
): void {
  if (sources === undefined) return;
  collectBucket(sources.get(source), event, matches);
  collectBucket(sources.get(ANY), event, matches);
}

function collectBucket(bucket: Bucket | undefined, event: CloudEvent, matches: SubscriptionId[]): void {
  if (bucket === undefined) return;
  for (const [id, passes] of bucket) if (passes(event)) matches.push(id);
}

function getOrMake<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const made = make();
  map.set(key, made);
  return made;
}

/** Drops the entry once nothing is left in it, so that names of the past do not pile up. */
function pruneEmpty<Key>(map: Map<Key, { readonly size: number }> | undefined, key: Key): void {
  if (map?.get(key)?.size === 0) map.delete(key);
}
