import type { Subscription, SubscriptionSpec } from '#core/registry/subscription';

/** How a subscription is shown: as the body that would make it, with every default (SA-11) and without its secret. */
export type SubscriptionResource = Omit<SubscriptionSpec, 'config'> & {
  readonly id: string;
  readonly config: Omit<SubscriptionSpec['config'], 'signature'> & {
    /** `secret` only in the answer to the request that set or generated it. */
    readonly signature: SubscriptionSpec['config']['signature'] & { readonly secret?: string };
  };
  readonly createdAt: string;
  readonly updatedAt: string;
};

/** @param secret `whsec_…`, to be shown this once */
export function subscriptionToResource(
  subscription: Omit<Subscription, 'sealedSecret'>,
  secret?: string,
): SubscriptionResource {
  const { id, spec } = subscription;
  const { sink, protocol, source, types, filters, config } = spec;
  return {
    id,
    sink,
    protocol,
    ...(source === undefined ? {} : { source }),
    ...(types === undefined ? {} : { types }),
    filters,
    config: {
      contentMode: config.contentMode,
      signature: { ...config.signature, ...(secret === undefined ? {} : { secret }) },
      retry: config.retry,
    },
    createdAt: new Date(subscription.createdAtMs).toISOString(),
    updatedAt: new Date(subscription.updatedAtMs).toISOString(),
  };
}
