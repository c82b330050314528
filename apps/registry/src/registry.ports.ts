import type { KeyUse } from '#bus/key-uses';
import type { ApiKeyId, DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { CloudEvent } from '#core/event/cloud-event';
import type { ApiKey } from '#core/registry/api-key';
import type { Subscription } from '#core/registry/subscription';
import type { Tenant } from '#core/registry/tenant';
import type { Authenticate, Caller } from '#platform/authenticate';
import type { DeliveryRecord, DeliveryWithAttempts } from '#store/delivery-record';
import type { EventRecord } from '#store/find-event';
import type { DeadLetterFilter, DeadLetterRecord } from '#store/list-dead-letters';
import type { DeliveryFilter } from '#store/list-deliveries';
import type { ApiKeyRecord } from '#store/list-registry';
import type { Page, PageRequest } from '#store/page';
import type { ReadAudit } from './audit/read-audit.ts';
import type { HistoryEntry } from './subscription-history.ts';
import type { DirectoryPage, SubscriptionDirectory, SubscriptionFilter } from './subscription-directory.ts';
import type { Redelivered } from './redelivery/redeliver.ts';
import type { makeRedeliveries } from './redelivery/request-redelivery.ts';
import type { Resealing } from './reseal-secrets.ts';
import type { makeSigningKeys } from './signing-keys.ts';
import type { makeVerifySubscription } from './validation/verify-subscription.ts';
import type { makeWriteSubscriptions } from './write-subscriptions.ts';
import type { makeWriteTenants } from './write-tenants.ts';

export const REGISTRY_PORTS = Symbol('REGISTRY_PORTS');

/**
 * What the controllers ask of the process that they run in. Each throws a problem 503 when the part of the system that
 * it needs is away.
 */
export interface RegistryPorts {
  readonly authenticate: Authenticate;
  /** Undefined: not in the last year, as far as anybody told. Up to a minute behind. */
  lastKeyUse(tenant: TenantId, key: ApiKeyId): Promise<KeyUse | undefined>;
  readonly state: CurrentState;
  readonly tenants: ReturnType<typeof makeWriteTenants>;
  readonly subscriptions: ReturnType<typeof makeWriteSubscriptions>;
  /** Of the fold as it is at the moment of the call. */
  listSubscriptions(
    tenant: TenantId,
    query: SubscriptionFilter & DirectoryPage,
  ): Promise<ReturnType<SubscriptionDirectory['list']>>;
  /** Of a subscription that is deleted as well; empty when there never was one. Oldest first. */
  readHistory(tenant: TenantId, id: SubscriptionId): Promise<readonly HistoryEntry[]>;
  readonly signingKeys: ReturnType<typeof makeSigningKeys>;
  /** Seals everything with the master key of now. */
  resealSecrets(caller: Caller): Promise<Resealing>;
  readonly readSide: ReadSide;
  readonly readAudit: ReadAudit;
  readonly verifySubscription: ReturnType<typeof makeVerifySubscription>;
  redeliver(tenant: TenantId, id: DeliveryId, caller: Caller): Promise<Redelivered>;
  readonly redeliveries: ReturnType<typeof makeRedeliveries>;
  /** An event in EVENTS; undefined when its retention is over. */
  readEvent(seq: number): Promise<CloudEvent | undefined>;
}

/** One aggregate as its stream has it at the moment of the call: what was answered before is in it. */
export interface CurrentState {
  tenant(id: TenantId): Promise<Tenant | undefined>;
  apiKey(tenant: TenantId, id: ApiKeyId): Promise<ApiKey | undefined>;
  subscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
}

/** Lists and look-ups from Postgres: a moment behind. */
export interface ReadSide {
  listTenants(page: PageRequest): Promise<Page<Tenant>>;
  listApiKeys(tenant: TenantId, page: PageRequest): Promise<Page<ApiKeyRecord>>;
  /** The newest event of each source with this id. */
  findEvent(tenant: TenantId, id: string, source?: string): Promise<readonly EventRecord[]>;
  listDeliveries(tenant: TenantId, filter: DeliveryFilter & PageRequest): Promise<Page<DeliveryRecord>>;
  findDelivery(tenant: TenantId, id: DeliveryId): Promise<DeliveryWithAttempts | undefined>;
  listDeadLetters(tenant: TenantId, filter: DeadLetterFilter & PageRequest): Promise<Page<DeadLetterRecord>>;
}
