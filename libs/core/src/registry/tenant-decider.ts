import type { Decider } from './decider.ts';
import type { Tenant, TenantCommand, TenantEvent } from './tenant.ts';

/** A tenant is put, never deleted: `PutTenant` creates or renames it and causes nothing when nothing changes. */
export const tenantDecider: Decider<Tenant, TenantCommand, TenantEvent> = {
  initialState: undefined,

  decide(command, state, { nowMs, by }) {
    if (state === undefined) {
      return { ok: true, events: [{ kind: 'TenantCreated', id: command.id, name: command.name, atMs: nowMs, by }] };
    }
    if (state.name === command.name) return { ok: true, events: [] };
    return { ok: true, events: [{ kind: 'TenantRenamed', name: command.name, atMs: nowMs, by }] };
  },

  evolve(state, event) {
    switch (event.kind) {
      case 'TenantCreated':
        return { id: event.id, name: event.name, createdAtMs: event.atMs, updatedAtMs: event.atMs };
      case 'TenantRenamed':
        return state && { ...state, name: event.name, updatedAtMs: event.atMs };
    }
  },
};
