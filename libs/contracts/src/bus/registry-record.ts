import type { ApiKeyEvent } from '#core/registry/api-key';
import type { RedeliveryEvent } from '#core/registry/redelivery';
import type { SigningKeyEvent } from '#core/registry/signing-key';
import type { SubscriptionEvent } from '#core/registry/subscription';
import type { TenantEvent } from '#core/registry/tenant';

/** One message on REGISTRY (`registry.<tenant>.<aggregate>.<id>`): exactly one domain event, JSON. */
export type RegistryRecord = RecordOfAggregate & {
  /** Address of the client that commanded it. Absent: no client did, or it is from before this was kept. */
  readonly from?: string;
};

type RecordOfAggregate =
  | { readonly aggregate: 'tenant'; readonly id: string; readonly tenant: string; readonly event: TenantEvent }
  | { readonly aggregate: 'apikey'; readonly id: string; readonly tenant: string; readonly event: ApiKeyEvent }
  | { readonly aggregate: 'redelivery'; readonly id: string; readonly tenant: string; readonly event: RedeliveryEvent }
  | { readonly aggregate: 'signingkey'; readonly id: string; readonly tenant: string; readonly event: SigningKeyEvent }
  | {
      readonly aggregate: 'subscription';
      readonly id: string;
      readonly tenant: string;
      readonly event: SubscriptionEvent;
    };

export type AggregateKind = RegistryRecord['aggregate'];
