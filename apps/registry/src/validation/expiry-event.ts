import type { CloudEvent } from '#core/event/cloud-event';
import type { ExpiryReason, Subscription } from '#core/registry/subscription';

export const EXPIRED_TYPE = 'io.posthaste.subscription.expired';

/**
 * The event that tells a tenant of an expired subscription, among its own events: whoever subscribes to the type, or to
 * everything, gets it. An expiry causes one event, and an event causes no expiry but of `maxEvents`, so this ends.
 *
 * @param recordSeq sequence of the expiry in REGISTRY: the same expiry always gives the same id
 */
export function expiryEvent(
  { id, spec, validation }: Subscription,
  { reason, atMs }: { reason: ExpiryReason; atMs: number },
  recordSeq: number,
): CloudEvent {
  const data = {
    subscription: id,
    sink: spec.sink,
    reason,
    ...(reason === 'validation_deadline' && validation.detail !== undefined ? { detail: validation.detail } : {}),
  };
  return {
    attributes: new Map([
      ['specversion', '1.0'],
      ['id', `${id}.expired.${recordSeq}`],
      ['source', `/v1/subscriptions/${id}`],
      ['type', EXPIRED_TYPE],
      ['subject', id],
      ['time', new Date(atMs).toISOString()],
      ['datacontenttype', 'application/json'],
    ]),
    data: { bytes: new TextEncoder().encode(JSON.stringify(data)), form: 'json' },
  };
}
