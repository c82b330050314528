import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription, SubscriptionState } from '#core/registry/subscription';

export interface SubscriptionFilter {
  readonly sink?: string | undefined;
  /** Those that name exactly this source. */
  readonly source?: string | undefined;
  /** Those that name this type among theirs. */
  readonly type?: string | undefined;
  readonly state?: SubscriptionState | undefined;
}

export interface DirectoryPage {
  /** Default 50. */
  readonly limit?: number | undefined;
  /** The last one of the page before. */
  readonly after?: string | undefined;
}

/** A tenant's subscriptions in order, and by their sink. */
export interface SubscriptionDirectory {
  /** Newest first. `next` is there exactly when more follow. */
  list(
    tenant: TenantId,
    filter: SubscriptionFilter,
    page: DirectoryPage,
  ): { readonly data: readonly Subscription[]; readonly next?: string };
  /** Those with exactly this sink, oldest first. */
  withSink(tenant: TenantId, sink: string): readonly Subscription[];
}

/** The part of the registry's fold that is needed. */
export interface DirectorySource {
  subscriptions(): Iterable<Subscription>;
  subscription(tenant: TenantId, id: SubscriptionId): Subscription | undefined;
  onSubscriptionChange(listener: (id: SubscriptionId, now: Subscription | undefined) => void): void;
}

const DEFAULT_LIMIT = 50;

interface TenantEntries {
  /** Ascending: ids are made in order of time. */
  readonly ids: SubscriptionId[];
  readonly bySink: Map<string, Set<SubscriptionId>>;
}

/**
 * Lists come from the fold in memory and not from PostgreSQL like the others: the fold is here anyway, so a list is
 * exact at once, knows the state, and a policy about sinks can rely on it.
 */
export function makeSubscriptionDirectory(source: DirectorySource): SubscriptionDirectory {
  const tenants = new Map<TenantId, TenantEntries>();
  const placeOf = new Map<SubscriptionId, { readonly tenant: TenantId; readonly sink: string }>();

  function remove(id: SubscriptionId): void {
    const place = placeOf.get(id);
    const entries = place && tenants.get(place.tenant);
    if (place === undefined || entries === undefined) return;
    placeOf.delete(id);
    entries.ids.splice(indexFrom(entries.ids, id), 1);
    const sharing = entries.bySink.get(place.sink);
    sharing?.delete(id);
    if (sharing?.size === 0) entries.bySink.delete(place.sink);
  }

  function put({ id, tenant, spec: { sink } }: Subscription): void {
    const place = placeOf.get(id);
    if (place?.sink === sink) return;
    remove(id);
    placeOf.set(id, { tenant, sink });
    const entries = tenants.get(tenant) ?? { ids: [], bySink: new Map() };
    tenants.set(tenant, entries);
    entries.ids.splice(indexFrom(entries.ids, id), 0, id);
    const sharing = entries.bySink.get(sink) ?? new Set();
    entries.bySink.set(sink, sharing.add(id));
  }

  for (const subscription of source.subscriptions()) put(subscription);
  source.onSubscriptionChange((id, now) => {
    if (now === undefined) remove(id);
    else put(now);
  });

  function withSink(tenant: TenantId, sink: string): readonly Subscription[] {
    const ids = [...(tenants.get(tenant)?.bySink.get(sink) ?? [])].sort();
    return ids.flatMap((id) => source.subscription(tenant, id) ?? []);
  }

  return {
    withSink,

    list(tenant, filter, { limit = DEFAULT_LIMIT, after }) {
      const ids = filter.sink === undefined ? tenants.get(tenant)?.ids : idsOf(withSink(tenant, filter.sink));
      const data: Subscription[] = [];
      for (let i = indexFrom(ids ?? [], after) - 1; i >= 0; i--) {
        const id = ids?.[i];
        const subscription = id && source.subscription(tenant, id);
        if (!subscription || !passes(subscription, filter)) continue;
        if (data.length === limit) return { data, next: data.at(-1)?.id ?? '' };
        data.push(subscription);
      }
      return { data };
    },
  };
}

/** Place of the first id that is not before this one; the end for none. */
function indexFrom(ids: readonly string[], id: string | undefined): number {
  let [low, high] = [0, ids.length];
  if (id === undefined) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] ?? '') < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

function idsOf(subscriptions: readonly Subscription[]): readonly SubscriptionId[] {
  return subscriptions.map(({ id }) => id);
}

function passes({ spec, state }: Subscription, filter: SubscriptionFilter): boolean {
  return (
    (filter.sink === undefined || spec.sink === filter.sink) &&
    (filter.source === undefined || spec.source === filter.source) &&
    (filter.type === undefined || spec.types?.includes(filter.type) === true) &&
    (filter.state === undefined || state === filter.state)
  );
}
