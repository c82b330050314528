import { verifyWaitMs } from '#core/handshake/verify-limit';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Caller } from '#platform/authenticate';
import type { RequestValidation, ValidationRequest } from './request-validation.ts';

export type Verified =
  Exclude<ValidationRequest, { kind: 'not_due' }> | { readonly kind: 'too_soon'; readonly waitMs: number };

/** Has a sink asked again on its subscriber's demand, at most as often as {@link verifyWaitMs} lets it. */
export function makeVerifySubscription(ports: { requestValidation: RequestValidation; now(): number }) {
  return async function verifySubscription(tenant: TenantId, id: SubscriptionId, caller: Caller): Promise<Verified> {
    let waitMs = 0;
    const requested = await ports.requestValidation(tenant, id, caller, ({ spec, state, validation }) => {
      const isAskable = spec.config.validation.mode !== 'none' && state !== 'retired' && state !== 'expired';
      waitMs = isAskable ? verifyWaitMs(validation, ports.now()) : 0; // what cannot be asked is refused as such
      return waitMs === 0;
    });
    return requested.kind === 'not_due' ? { kind: 'too_soon', waitMs } : requested;
  };
}
