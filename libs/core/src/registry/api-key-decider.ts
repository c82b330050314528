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
        const { kind: _command, ...key } = command;
        return { ok: true, events: [{ kind: 'ApiKeyCreated', ...key, atMs: nowMs, by }] };
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
        const { kind: _event, atMs, by: _creator, ...key } = event;
        return { ...key, createdAtMs: atMs };
      }
      case 'ApiKeyRevoked':
        return undefined;
    }
  },
};
