import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { SubscriptionId, TenantId } from '#core/ids';
import { ENGINE_DEFAULTS, NO_VALIDATION } from '#core/registry/current-spec';
import type { Subscription, SubscriptionSpec } from '#core/registry/subscription';

type HttpSpec = Extract<SubscriptionSpec, { protocol: 'HTTP' }>;

/** What a test cares about; `config` member by member. */
export type SpecTraits = Partial<Omit<HttpSpec, 'config'>> & { readonly config?: Partial<HttpSpec['config']> };

/** A valid specification: every event, structured, signed, over HTTP, sink not asked. */
export function aSpec({ config, ...traits }: SpecTraits = {}): HttpSpec {
  return {
    sink: 'https://sink.example/',
    protocol: 'HTTP',
    protocolsettings: { method: 'POST' },
    filters: [],
    ...traits,
    config: {
      contentMode: 'structured',
      signature: { profile: 'standard-webhooks' },
      retry: DEFAULT_RETRY_POLICY,
      validation: NO_VALIDATION,
      ...ENGINE_DEFAULTS,
      ...config,
    },
  };
}

/** An active subscription of the tenant `acme` unless the test says otherwise. */
export function aSubscription(traits: Partial<Subscription> = {}): Subscription {
  return {
    id: 'sub_00000000000000000000000001' as SubscriptionId,
    tenant: 'acme' as TenantId,
    spec: aSpec(),
    state: 'active',
    validation: { status: 'none', attempts: 0 },
    revision: 1,
    createdAtMs: 0,
    updatedAtMs: 0,
    ...traits,
  };
}
