import type { Decider } from './decider.ts';
import { policyOf, type Tenant, type TenantCommand, type TenantEvent, type TenantPolicy } from './tenant.ts';

/** A tenant is put, never deleted: `PutTenant` creates or changes it and causes nothing when nothing changes. */
export const tenantDecider: Decider<Tenant, TenantCommand, TenantEvent> = {
  initialState: undefined,

  decide({ id, name, policy }, state, { nowMs: atMs, by }) {
    if (state === undefined) {
      const given = policy === undefined ? {} : { policy };
      return { ok: true, events: [{ kind: 'TenantCreated', id, name, ...given, atMs, by }] };
    }
    if (policy !== undefined && !isSamePolicy(policyOf({ policy }), policyOf(state))) {
      return { ok: true, events: [{ kind: 'TenantChanged', name, policy, atMs, by }] };
    }
    if (state.name === name) return { ok: true, events: [] };
    return { ok: true, events: [{ kind: 'TenantRenamed', name, atMs, by }] };
  },

  evolve(state, event) {
    switch (event.kind) {
      case 'TenantCreated': {
        const { id, name, policy, atMs } = event;
        return { id, name, ...(policy === undefined ? {} : { policy }), createdAtMs: atMs, updatedAtMs: atMs };
      }
      case 'TenantRenamed':
        return state && { ...state, name: event.name, updatedAtMs: event.atMs };
      case 'TenantChanged':
        return state && { ...state, name: event.name, policy: event.policy, updatedAtMs: event.atMs };
    }
  },
};

function isSamePolicy(a: TenantPolicy, b: TenantPolicy): boolean {
  return (
    a.unsupportedSinks === b.unsupportedSinks &&
    a.publishRatePerMinute === b.publishRatePerMinute &&
    a.headerPrefix === b.headerPrefix &&
    a.userAgent === b.userAgent &&
    a.publishOrigins.join(' ') === b.publishOrigins.join(' ')
  );
}
