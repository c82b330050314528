import type { DeadReason, ExchangeError, Outcome } from '../delivery/outcome.ts';
import type { SecondTries } from '../delivery/second-try.ts';
import { deliveryFateOf } from '../registry/subscription-state.ts';
import type { BatchPolicy, Subscription } from '../registry/subscription.ts';
import { DEFAULT_CIRCUIT_POLICY } from './circuit-policy.ts';
import {
  changeLane,
  disableReasonOf,
  isBlocked,
  isOpen,
  probeDueAtMs,
  type Failure,
  type LaneChange,
} from './circuit.ts';
import type { FailureWindow } from './failure-window.ts';
import type { LaneMessage } from './lane-message.ts';
import type { LaneHead, LaneState } from './lane-state.ts';
import { makeOrderedLine, type OrderedLine } from './ordered-line.ts';
import { makePace, startDistanceMs } from './pace.ts';
import { RAMP_START, rampDown, rampUp } from './ramp.ts';
import { isLaneBound, requestsPerMinuteOf } from './road.ts';
import { makeUnorderedLine, type UnorderedLine } from './unordered-line.ts';

/** What the driver does next. It calls `next` again after every step, and after every input. */
export type LaneStep =
  /**
   * Send one request with these deliveries, then `settled` when it has ended and `stored` when what follows is durable.
   * `attempt`: number of the attempt, by position. Only one of `probe` is ever in flight.
   */
  | {
      readonly kind: 'send';
      readonly laneSeqs: readonly number[];
      readonly attempts: readonly number[];
      readonly as: 'normal' | 'probe';
      readonly changes: readonly LaneChange[];
    }
  /** Dead-letter these without a request, delete them, then `stored`. `attempts`: number of the one that is not made, by position. */
  | {
      readonly kind: 'end';
      readonly laneSeqs: readonly number[];
      readonly attempts: readonly number[];
      readonly reason: Extract<DeadReason, 'deadline_passed' | 'subscription_deleted' | 'subscription_disabled'>;
      readonly changes: readonly LaneChange[];
    }
  /** Read up to `limit` messages of the lane from this sequence on, then `messages`. */
  | { readonly kind: 'read'; readonly fromSeq: number; readonly limit: number }
  /** Ask for the acknowledgement floor of the matchers' consumer, then `floor`. */
  | { readonly kind: 'floor' }
  /** Give the registry this command, for no other revision than this; its effect arrives as `rules`. */
  | { readonly kind: 'pause' | 'disable'; readonly reason: string; readonly revision: number }
  /** Nothing to do before this instant (`undefined`: before an input). The lease is kept. */
  | { readonly kind: 'wait'; readonly untilMs: number | undefined }
  /**
   * Store a timer that wakes the lane at `untilMs` (`undefined`: none needed), release the lease, wait for the
   * confirmation of that, then look whether LANES has a message from `lookFromSeq` on, and if so publish the wake.
   * Without `lookFromSeq` no look is needed.
   */
  | { readonly kind: 'sleep'; readonly untilMs: number | undefined; readonly lookFromSeq?: number }
  /** The lane is empty: store the changes, release the lease, then look as for `sleep`. */
  | { readonly kind: 'close'; readonly changes: readonly LaneChange[]; readonly lookFromSeq: number }
  /** After `stop`, with nothing under way: give the lease back, so that another takes it at once. */
  | { readonly kind: 'leave' };

/** How a request ended, or that none was made. */
export interface SendReport {
  /** Absent: no request was made (the event is gone, the signer refuses): it says nothing about the sink. */
  readonly exchange?: {
    readonly outcome: Outcome;
    /** Retry-After as an instant, as it was asked for. */
    readonly askedUntilMs?: number;
    readonly status?: number;
    readonly error?: ExchangeError;
  };
  /** What follows for each delivery of the request. */
  readonly members: readonly SentMember[];
}

