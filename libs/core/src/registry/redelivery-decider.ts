import type { Decider, Decision } from './decider.ts';
import type { Redelivery, RedeliveryCommand, RedeliveryEvent } from './redelivery.ts';

/**
 * A job is requested, goes on from checkpoint to checkpoint, and ends once:
 *
 * ```
 * running ─┬─ progress ─┐
 *    ▲     └────────────┘
 *    └──► completed | failed | cancelled
 * ```
 *
 * A cancelled one takes progress still: of what was under way when it was cancelled.
 */
export const redeliveryDecider: Decider<Redelivery, RedeliveryCommand, RedeliveryEvent> = {
  initialState: undefined,

  decide(command, state, { nowMs: atMs, by }) {
    if (command.kind === 'RequestRedelivery') {
      if (state !== undefined) return refuse('already_exists', `The redelivery ${state.id} already exists.`);
      return cause({ ...command, kind: 'RedeliveryRequested', atMs, by });
    }
    if (state === undefined) return refuse('not_found', 'There is no such redelivery.');
    switch (command.kind) {
      case 'CancelRedelivery':
        if (state.state === 'cancelled') return { ok: true, events: [] };
        if (state.state !== 'running') return refuse('conflict', `The redelivery is ${state.state} already.`);
        return cause({ kind: 'RedeliveryCancelled', atMs, by });
      case 'RecordProgress': {
        const { continues, cursor, done, skipped } = command;
        if (state.state !== 'running' && state.state !== 'cancelled') return overtaken(state);
        if (continues !== state.checkpoint) return overtaken(state);
        return cause({ kind: 'RedeliveryProgressed', checkpoint: continues + 1, cursor, done, skipped, atMs, by });
      }
      case 'CompleteRedelivery': {
        const { continues, done, skipped } = command;
        if (state.state !== 'running' || continues !== state.checkpoint) return overtaken(state);
        return cause({ kind: 'RedeliveryCompleted', done, skipped, atMs, by });
      }
      case 'FailRedelivery': {
        const { continues, detail, done, skipped } = command;
        if (state.state !== 'running' || continues !== state.checkpoint) return overtaken(state);
        return cause({ kind: 'RedeliveryFailed', detail, done, skipped, atMs, by });
      }
    }
  },

  evolve(state, event) {
    if (event.kind === 'RedeliveryRequested') {
      const { kind: _, atMs, by, ...requested } = event;
      return { ...requested, state: 'running', checkpoint: 0, done: 0, skipped: {}, requestedAtMs: atMs, by };
    }
    if (state === undefined) return undefined;
    switch (event.kind) {
      case 'RedeliveryProgressed': {
        const { checkpoint, cursor, done, skipped } = event;
        return { ...state, checkpoint, cursor, done, skipped };
      }
      case 'RedeliveryCancelled':
        return { ...state, state: 'cancelled', finishedAtMs: event.atMs, cancelledBy: event.by };
      case 'RedeliveryCompleted': {
        const { done, skipped, atMs } = event;
        return { ...state, state: 'completed', done, skipped, finishedAtMs: atMs };
      }
      case 'RedeliveryFailed': {
        const { done, skipped, detail, atMs } = event;
        return { ...state, state: 'failed', done, skipped, failure: detail, finishedAtMs: atMs };
      }
    }
  },
};

function cause(event: RedeliveryEvent): Decision<RedeliveryEvent> {
  return { ok: true, events: [event] };
}

function refuse(code: 'already_exists' | 'not_found' | 'conflict', detail: string): Decision<RedeliveryEvent> {
  return { ok: false, refusal: { code, detail } };
}

function overtaken({ state, checkpoint }: Redelivery): Decision<RedeliveryEvent> {
  return refuse('conflict', `Somebody else works on it: it is ${state}, at checkpoint ${checkpoint}.`);
}
