import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { ApiKeyId, RedeliveryId, SigningKeyId, SubscriptionId, TenantId } from '#core/ids';
import type { ApiKey } from '#core/registry/api-key';
import { apiKeyDecider } from '#core/registry/api-key-decider';
import type { Redelivery } from '#core/registry/redelivery';
import { redeliveryDecider } from '#core/registry/redelivery-decider';
import type { SigningKey } from '#core/registry/signing-key';
import { signingKeyDecider } from '#core/registry/signing-key-decider';
import type { Subscription } from '#core/registry/subscription';
import { subscriptionDecider } from '#core/registry/subscription-decider';
import type { Tenant } from '#core/registry/tenant';
import { tenantDecider } from '#core/registry/tenant-decider';
import type { Bus } from './connection.ts';
import { followStream, reachEnd, type Followed } from './follow.ts';
import { readRecord } from './read-record.ts';

/** The registry as one process sees it: the fold of REGISTRY in memory, a few ms behind, exact after `catchUp`. */
export interface RegistrySnapshot {
  tenant(id: TenantId): Tenant | undefined;
  tenants(): Iterable<Tenant>;
  /** Undefined also when it belongs to another tenant. */
  subscription(tenant: TenantId, id: SubscriptionId): Subscription | undefined;
  subscriptionById(id: SubscriptionId): Subscription | undefined;
  subscriptions(tenant?: TenantId): Iterable<Subscription>;
  apiKey(tenant: TenantId, id: ApiKeyId): ApiKey | undefined;
  apiKeyByHash(hash: string): ApiKey | undefined;
  redelivery(tenant: TenantId, id: RedeliveryId): Redelivery | undefined;
  /** Of one tenant, in the order in which they were requested. */
  redeliveries(tenant: TenantId): readonly Redelivery[];
  signingKey(tenant: TenantId, id: SigningKeyId): SigningKey | undefined;
  signingKeyById(id: SigningKeyId): SigningKey | undefined;
  /** Of one tenant, or of all. */
  signingKeys(tenant?: TenantId): Iterable<SigningKey>;
  /** Last sequence seen on a subject, or on all of a tenant's kind (`registry.<tenant>.<kind>.*`), 0 when none: what an append expects. */
  lastSeqOf(subject: string): number;
  /**
   * Resolves when everything that was in REGISTRY at the call is in here.
   *
   * @throws BusUnavailable
   */
  catchUp(timeoutMs?: number): Promise<void>;
  /** Sequence of the last record folded. */
  position(): number;
  isLive(): boolean;
  /** Called after each change, with the state after it; undefined: deleted. Not called for what was there before. */
  onSubscriptionChange(listener: (id: SubscriptionId, now: Subscription | undefined) => void): void;
  stop(): Promise<void>;
}

export interface RegistrySnapshotOptions {
  /** Called for each record that is left out: it is not of the registry, or can not be read. The log says which. */
  readonly onRefused?: () => void;
}

/** Resolves when the fold has reached the end of the stream as it was at the call. Waits for the broker as long as it takes. */
export async function openRegistrySnapshot(
  bus: Bus,
  { onRefused = () => undefined }: RegistrySnapshotOptions = {},
): Promise<RegistrySnapshot> {
  const fold = makeRegistryFold();
  const following = followStream(bus, { stream: bus.topology.streams.REGISTRY }, (message) => {
    try {
      fold.apply(message, readRecord(bus.topology, message));
    } catch (error) {
      fold.pass(message);
      onRefused();
      throw error; // to be logged there
    }
  });
  await reachEnd(following, bus.logger, 'the registry is not folded yet; still waiting');
  return {
    ...fold.queries,
    catchUp: (timeoutMs) => following.catchUp(timeoutMs),
    position: () => following.position(),
    isLive: () => following.isLive(),
    stop: () => following.stop(),
  };
}

type Queries = Omit<RegistrySnapshot, 'catchUp' | 'position' | 'isLive' | 'stop'>;

type Place = Pick<Followed, 'subject' | 'seq'>;

