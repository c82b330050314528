import { setTimeout as delay } from 'node:timers/promises';
import type { SubscriptionId } from '#core/ids';
import type { LaneState } from '#core/lane/lane-state';
import { makeInTurn } from '#platform/in-turn';
import { makeAsker } from './asker.ts';
import { BusUnavailable, orUnavailable, WrongLastSequence } from './bus-errors.ts';
import type { BusLogger } from './bus-logger.ts';
import type { Bus } from './connection.ts';
import { followStream, reachEnd } from './follow.ts';
import { makeLaneStateFold, type LaneStateListener } from './lane-state-fold.ts';
import { readSubjectCounts } from './read-subject-counts.ts';

export interface UpdateOptions {
  /** How long each try to store it may take. Default: the publisher's. */
  readonly timeoutMs?: number;
}

/** What all processes know of lanes: the fold of CIRCUITS in memory, some ms behind the others, exact after `catchUp`. */
export interface LaneStates {
  of(subscription: SubscriptionId): LaneState | undefined;
  states(): Iterable<readonly [SubscriptionId, LaneState]>;
  /**
   * Puts what `change` makes of the state in its place, and answers it. Resolves when it is stored; here it is seen at once,
   * elsewhere some ms later. When somebody else was faster `change` is called again with the state that the leader has.
   * Answering what it was given stores nothing; undefined removes the state and leaves nothing in the stream after a minute.
   *
   * @throws BusUnavailable not confirmed (it may be stored or not), or others were faster twenty times
   */
  update(
    subscription: SubscriptionId,
    change: (before: LaneState | undefined) => LaneState | undefined,
    options?: UpdateOptions,
  ): Promise<LaneState | undefined>;
  /** Called after each change, also one's own, with the state after it. Not called for what was there before. Answers how to end that. */
  onChange(listener: LaneStateListener): () => void;
  /**
   * Resolves when everything that was in CIRCUITS at the call is in here.
   *
   * @throws BusUnavailable
   */
  catchUp(timeoutMs?: number): Promise<void>;
  isLive(): boolean;
  stop(): Promise<void>;
}

export interface LaneStatesOptions {
  /** How long the message stays by which the others learn that a state was removed. Default 60; at least 1. */
  readonly tombstoneSeconds?: number;
}

type Change = (before: LaneState | undefined) => LaneState | undefined;

const MAX_TRIES = 20;
/** Two who write as fast as they can would meet again and again: who lost waits a random part of this, more each time. */
const STEP_BACK_MS = 2;
const MAX_LOOK_MS = 1_000;
const NOTHING = new Uint8Array();
const encoder = new TextEncoder();

/** Resolves when the fold has reached the end of the stream as it was at the call. Waits for the broker as long as it takes. */
export async function openLaneStates(bus: Bus, { tombstoneSeconds = 60 }: LaneStatesOptions = {}): Promise<LaneStates> {
  const { topology, publisher, jsm, logger } = bus;
  const stream = topology.streams.CIRCUITS;
  const everything = topology.circuitSubject('*');
  const tombstoneMs = tombstoneSeconds * 1000;
  const fold = makeLaneStateFold({ rememberMs: 2 * tombstoneMs, logger });
  const following = followStream(bus, { stream, subject: everything, from: 'last-per-subject' }, fold.apply);
  const asker = makeAsker(bus.nc);
  const inTurn = makeInTurn();

  async function tryUpdate(
    subscription: SubscriptionId,
    change: Change,
    options: UpdateOptions,
  ): Promise<LaneState | undefined> {
    const subject = topology.circuitSubject(subscription);
    const before = fold.of(subscription);
    const after = change(before);
    if (after === before) return after;
    const data = after === undefined ? NOTHING : encoder.encode(JSON.stringify(after));
    const { seq } = await publisher.publish(subject, data, {
      ...options,
      expectedLastSubjectSeq: fold.lastSeqOf(subscription),
      headers: after === undefined ? [['Nats-TTL', `${tombstoneSeconds}s`]] : [],
    });
    fold.apply({ subject, seq, data });
    return after;
  }

  async function update(
    subscription: SubscriptionId,
    change: Change,
    options: UpdateOptions,
  ): Promise<LaneState | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      try {
        return await tryUpdate(subscription, change, options);
      } catch (error) {
        if (!(error instanceof WrongLastSequence)) throw error;
        await delay(Math.random() * STEP_BACK_MS * tries);
        await readLeader(subscription);
      }
    }
    throw new BusUnavailable(`others changed the state of lane ${subscription} ${MAX_TRIES} times meanwhile`);
  }

  async function readLeader(subscription: SubscriptionId): Promise<void> {
    const subject = topology.circuitSubject(subscription);
    const knownSeq = fold.lastSeqOf(subscription);
    const last = await orUnavailable(jsm.streams.getMessage(stream, { last_by_subj: subject }), `the last ${subject}`);
    if (last === null) fold.forget(subscription, knownSeq);
    else fold.apply(last);
  }

  /** A tombstone may have come and gone while nothing was heard: what is not in the stream any more was removed. */
  async function forgetRemoved(): Promise<void> {
    const known = fold.seqs();
    const stored = await readSubjectCounts(asker, stream, everything);
    for (const [subscription, seq] of known) {
      if (!stored.has(topology.circuitSubject(subscription))) fold.forget(subscription, seq);
    }
  }

  await reachEnd(following, logger, 'the states of the lanes are not folded yet; still waiting');
  const stopLooking = afterEveryGap({ isLive: following.isLive, gapMs: tombstoneMs / 3, logger }, forgetRemoved);
  return {
    of: fold.of,
    states: fold.states,
    update: (subscription, change, options = {}) => inTurn(subscription, () => update(subscription, change, options)),
    onChange: fold.onChange,
    catchUp: following.catchUp,
    isLive: following.isLive,
    async stop() {
      stopLooking();
      asker.close();
      await following.stop();
    },
  };
}

interface GapOptions {
  readonly isLive: () => boolean;
  readonly gapMs: number;
  readonly logger: BusLogger;
}

/** Runs `mend` when it is live again after a gap, until that succeeds. A process that was stopped itself has a gap, too. */
function afterEveryGap({ isLive, gapMs, logger }: GapOptions, mend: () => Promise<void>): () => void {
  let wholeUntil = performance.now();
  let isMending = false;

  async function look(): Promise<void> {
    if (isMending || !isLive()) return;
    const now = performance.now();
    isMending = true;
    try {
      if (now - wholeUntil > gapMs) await mend();
      wholeUntil = now;
    } catch (err) {
      logger.warn({ err }, 'which states of lanes were removed meanwhile is not known yet; trying again');
    } finally {
      isMending = false;
    }
  }

  const timer = setInterval(() => void look(), Math.min(MAX_LOOK_MS, gapMs / 2));
  timer.unref();
  return () => clearInterval(timer);
}
