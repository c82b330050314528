import type { SubscriptionId } from '#core/ids';
import type { LaneState } from '#core/lane/lane-state';
import type { BusLogger } from './bus-logger.ts';
import { lastToken } from './subject-token.ts';

export type LaneStateListener = (subscription: SubscriptionId, now: LaneState | undefined) => void;

interface Message {
  readonly subject: string;
  readonly seq: number;
  /** JSON of the state; nothing: it was removed. */
  readonly data: Uint8Array;
}

/** The newest state of every lane, whatever order the messages come in: by sequence the later one wins. */
export interface LaneStateFold {
  /** One that cannot be read is logged and counts as removed: the next update replaces it. */
  apply(message: Message): void;
  /** The subject has no message any more, and had this one when that was asked. */
  forget(subscription: SubscriptionId, seq: number): void;
  of(subscription: SubscriptionId): LaneState | undefined;
  states(): Iterable<readonly [SubscriptionId, LaneState]>;
  /** What an append expects; 0 for none. */
  lastSeqOf(subscription: SubscriptionId): number;
  /** Of each state. */
  seqs(): ReadonlyMap<SubscriptionId, number>;
  onChange(listener: LaneStateListener): () => void;
}

export interface LaneStateFoldOptions {
  /** How long the sequence of a removal is known: longer than messages can come late, by which the state would be there again. */
  readonly rememberMs: number;
  readonly logger: BusLogger;
}

const decoder = new TextDecoder();

export function makeLaneStateFold({ rememberMs, logger }: LaneStateFoldOptions): LaneStateFold {
  const states = new Map<SubscriptionId, LaneState>();
  const seqs = new Map<SubscriptionId, number>();
  /** Oldest first. */
  const removed = new Map<SubscriptionId, { readonly seq: number; readonly until: number }>();
  const listeners = new Set<LaneStateListener>();

  const lastSeqOf = (subscription: SubscriptionId): number =>
    seqs.get(subscription) ?? removed.get(subscription)?.seq ?? 0;

  function put(subscription: SubscriptionId, seq: number, state: LaneState): void {
    removed.delete(subscription);
    states.set(subscription, state);
    seqs.set(subscription, seq);
    tell(subscription, state);
  }

  function remove(subscription: SubscriptionId): void {
    seqs.delete(subscription);
    if (states.delete(subscription)) tell(subscription, undefined);
  }

  function rememberRemoval(subscription: SubscriptionId, seq: number): void {
    const now = performance.now();
    removed.delete(subscription);
    removed.set(subscription, { seq, until: now + rememberMs });
    for (const [oldest, { until }] of removed) {
      if (until > now) break;
      removed.delete(oldest);
    }
  }

  function tell(subscription: SubscriptionId, state: LaneState | undefined): void {
    for (const listener of listeners) {
      try {
        listener(subscription, state);
      } catch (err) {
        logger.error({ err, subscription }, 'what should happen after a change of a lane failed');
      }
    }
  }

  function readState(subject: string, seq: number, data: Uint8Array): LaneState | undefined {
    try {
      return parseState(data);
    } catch (err) {
      logger.error({ err, subject, seq }, 'the state of a lane can not be read; it counts as none');
      return undefined;
    }
  }

  return {
    apply({ subject, seq, data }) {
      const subscription = lastToken(subject) as SubscriptionId;
      if (seq <= lastSeqOf(subscription)) return;
      const state = data.length === 0 ? undefined : readState(subject, seq, data);
      if (state !== undefined) {
        put(subscription, seq, state);
        return;
      }
      rememberRemoval(subscription, seq);
      remove(subscription);
    },
    forget(subscription, seq) {
      if (seq === 0 || lastSeqOf(subscription) !== seq) return;
      removed.delete(subscription);
      remove(subscription);
    },
    of: (subscription) => states.get(subscription),
    states: () => states.entries(),
    lastSeqOf,
    seqs: () => new Map(seqs),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** @throws TypeError, SyntaxError */
export function parseState(data: Uint8Array): LaneState {
  const state = JSON.parse(decoder.decode(data)) as Partial<LaneState> | null;
  if (typeof state?.circuit?.kind !== 'string') throw new TypeError('it is not the state of a lane');
  return state as LaneState;
}