export interface SentMember {
  readonly laneSeq: number;
  readonly next:
    | { readonly kind: 'delivered' }
    /** `attempt`: number of the next one; the same as before when the delivery was only held. */
    | { readonly kind: 'retry'; readonly attempt: number; readonly atMs: number; readonly tried?: SecondTries }
    | { readonly kind: 'dead'; readonly reason: DeadReason };
}

/**
 * What has to be made durable: first the changes (in CIRCUITS, each applied to what is there; afterwards `changed`),
 * then what follows of each delivery, then `stored`.
 */
export interface Settlement {
  readonly changes: readonly LaneChange[];
  /** Messages that stay in LANES as heads, their next attempt is in the state. */
  readonly keep: readonly number[];
  /** Messages to delete from LANES, after the next step (dead letter, timer in RETRIES) and the fact are stored. */
  readonly remove: readonly number[];
}

/** Inputs may come in any order and at any time. Only `next` starts anything. */
export interface LaneOwner {
  /** Answer to `read`. `readUpToSeq`: no message of the lane up to here is unknown; `isEnd`: nothing was behind it. */
  messages(list: readonly LaneMessage[], readUpToSeq: number, isEnd: boolean, nowMs: number): void;
  /** Answer to `floor`: all events up to here were matched, and what came of it was stored, when it was asked. */
  floor(eventSeq: number, nowMs: number): void;
  /** The subscription as it is now; `undefined` when it is deleted. */
  rules(subscription: Subscription | undefined): void;
  /** The lane state as CIRCUITS has it now. */
  state(state: LaneState | undefined): void;
  /** These changes are stored, and this is what CIRCUITS holds with them. */
  changed(changes: readonly LaneChange[], state: LaneState | undefined): void;
  /** The lease is confirmed: requests may start until this instant (ack wait less the longest request). */
  lease(startsUntilMs: number): void;
  /** A hint: something was put on the lane. Without it new messages are found when the lane is read again. */
  appended(): void;
  /** A request has ended. */
  settled(report: SendReport, nowMs: number, random: number): Settlement;
  /** All that follows for these messages is durable. */
  stored(laneSeqs: readonly number[]): void;
  /** Shutdown: nothing new starts. */
  stop(): void;
  next(nowMs: number): LaneStep;
  /** For the health endpoint. */
  inFlightCount(): number;
}

export interface LaneOwnerOptions {
  readonly subscription: Subscription | undefined;
  readonly state: LaneState | undefined;
  /** Of this subscription in this process. */
  readonly failures: FailureWindow;
  /** Requests may start until this instant, see {@link LaneOwner.lease}. */
  readonly startsUntilMs: number;
  /** When this process got the lease. */
  readonly heldSinceMs: number;
  /** The wake was redelivered: another holder may have started a request a moment ago. */
  readonly isTakeover: boolean;
}

/** Messages of a lane without order that the holder knows. */
const WINDOW = 512;
/** Messages of an ordered lane that the holder knows: it can only start when it knows all that may come first. */
const ORDERED_CAPACITY = 50_000;
const PAGE = 256;
/** So many are read of a lane that sleeps or is only probed: the oldest, for the probe and the deadline. */
const FEW = 16;
/** So many are dead-lettered at once. */
const END_AT_ONCE = 64;
/** How often an awake lane is looked at for new messages. */
const POLL_MS = 50;
const LONGEST_POLL_MS = 1000;
/** A lane that its specification keeps stays awake that long after its last message. */
const LINGER_MS = 500;
/** Below this the lease is kept for the wait. */
const SHORT_WAIT_MS = 3000;
const FIRST_FLOOR_POLL_MS = 20;
const LONGEST_FLOOR_POLL_MS = 250;
/** A clock that is set back by less does not matter. */
const SET_BACK_MS = 1000;
/** After this a command to the registry that had no effect is given again. */
const COMMAND_AGAIN_MS = 30_000;

const BLOCKED = 'a delivery was given up, and those behind it wait (onDeadLetter: block)';

type Line =
  | { readonly ordering: 'none'; readonly of: UnorderedLine }
  | { readonly ordering: 'subscription' | 'partitionkey'; readonly of: OrderedLine };

