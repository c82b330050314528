import type {
  Subscription,
  SubscriptionSpec,
  SubscriptionState,
  Transmission,
  Validation,
} from '#core/registry/subscription';

/** How a subscription is shown: as the body that would make it, with every default (SA-11) and without its secrets. */
export type SubscriptionResource = Transmission &
  Pick<SubscriptionSpec, 'sink' | 'source' | 'types' | 'filters' | 'sinkcredential'> & {
    readonly id: string;
    readonly config: Omit<SubscriptionSpec['config'], 'signature'> & {
      /** `secret` only in the answer to the request that set or generated it. */
      readonly signature: SubscriptionSpec['config']['signature'] & { readonly secret?: string };
    };
    readonly state: SubscriptionState;
    readonly stateReason?: string;
    readonly validation: ValidationResource;
    readonly createdAt: string;
    readonly updatedAt: string;
  };

/** How far the sink's consent has come. Instants are RFC 3339 in UTC; the callback's code is not told. */
export type ValidationResource = Pick<
  Validation,
  'status' | 'attempts' | 'grantedOrigin' | 'allowedRatePerMinute' | 'via' | 'detail'
> & {
  readonly requestedAt?: string;
  readonly deadlineAt?: string;
  readonly grantedAt?: string;
};

/** @param secret `whsec_…`, to be shown this once */
export function subscriptionToResource(subscription: Subscription, secret?: string): SubscriptionResource {
  const { id, spec, state, stateReason } = subscription;
  const { config } = spec;
  return {
    id,
    sink: spec.sink,
    ...transmissionOf(spec),
    ...(spec.source === undefined ? {} : { source: spec.source }),
    ...(spec.types === undefined ? {} : { types: spec.types }),
    filters: spec.filters,
    ...(spec.sinkcredential === undefined ? {} : { sinkcredential: spec.sinkcredential }),
    config: {
      ...config,
      signature: { ...config.signature, ...(secret === undefined ? {} : { secret }) },
    },
    state,
    ...(stateReason === undefined ? {} : { stateReason }),
    validation: validationToResource(subscription.validation),
    createdAt: isoOf(subscription.createdAtMs),
    updatedAt: isoOf(subscription.updatedAtMs),
  };
}

function transmissionOf(spec: SubscriptionSpec): Transmission {
  return spec.protocol === 'HTTP'
    ? { protocol: spec.protocol, protocolsettings: spec.protocolsettings }
    : { protocol: spec.protocol, protocolsettings: spec.protocolsettings };
}

function validationToResource({
  codeHash: _codeHash,
  requestedAtMs,
  deadlineAtMs,
  grantedAtMs,
  ...told
}: Validation): ValidationResource {
  return {
    ...told,
    ...(requestedAtMs === undefined ? {} : { requestedAt: isoOf(requestedAtMs) }),
    ...(deadlineAtMs === undefined ? {} : { deadlineAt: isoOf(deadlineAtMs) }),
    ...(grantedAtMs === undefined ? {} : { grantedAt: isoOf(grantedAtMs) }),
  };
}

function isoOf(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
