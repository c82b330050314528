import type { ApiKey, ApiKeyCommand, ApiKeyEvent } from './api-key.ts';
import type { Decider } from './decider.ts';

/** An API key is created and revoked, never changed. A revoked key is gone: `undefined`. */
export const apiKeyDecider: Decider<ApiKey, ApiKeyCommand, ApiKeyEvent> = {
  initialState: undefined,

  decide(command, state, { nowMs, by }) {
    switch (command.kind) {
      case 'CreateApiKey': {
        if (state !== undefined) {
          return { ok: false, refusal: { code: 'already_exists', detail: `API key ${state.id} already exists.` } };
        }
        const { id, tenant, hash, name, scopes } = command;
        return { ok: true, events: [{ kind: 'ApiKeyCreated', id, tenant, hash, name, scopes, atMs: nowMs, by }] };
      }
      case 'RevokeApiKey':
        if (state === undefined) {
          return { ok: false, refusal: { code: 'not_found', detail: 'There is no such API key, or it is revoked.' } };
        }
        return { ok: true, events: [{ kind: 'ApiKeyRevoked', atMs: nowMs, by }] };
    }
  },

  evolve(_state, event) {
    switch (event.kind) {
      case 'ApiKeyCreated': {
        const { id, tenant, hash, name, scopes, atMs } = event;
        return { id, tenant, hash, name, scopes, createdAtMs: atMs };
      }
      case 'ApiKeyRevoked':
        return undefined;
    }
  },
};
