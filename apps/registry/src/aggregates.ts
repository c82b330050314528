import type { ApiKeyId, SigningKeyId, SubscriptionId, TenantId } from '#core/ids';
import { apiKeyDecider } from '#core/registry/api-key-decider';
import type { ApiKey, ApiKeyCommand, ApiKeyEvent } from '#core/registry/api-key';
import { signingKeyDecider } from '#core/registry/signing-key-decider';
import type { SigningKey, SigningKeyCommand, SigningKeyEvent } from '#core/registry/signing-key';
import { subscriptionDecider } from '#core/registry/subscription-decider';
import type { Subscription, SubscriptionCommand, SubscriptionEvent } from '#core/registry/subscription';
import { tenantDecider } from '#core/registry/tenant-decider';
import type { Tenant, TenantCommand, TenantEvent } from '#core/registry/tenant';
import type { Aggregate } from './execute-command.ts';

/** The fold of REGISTRY, as far as commands and look-ups by id need it. */
export interface RegistryState {
  tenant(id: TenantId): Tenant | undefined;
  apiKey(tenant: TenantId, id: ApiKeyId): ApiKey | undefined;
  subscription(tenant: TenantId, id: SubscriptionId): Subscription | undefined;
}

/** Its part with the keys that notifications are signed with. */
export interface SigningKeyFold {
  signingKey(tenant: TenantId, id: SigningKeyId): SigningKey | undefined;
}

export function tenantAggregate(state: RegistryState, id: TenantId): Aggregate<Tenant, TenantCommand, TenantEvent> {
  return {
    kind: 'tenant',
    tenant: id,
    id,
    decider: tenantDecider,
    read: () => state.tenant(id),
    toRecord: (event) => ({ aggregate: 'tenant', id, tenant: id, event }),
  };
}

export function apiKeyAggregate(
  state: RegistryState,
  tenant: TenantId,
  id: ApiKeyId,
): Aggregate<ApiKey, ApiKeyCommand, ApiKeyEvent> {
  return {
    kind: 'apikey',
    tenant,
    id,
    decider: apiKeyDecider,
    read: () => state.apiKey(tenant, id),
    toRecord: (event) => ({ aggregate: 'apikey', id, tenant, event }),
  };
}

export function subscriptionAggregate(
  state: RegistryState,
  tenant: TenantId,
  id: SubscriptionId,
): Aggregate<Subscription, SubscriptionCommand, SubscriptionEvent> {
  return {
    kind: 'subscription',
    tenant,
    id,
    decider: subscriptionDecider,
    read: () => state.subscription(tenant, id),
    toRecord: (event) => ({ aggregate: 'subscription', id, tenant, event }),
  };
}

export function signingKeyAggregate(
  state: SigningKeyFold,
  tenant: TenantId,
  id: SigningKeyId,
): Aggregate<SigningKey, SigningKeyCommand, SigningKeyEvent> {
  return {
    kind: 'signingkey',
    tenant,
    id,
    decider: signingKeyDecider,
    read: () => state.signingKey(tenant, id),
    toRecord: (event) => ({ aggregate: 'signingkey', id, tenant, event }),
  };
}
