import { DEFAULT_CIRCUIT_POLICY } from '../lane/circuit-policy.ts';
import { defaultFloorsFor, type RetryPolicy } from '../delivery/retry-policy.ts';
import type { StoredConfig, StoredSpec, SubscriptionSpec, ValidationPolicy } from './subscription.ts';

export const DEFAULT_VALIDATION: ValidationPolicy = {
  mode: 'optional',
  method: 'webhook',
  deadlineSeconds: 300,
  callback: 'fallback',
};

/** A sink that is not a webhook can not be asked, and neither were those that the first versions stored. */
export const NO_VALIDATION: ValidationPolicy = { ...DEFAULT_VALIDATION, mode: 'none' };

export const DEFAULT_MAX_IN_FLIGHT = 32;

/** What a subscription has that says nothing of how it is delivered. */
export const ENGINE_DEFAULTS = {
  maxInFlight: DEFAULT_MAX_IN_FLIGHT,
  ordering: 'none',
  onDeadLetter: 'skip',
  circuit: DEFAULT_CIRCUIT_POLICY,
  authorization: 'none',
} as const;

/**
 * Gives a stored specification the members that its version did not know, behind those that it has: the order is that in
 * which a body of the same meaning is read.
 */
export function currentSpec(stored: StoredSpec): SubscriptionSpec {
  if (isCurrent(stored)) return { ...stored, config: currentConfig(stored.config) };
  return {
    ...stored,
    protocolsettings: { method: 'POST' },
    config: currentConfig({ ...stored.config, validation: NO_VALIDATION }),
  };
}

function currentConfig(stored: StoredConfig): SubscriptionSpec['config'] {
  return { ...stored, ...ENGINE_DEFAULTS, ...stored, retry: currentRetry(stored.retry) };
}

/** Those that had the default schedule have its floors as well. */
function currentRetry(stored: StoredConfig['retry']): RetryPolicy {
  return { ...stored, floorsSeconds: stored.floorsSeconds ?? defaultFloorsFor(stored.delaysSeconds) };
}

function isCurrent(stored: StoredSpec): stored is Extract<StoredSpec, { readonly protocolsettings: unknown }> {
  return 'protocolsettings' in stored;
}
