import type { StoredSpec, SubscriptionSpec, ValidationPolicy } from './subscription.ts';

export const DEFAULT_VALIDATION: ValidationPolicy = {
  mode: 'optional',
  method: 'webhook',
  deadlineSeconds: 300,
  callback: 'fallback',
};

/** A sink that is not a webhook can not be asked, and neither were those that the first versions stored. */
export const NO_VALIDATION: ValidationPolicy = { ...DEFAULT_VALIDATION, mode: 'none' };

/** Gives a stored specification the members that its version did not know. */
export function currentSpec(stored: StoredSpec): SubscriptionSpec {
  if (isCurrent(stored)) return stored;
  return {
    ...stored,
    protocolsettings: { method: 'POST' },
    config: { ...stored.config, validation: NO_VALIDATION },
  };
}

function isCurrent(stored: StoredSpec): stored is SubscriptionSpec {
  return 'protocolsettings' in stored;
}
