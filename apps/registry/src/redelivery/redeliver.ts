import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { Caller } from '#platform/authenticate';
import type { BeginRound, RoundBegun } from './begin-round.ts';

/** What is known of a delivery; the store's record fits. */
export interface RedeliverableDelivery {
  readonly id: DeliveryId;
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly event: { readonly seq: number };
  readonly acceptedAtMs: number;
  readonly state: 'pending' | 'retrying' | 'delivered' | 'dead';
  readonly attempts: readonly { readonly number: number }[];
}

export interface RedeliverPorts {
  findDelivery(tenant: TenantId, id: DeliveryId): Promise<RedeliverableDelivery | undefined>;
  readonly beginRound: BeginRound;
  now(): number;
}

export type Redelivered =
  | RoundBegun
  | { readonly kind: 'not_found' }
  /** An attempt is due anyway. */
  | { readonly kind: 'in_progress'; readonly state: 'pending' | 'retrying' };

/** Redelivers one delivery, when it is over. */
export function makeRedeliver(ports: RedeliverPorts) {
  return async function redeliver(tenant: TenantId, id: DeliveryId, caller: Caller): Promise<Redelivered> {
    const delivery = await ports.findDelivery(tenant, id);
    if (delivery === undefined) return { kind: 'not_found' };
    const { state, subscription, acceptedAtMs, event, attempts } = delivery;
    if (state === 'pending' || state === 'retrying') return { kind: 'in_progress', state };
    const lastAttempt = attempts.at(-1)?.number ?? 0;
    const ended = { id: delivery.id, tenant, subscription, eventSeq: event.seq, acceptedAtMs, lastAttempt };
    return ports.beginRound(ended, { atMs: ports.now(), ...caller });
  };
}
