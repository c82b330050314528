import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription, SubscriptionEvent } from '#core/registry/subscription';
import type { RequestValidation } from './request-validation.ts';

/** By whom the registry's events say that they were caused, when nobody asked for it. */
export const VALIDATION_ACTOR = 'validation';

export interface ReactPorts {
  requestValidation: RequestValidation;
  /** The state that holds the record at least. */
  findSubscription(tenant: TenantId, id: SubscriptionId, recordSeq: number): Promise<Subscription | undefined>;
}

export interface ChangeRecord {
  readonly record: RegistryRecord;
  readonly seq: number;
  /** True when an earlier try may have been cut short anywhere. */
  readonly isRepeated: boolean;
}

/**
 * What follows from a change of a subscription: its sink is asked for consent.
 * At least once for every record, whatever process dies.
 */
export function makeReactToChange(ports: ReactPorts) {
  return async function reactToChange({ record, seq, isRepeated }: ChangeRecord): Promise<void> {
    if (record.aggregate !== 'subscription') return;
    const tenant = record.tenant as TenantId;
    const id = record.id as SubscriptionId;
    if (!MAY_NEED_ASKING.has(record.event.kind)) return;
    const subscription = await ports.findSubscription(tenant, id, seq);
    if (subscription === undefined || !needsAsking(subscription, isRepeated)) return;
    const requested = await ports.requestValidation(tenant, id, { by: VALIDATION_ACTOR }, (now) =>
      needsAsking(now, isRepeated),
    );
    if (requested.kind === 'conflict') throw new Error(`others went on changing ${id}`);
  };
}

const MAY_NEED_ASKING: ReadonlySet<SubscriptionEvent['kind']> = new Set([
  'SubscriptionCreated',
  'SubscriptionReplaced',
  'SubscriptionResumed',
]);

/** To be asked, and nobody has; or somebody has recorded it and may have died before sending the message. */
function needsAsking({ validation }: Subscription, isRepeated: boolean): boolean {
  return validation.status === 'requested' && (validation.codeHash === undefined || isRepeated);
}