/** The fold itself, without a broker. */
export function makeRegistryFold(): {
  apply(message: Place, record: RegistryRecord): void;
  /** One that is left out: appends have to expect it all the same. */
  pass(message: Place): void;
  queries: Queries;
} {
  const tenants = new Map<string, Tenant>();
  const subscriptions = new Map<string, Subscription>();
  const keys = new Map<string, ApiKey>();
  const keysByHash = new Map<string, ApiKey>();
  const redeliveries = new Map<string, Redelivery>();
  const signingKeys = new Map<string, SigningKey>();
  const signingKeysByTenant = new Map<string, Map<string, SigningKey>>();
  const lastSeqs = new Map<string, number>();
  const listeners: ((id: SubscriptionId, now: Subscription | undefined) => void)[] = [];

  function pass({ subject, seq }: Place): void {
    lastSeqs.set(subject, seq);
    lastSeqs.set(`${subject.slice(0, subject.lastIndexOf('.'))}.*`, seq);
  }

  function applyRecord(record: RegistryRecord): void {
    switch (record.aggregate) {
      case 'tenant':
        put(tenants, record.id, tenantDecider.evolve(tenants.get(record.id), record.event));
        return;
      case 'subscription': {
        const now = subscriptionDecider.evolve(subscriptions.get(record.id), record.event);
        put(subscriptions, record.id, now);
        for (const listener of listeners) listener(record.id as SubscriptionId, now);
        return;
      }
      case 'apikey': {
        const before = keys.get(record.id);
        const now = apiKeyDecider.evolve(before, record.event);
        put(keys, record.id, now);
        if (before !== undefined) keysByHash.delete(before.hash);
        if (now !== undefined) keysByHash.set(now.hash, now);
        return;
      }
      case 'redelivery':
        put(redeliveries, record.id, redeliveryDecider.evolve(redeliveries.get(record.id), record.event));
        return;
      case 'signingkey': {
        const now = signingKeyDecider.evolve(signingKeys.get(record.id), record.event);
        put(signingKeys, record.id, now);
        const ofItsTenant = signingKeysByTenant.get(record.tenant) ?? new Map<string, SigningKey>();
        signingKeysByTenant.set(record.tenant, ofItsTenant);
        put(ofItsTenant, record.id, now);
        return;
      }
      default:
        throw new TypeError(`unknown aggregate in ${JSON.stringify(record)}`);
    }
  }

  return {
    apply(message, record) {
      pass(message);
      applyRecord(record);
    },
    pass,
    queries: {
      tenant: (id) => tenants.get(id),
      tenants: () => tenants.values(),
      subscription: (tenant, id) => ofTenant(tenant, subscriptions.get(id)),
      subscriptionById: (id) => subscriptions.get(id),
      subscriptions: (tenant) =>
        tenant === undefined ? subscriptions.values() : [...subscriptions.values()].filter((s) => s.tenant === tenant),
      apiKey: (tenant, id) => ofTenant(tenant, keys.get(id)),
      apiKeyByHash: (hash) => keysByHash.get(hash),
      redelivery: (tenant, id) => ofTenant(tenant, redeliveries.get(id)),
      redeliveries: (tenant) => [...redeliveries.values()].filter((each) => each.tenant === tenant),
      signingKey: (tenant, id) => ofTenant(tenant, signingKeys.get(id)),
      signingKeyById: (id) => signingKeys.get(id),
      signingKeys: (tenant) => (tenant === undefined ? signingKeys : signingKeysByTenant.get(tenant))?.values() ?? [],
      lastSeqOf: (subject) => lastSeqs.get(subject) ?? 0,
      onSubscriptionChange: (listener) => void listeners.push(listener),
    },
  };
}

function put<T>(map: Map<string, T>, id: string, now: T | undefined): void {
  if (now === undefined) map.delete(id);
  else map.set(id, now);
}

function ofTenant<T extends { readonly tenant: TenantId }>(tenant: TenantId, found: T | undefined): T | undefined {
  return found?.tenant === tenant ? found : undefined;
}