/** Why nothing may start now, and until when; `undefined`: until an input. */
interface Gate {
  readonly shut: 'held' | 'circuit' | 'busy' | 'pace' | undefined;
  readonly untilMs?: number;
  readonly as: 'normal' | 'probe';
}

/**
 * Decides for whoever holds the lease on one lane what happens next: what is sent when, what is read, when the lane sleeps
 * or closes. It does nothing itself and has no clock; the driver does what `next` says and tells what came of it.
 *
 * - No order: the oldest go first, up to `maxInFlight` requests at once; a failed delivery goes back to RETRIES. A probe, and
 *   what follows it, is what was tried least.
 * - Ordered: one delivery under way for each key, lowest event sequence first, and only when everything that could come
 *   before it is known, see `floor`; a failed delivery stays as the head of its key. Events without `partitionkey` share one.
 * - A batch policy counts for lanes without order only.
 */
export function makeLaneOwner(options: LaneOwnerOptions): LaneOwner {
  const { failures } = options;
  let subscription = options.subscription;
  let base = options.state;
  /** `base` with the changes that are pending. */
  let view = base;
  /** Changes that were given to the driver and are not stored yet. */
  let pending: readonly LaneChange[] = [];
  let startsUntilMs = options.startsUntilMs;
  let isStopping = false;
  let latestMs = -Infinity;

  const pace = makePace(options.isTakeover ? options.heldSinceMs : undefined);
  let rampAllowed = RAMP_START;
  let lastActiveAtMs = -Infinity;

  /** Requests under way, by the first of their messages. */
  const requests = new Map<number, { readonly as: 'normal' | 'probe'; readonly revision: number }>();
  /** Messages that are sent, or whose next step is being stored. */
  const busy = new Map<number, LaneMessage>();
  /** Of those, the ones that stay in the lane. */
  const kept = new Set<number>();
  let line = makeLine(options.state?.heads ?? []);

  let nextSeq = 0;
  let isReading = false;
  let isEnd = false;
  let isHinted = false;
  let lastReadAtMs = -Infinity;
  /** Settled while the lane is read from the beginning: an answer that was on its way must not bring them back. */
  const settledMeanwhile = new Set<number>();

  let toldFloor = -1;
  let readingFloor = -1;
  /** Of an ordered lane all messages up to this event sequence are known. */
  let floor = -1;
  let isAskingFloor = false;
  let nextFloorAskAtMs = -Infinity;
  let floorPollMs = FIRST_FLOOR_POLL_MS;

  let command: { readonly revision: number; readonly againAtMs: number } | undefined;
  /** No known message is past its deadline before this. */
  let earliestDeadlineAtMs = Infinity;

  return {
    messages(list, readUpToSeq, reachedEnd, nowMs) {
      isReading = false;
      for (const message of list) learn(message, nowMs);
      nextSeq = Math.max(nextSeq, readUpToSeq + 1);
      lastReadAtMs = nowMs;
      isEnd = reachedEnd;
      if (!isEnd) return;
      isHinted = false;
      settledMeanwhile.clear();
      floor = Math.max(floor, readingFloor);
      if (line.ordering !== 'none') line.of.forgetLostHeads();
    },
    floor(eventSeq, nowMs) {
      isAskingFloor = false;
      toldFloor = Math.max(toldFloor, eventSeq);
      const isEnough = line.ordering !== 'none' && toldFloor >= line.of.lowestEventSeq(nowMs);
      floorPollMs = isEnough ? FIRST_FLOOR_POLL_MS : Math.min(floorPollMs * 2, LONGEST_FLOOR_POLL_MS);
      nextFloorAskAtMs = nowMs + floorPollMs;
      // What was stored before the floor was asked for is known once the lane has been read to its end after that.
      if (isEnough) isEnd = false;
    },
    rules(next) {
      subscription = next;
      if (orderingOf() !== line.ordering) sortAnew();
    },
    state(state) {
      base = state;
      refresh();
    },
    changed(changes, state) {
      pending = pending.filter((change) => !changes.includes(change));
      base = state;
      refresh();
    },
    lease(untilMs) {
      startsUntilMs = untilMs;
    },
    appended() {
      isHinted = true;
    },
    settled,
    stored(laneSeqs) {
      for (const laneSeq of laneSeqs) {
        const message = busy.get(laneSeq);
        if (message === undefined) continue;
        busy.delete(laneSeq);
        // What was read before can not come again; and the end may be away for as long as more comes than goes.
        if (!isEnd && laneSeq >= nextSeq) settledMeanwhile.add(laneSeq);
        const isKept = kept.delete(laneSeq);
        if (isKept) earliestDeadlineAtMs = Math.min(earliestDeadlineAtMs, message.deadlineAtMs);
        if (line.ordering !== 'none') line.of.release(message, isKept);
        else if (isKept) line.of.add(message);
      }
    },
    stop() {
      isStopping = true;
    },
    next(nowMs) {
      // What was to be done a while after something would be done that much later: who begins anew knows of no such instants.
      if (nowMs < latestMs - SET_BACK_MS) isStopping = true;
      latestMs = Math.max(latestMs, nowMs);
      if (isStopping) return busy.size > 0 ? waitUntil(undefined) : { kind: 'leave' };
      if (nowMs >= startsUntilMs) return waitUntil(undefined);
      const gate = gateAt(nowMs);
      return (
        commandStep(nowMs) ?? endStep(nowMs) ?? sendStep(gate, nowMs) ?? learnStep(gate, nowMs) ?? restStep(gate, nowMs)
      );
    },
    inFlightCount: () => requests.size,
  };

  // What is known

  function orderingOf(): Line['ordering'] {
    return subscription?.spec.config.ordering ?? 'none';
  }

  function makeLine(heads: readonly LaneHead[]): Line {
    const ordering = orderingOf();
    if (ordering === 'none') return { ordering, of: makeUnorderedLine() };
    const of = makeOrderedLine(ordering, ORDERED_CAPACITY, heads);
    for (const message of busy.values()) of.occupy(message);
    return { ordering, of };
  }

  /** The subscription has another order now: the lane is read from the beginning. */
  function sortAnew(): void {
    line = makeLine(view?.heads ?? []);
    floor = -1;
    earliestDeadlineAtMs = Infinity;
    readAnew();
  }

  function readAnew(): void {
    nextSeq = 0;
    isEnd = false;
  }

  function learn(message: LaneMessage, nowMs: number): void {
    if (busy.has(message.laneSeq) || settledMeanwhile.has(message.laneSeq)) return;
    earliestDeadlineAtMs = Math.min(earliestDeadlineAtMs, message.deadlineAtMs);
    line.of.add({ ...message, storedAtMs: Math.min(message.storedAtMs, nowMs) });
  }

  function refresh(): void {
    view = base;
    for (const change of pending) view = changeLane(view, change, policy());
  }

  function apply(changes: readonly LaneChange[]): void {
    pending = [...pending, ...changes];
    for (const change of changes) view = changeLane(view, change, policy());
  }

  function policy() {
    return subscription?.spec.config.circuit ?? DEFAULT_CIRCUIT_POLICY;
  }

  function fate(): 'attempt' | 'hold' | 'end' {
    return subscription === undefined ? 'end' : deliveryFateOf(subscription);
  }

  function maxInFlight(): number {
    return subscription?.spec.config.maxInFlight ?? 1;
  }

  function rate(): number | undefined {
    return subscription && requestsPerMinuteOf(subscription);
  }

  // What happens next

  function gateAt(nowMs: number): Gate {
    if (subscription === undefined || fate() !== 'attempt' || isBlocked(view, subscription)) {
      return { shut: 'held', as: 'normal' };
    }
    const circuit = view?.circuit;
    const as = isOpen(circuit) ? 'probe' : 'normal';
    if (isOpen(circuit)) {
      if (requests.size > 0) return { shut: 'busy', as };
      const dueAtMs = probeDueAtMs(circuit, subscription.revision);
      if (nowMs < dueAtMs) return { shut: 'circuit', untilMs: dueAtMs, as };
    }
    const allowed = circuit?.kind === 'recovering' ? Math.min(rampAllowed, maxInFlight()) : maxInFlight();
    if (requests.size >= allowed) return { shut: 'busy', as };
    const paceAtMs = pace.nextStartAtMs(rate(), nowMs);
    return nowMs < paceAtMs ? { shut: 'pace', untilMs: paceAtMs, as } : { shut: undefined, as };
  }

  function commandStep(nowMs: number): LaneStep | undefined {
    if (subscription?.state !== 'active') return undefined;
    const { revision } = subscription;
    const disableReason = disableReasonOf(view?.circuit, policy(), revision);
    const kind = disableReason !== undefined ? 'disable' : isBlocked(view, subscription) ? 'pause' : undefined;
    if (kind === undefined) return undefined;
    // Nothing new starts behind a block; whoever hears of it finds the dead letter that it is about.
    if (kind === 'pause' && busy.size > 0) return undefined;
    // What waits goes on waiting meanwhile, also for ever: nobody disables anything because of its dead letter sink.
    if (command !== undefined && command.revision === revision && nowMs < command.againAtMs) return undefined;
    command = { revision, againAtMs: nowMs + COMMAND_AGAIN_MS };
    return { kind, revision, reason: disableReason ?? BLOCKED };
  }

  function endStep(nowMs: number): LaneStep | undefined {
    const room = END_AT_ONCE - (busy.size - requests.size);
    if (room <= 0) return undefined;
    if (fate() === 'end') {
      const taken = line.ordering === 'none' ? line.of.take(room) : line.of.takeAny(room);
      return taken.length === 0
        ? undefined
        : endingOf(taken, subscription === undefined ? 'subscription_deleted' : 'subscription_disabled', []);
    }
    if (nowMs <= earliestDeadlineAtMs) return undefined;
    const expired = line.of.takeExpired(nowMs, room);
    earliestDeadlineAtMs = line.of.earliestDeadlineAtMs();
    return expired.length === 0 ? undefined : endingOf(expired, 'deadline_passed', blockAfterDeadLetter(nowMs));
  }

  function endingOf(
    taken: readonly LaneMessage[],
    reason: Extract<LaneStep, { kind: 'end' }>['reason'],
    changes: readonly LaneChange[],
  ): LaneStep {
    const attempts = taken.map((message) => attemptOf(message));
    const laneSeqs = makeBusy(taken);
    if (line.ordering !== 'none') for (const laneSeq of laneSeqs) line.of.forgetHead(laneSeq);
    apply(changes);
    return { kind: 'end', laneSeqs, attempts, reason, changes };
  }

  function blockAfterDeadLetter(nowMs: number): LaneChange[] {
    if (subscription?.state !== 'active' || line.ordering === 'none') return [];
    if (subscription.spec.config.onDeadLetter !== 'block') return [];
    return [{ kind: 'blocked', revision: subscription.revision, atMs: nowMs }];
  }

  function sendStep(gate: Gate, nowMs: number): LaneStep | undefined {
    if (gate.shut !== undefined || subscription === undefined) return undefined;
    const chosen = line.ordering === 'none' ? chooseOldest(gate, nowMs, line.of) : chooseInOrder(nowMs, line.of);
    if (chosen.length === 0) return undefined;
    const attempts = chosen.map((message) => attemptOf(message));
    const laneSeqs = makeBusy(chosen);
    requests.set(laneSeqs[0] ?? -1, { as: gate.as, revision: subscription.revision });
    pace.started(nowMs);
    lastActiveAtMs = nowMs;
    const changes: LaneChange[] = gate.as === 'probe' ? [{ kind: 'probe_started', atMs: nowMs }] : [];
    if (isOverflowing()) changes.push({ kind: 'overflowed', atMs: nowMs });
    apply(changes);
    return { kind: 'send', laneSeqs, attempts, as: gate.as, changes };
  }

  function attemptOf({ laneSeq, attempt }: LaneMessage): number {
    const head = line.ordering === 'none' ? view?.heads?.find((h) => h.laneSeq === laneSeq) : line.of.headOf(laneSeq);
    return head?.attempt ?? attempt;
  }

  function makeBusy(taken: readonly LaneMessage[]): number[] {
    for (const message of taken) busy.set(message.laneSeq, message);
    return taken.map((message) => message.laneSeq);
  }

  /** More is waiting than one round of requests takes: let all know, so that nothing overtakes it on the common road. */
  function isOverflowing(): boolean {
    if (view !== undefined || subscription === undefined || isLaneBound(subscription)) return false;
    return !isEnd || line.of.size() >= maxInFlight();
  }

  function chooseInOrder(nowMs: number, of: OrderedLine): readonly LaneMessage[] {
    if (!isEnd) return [];
    const message = of.next(nowMs, Math.min(floor, of.completeBelow() - 1));
    if (message === undefined) return [];
    of.take(message);
    return [message];
  }

  function chooseOldest({ as }: Gate, nowMs: number, of: UnorderedLine): readonly LaneMessage[] {
    const batch = subscription?.spec.config.batch;
    // One delivery that its sink can not digest must not be what decides, each time it comes back, how the sink is.
    if (as === 'probe' || (batch === undefined && view?.circuit.kind === 'recovering')) return of.takeLeastTried();
    if (batch === undefined) return of.take(1);
    const { count, isFull } = batchOf(of, batch);
    return isFull || nowMs >= batchDueAtMs(of, batch) ? of.take(count) : [];
  }

  // Learning

  function learnStep(gate: Gate, nowMs: number): LaneStep | undefined {
    if (isReading || isAskingFloor) return undefined;
    return line.ordering === 'none' ? readUnordered(gate, nowMs, line.of) : readOrdered(gate, nowMs, line.of);
  }

  function readUnordered(gate: Gate, nowMs: number, of: UnorderedLine): LaneStep | undefined {
    const isFew = isStuck(gate) || gate.as === 'probe';
    const batchCount = subscription?.spec.config.batch?.maxEvents ?? 1;
    const isWanted = of.size() === 0 || (!isFew && of.size() < Math.max(WINDOW / 4, batchCount));
    if (!isWanted || of.size() + busy.size + PAGE > Math.max(WINDOW, 2 * batchCount + PAGE)) return undefined;
    return !isEnd || isStale(nowMs) ? read(isFew ? FEW : PAGE) : undefined;
  }

  function readOrdered(gate: Gate, nowMs: number, of: OrderedLine): LaneStep | undefined {
    if (isStuck(gate)) return of.size() === 0 && (!isEnd || isStale(nowMs)) ? read(FEW) : undefined;
    if (!isEnd) return read(PAGE);
    if (
      of.completeBelow() !== Infinity &&
      of.size() <= ORDERED_CAPACITY / 2 &&
      of.lowestEventSeq(nowMs) >= of.completeBelow()
    ) {
      of.readAnew();
      readAnew();
      return read(PAGE);
    }
    const lowest = of.lowestEventSeq(nowMs);
    if (lowest !== Infinity && lowest > floor) {
      if (nowMs < nextFloorAskAtMs) return undefined;
      isAskingFloor = true;
      return { kind: 'floor' };
    }
    return isStale(nowMs) ? read(PAGE) : undefined;
  }

  /** Nothing is sent before an instant or an input. */
  function isStuck({ shut }: Gate): boolean {
    return shut === 'circuit' || (shut === 'held' && fate() !== 'end');
  }

  function isStale(nowMs: number): boolean {
    return isHinted || nowMs >= lastReadAtMs + pollMs();
  }

  /** A slow lane need not be looked at more often than it can send. */
  function pollMs(): number {
    const perMinute = rate();
    if (perMinute === undefined) return POLL_MS;
    return Math.min(LONGEST_POLL_MS, Math.max(POLL_MS, startDistanceMs(perMinute) / 4));
  }

  function read(limit: number): LaneStep {
    isReading = true;
    readingFloor = toldFloor;
    return { kind: 'read', fromSeq: nextSeq, limit };
  }

  // Nothing to do

  function restStep(gate: Gate, nowMs: number): LaneStep {
    if (isReading || isAskingFloor || pending.length > 0) return waitUntil(undefined);
    const pollAtMs = pollsAtMs(gate);
    if (busy.size > 0) return waitAfter(nowMs, [...instantsOf(gate, nowMs), pollAtMs]);
    const paceAtMs = pace.nextStartAtMs(rate(), nowMs);
    // Whoever holds the lane next does not know when the last request was started.
    if (nowMs < paceAtMs) return waitAfter(nowMs, [...instantsOf(gate, nowMs), pollAtMs, paceAtMs]);
    if (line.of.size() === 0) return closeStep(gate, nowMs);
    const isPatient = gate.shut === 'held' || gate.shut === 'circuit' || isWaitingForHead(nowMs);
    if (isPatient && firstAfter(nowMs, instantsOf(gate, nowMs)) - nowMs > SHORT_WAIT_MS) return sleepStep(gate, nowMs);
    return waitAfter(nowMs, [...instantsOf(gate, nowMs), pollAtMs]);
  }

  function closeStep(gate: Gate, nowMs: number): LaneStep {
    const isKept = subscription !== undefined && isLaneBound(subscription) && gate.shut === undefined;
    const lingersUntilMs = isKept ? lastActiveAtMs + LINGER_MS : -Infinity;
    if (nowMs < lingersUntilMs) return waitAfter(nowMs, [lingersUntilMs, pollsAtMs(gate)]);
    const changes: LaneChange[] = view === undefined ? [] : [{ kind: fate() === 'end' ? 'ended' : 'drained' }];
    apply(changes);
    return { kind: 'close', changes, lookFromSeq: 0 };
  }

  function sleepStep(gate: Gate, nowMs: number): LaneStep {
    earliestDeadlineAtMs = line.of.earliestDeadlineAtMs();
    const untilMs = firstAfter(nowMs, instantsOf(gate, nowMs));
    const look = gate.shut === undefined ? { lookFromSeq: nextSeq } : {};
    return { kind: 'sleep', untilMs: untilMs === Infinity ? undefined : untilMs, ...look };
  }

  /** All that could start was sent; the rest waits for heads that are not due. */
  function isWaitingForHead(nowMs: number): boolean {
    return line.ordering !== 'none' && isEnd && line.of.lowestEventSeq(nowMs) === Infinity;
  }

  /** When new messages are looked for, if there is room for them. */
  function pollsAtMs({ shut }: Gate): number {
    return shut === undefined || shut === 'pace' ? lastReadAtMs + pollMs() : Infinity;
  }

  /** When there is something to do with what is known. */
  function instantsOf({ shut, untilMs = Infinity }: Gate, nowMs: number): number[] {
    return [earliestDeadlineAtMs + 1, untilMs, shut === undefined ? lineDueAtMs(nowMs) : Infinity];
  }

  function lineDueAtMs(nowMs: number): number {
    if (line.ordering === 'none') {
      const batch = subscription?.spec.config.batch;
      return batch === undefined || line.of.size() === 0 ? Infinity : batchDueAtMs(line.of, batch);
    }
    const lowest = line.of.lowestEventSeq(nowMs);
    const floorAtMs = lowest !== Infinity && lowest > floor ? nextFloorAskAtMs : Infinity;
    return Math.min(line.of.nextHeadDueAtMs(), floorAtMs);
  }

  // What came of it

  function settled(report: SendReport, nowMs: number, random: number): Settlement {
    const request = requestOf(report);
    lastActiveAtMs = nowMs;
    const changes: LaneChange[] = report.exchange === undefined ? [] : judge(report.exchange, request, nowMs, random);
    const keep: number[] = [];
    const remove: number[] = [];
    for (const { laneSeq, next } of report.members) {
      const message = busy.get(laneSeq);
      if (line.ordering !== 'none' && next.kind === 'retry' && message !== undefined) {
        const { attempt, atMs: dueAtMs, tried } = next;
        line.of.remember(message, { attempt, dueAtMs, ...(tried === undefined ? {} : { tried }) });
        kept.add(laneSeq);
        keep.push(laneSeq);
        continue;
      }
      if (line.ordering !== 'none') line.of.forgetHead(laneSeq);
      if (next.kind === 'dead') changes.push(...blockAfterDeadLetter(nowMs));
      remove.push(laneSeq);
    }
    if (keep.length > 0 && line.ordering !== 'none') {
      changes.push({ kind: 'heads', heads: line.of.heads(), atMs: nowMs });
    }
    apply(changes);
    return { changes, keep, remove };
  }

  function requestOf({ members }: SendReport): { readonly as: 'normal' | 'probe'; readonly revision: number } {
    for (const { laneSeq } of members) {
      const request = requests.get(laneSeq);
      if (request === undefined) continue;
      requests.delete(laneSeq);
      return request;
    }
    throw new Error(`no request is under way for ${members.map((member) => member.laneSeq).join(', ')}`);
  }

  function judge(
    { outcome, askedUntilMs, status, error }: NonNullable<SendReport['exchange']>,
    { as, revision }: { readonly as: 'normal' | 'probe'; readonly revision: number },
    nowMs: number,
    random: number,
  ): LaneChange[] {
    const isDelivered = outcome === 'delivered';
    const isTripped = failures.record(nowMs, isDelivered, policy()) === 'trip';
    const isRecovering = view?.circuit.kind === 'recovering';
    if (isDelivered) {
      if (isRecovering) rampAllowed = rampUp(rampAllowed, maxInFlight());
      if (as === 'normal') return [];
      failures.forgive();
      rampAllowed = RAMP_START;
      return [{ kind: 'probe_delivered', atMs: nowMs }];
    }
    const failure: Failure = {
      atMs: nowMs,
      failingSinceMs: failures.failingSinceMs() ?? nowMs,
      revision,
      random,
      ...(status === undefined ? {} : { status }),
      ...(error === undefined ? {} : { error }),
    };
    const asked = askedUntilMs === undefined ? {} : { untilMs: askedUntilMs };
    const cause = outcome === 'throttled' || outcome === 'gone' ? outcome : 'failures';
    if (as === 'probe') return [{ kind: 'probe_failed', cause, ...asked, ...failure }];
    if (cause === 'throttled') return [{ kind: 'throttled', ...asked, ...failure }];
    if (cause === 'gone') return [{ kind: 'gone', ...failure }];
    if (isRecovering) rampAllowed = rampDown(rampAllowed);
    const opens = isRecovering ? rampAllowed === 0 || isTripped : isTripped && !isOpen(view?.circuit);
    return opens ? [{ kind: 'opened', ...failure }] : [];
  }
}

function waitUntil(untilMs: number | undefined): LaneStep {
  return { kind: 'wait', untilMs };
}

/** What is over was waited for, and something else is in the way: an input will come. */
function waitAfter(nowMs: number, instants: readonly number[]): LaneStep {
  const untilMs = firstAfter(nowMs, instants);
  return waitUntil(untilMs === Infinity ? undefined : untilMs);
}

function firstAfter(nowMs: number, instants: readonly number[]): number {
  return Math.min(...instants.filter((instant) => instant > nowMs));
}

/** As many of the oldest as go into one body: `[`, `,` between them and `]` counted. A single one always does. */
function batchOf(line: UnorderedLine, { maxEvents, maxBytes }: BatchPolicy): { count: number; isFull: boolean } {
  let bytes = 1;
  let count = 0;
  for (const message of line.first(maxEvents)) {
    bytes += message.bytes + 1;
    if (count > 0 && bytes > maxBytes) break;
    count++;
  }
  return { count, isFull: count === maxEvents || count < line.size() };
}

function batchDueAtMs(line: UnorderedLine, { maxWaitMs }: BatchPolicy): number {
  return (line.first(1)[0]?.storedAtMs ?? Infinity) + maxWaitMs;
}
