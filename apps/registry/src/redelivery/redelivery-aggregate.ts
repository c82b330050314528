import type { RedeliveryId, TenantId } from '#core/ids';
import type { Redelivery, RedeliveryCommand, RedeliveryEvent } from '#core/registry/redelivery';
import { redeliveryDecider } from '#core/registry/redelivery-decider';
import type { Aggregate } from '../execute-command.ts';

/** The jobs in the fold of REGISTRY. */
export interface RedeliveryFold {
  redelivery(tenant: TenantId, id: RedeliveryId): Redelivery | undefined;
}

export function redeliveryAggregate(
  state: RedeliveryFold,
  tenant: TenantId,
  id: RedeliveryId,
): Aggregate<Redelivery, RedeliveryCommand, RedeliveryEvent> {
  return {
    kind: 'redelivery',
    tenant,
    id,
    decider: redeliveryDecider,
    read: () => state.redelivery(tenant, id),
    toRecord: (event) => ({ aggregate: 'redelivery', id, tenant, event }),
  };
}
