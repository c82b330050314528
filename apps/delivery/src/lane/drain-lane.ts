import type { LaneEntry } from '#bus/lane-store';
import type { LaneLease } from '#bus/lane-lease';
import { isOpen, probeDueAtMs, type LaneChange } from '#core/lane/circuit';
import type { FailureWindow } from '#core/lane/failure-window';
import { makeLaneOwner, type LaneOwner, type LaneStep, type SendReport, type SentMember } from '#core/lane/lane-owner';
import type { LaneMessage } from '#core/lane/lane-message';
import type { LaneState } from '#core/lane/lane-state';
import { makePace } from '#core/lane/pace';
import { requestsPerMinuteOf } from '#core/lane/road';
import { triedOf, type SecondTries } from '#core/delivery/second-try';
import { isOurFault, type DeadReason } from '#core/delivery/outcome';
import type { SubscriptionId, TenantId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { Subscription } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { AttemptDelivery, CompletedAttempt, HeldDelivery, ReadyDelivery } from '../attempt-delivery.ts';
import type { SettleOptions } from '../settle-attempt.ts';
import { makeBell } from './bell.ts';
import type { FairSlots } from '../fair-slots.ts';

type Attempts = Pick<AttemptDelivery, 'prepare' | 'send' | 'sendBatch' | 'end'>;
type Result = CompletedAttempt | HeldDelivery;
type Step<Kind extends LaneStep['kind']> = Extract<LaneStep, { kind: Kind }>;

/** What draining needs from outside. Everything that writes resolves when it is stored, and may be repeated. */
export interface DrainLanePorts extends Attempts {
  /** Where the deliveries of the lane go now; undefined when there is nobody to send to (any more). */
  findTarget(laneKey: SubscriptionId): Promise<Subscription | undefined>;
  /** The lane state as this process knows it; what it stored itself is in it. */
  laneState(laneKey: SubscriptionId): LaneState | undefined;
  /** The same with what anybody had stored at the call: the holder before may have done so a moment ago. */
  findState(laneKey: SubscriptionId): Promise<LaneState | undefined>;
  failuresOf(laneKey: SubscriptionId, target: Subscription | undefined): FailureWindow;
  /** Oldest first, from a sequence on. `isEnd`: nothing was behind them when it was asked. */
  readLane(
    laneKey: SubscriptionId,
    fromSeq: number,
    limit: number,
  ): Promise<{ readonly entries: readonly LaneEntry[]; readonly readUpToSeq: number; readonly isEnd: boolean }>;
  /** The task of an entry; undefined when it is none, and then it is set aside and gone. */
  readTask(laneKey: SubscriptionId, entry: LaneEntry): Promise<DeliveryTask | undefined>;
  describe(entry: LaneEntry, task: DeliveryTask, target: Subscription | undefined): Promise<LaneMessage>;
  /** Applies changes to whatever the lane state is, and answers what it is then. */
  changeState(
    laneKey: SubscriptionId,
    changes: readonly LaneChange[],
    target: Subscription | undefined,
  ): Promise<LaneState | undefined>;
  /** Sequence of EVENTS up to which everything of a tenant has been matched and stored. */
  matchedFloor(tenant: TenantId): Promise<number>;
  remove(laneSeq: number): Promise<void>;
  newestSeq(laneKey: SubscriptionId): Promise<number>;
  settle(task: DeliveryTask, completed: CompletedAttempt, options: SettleOptions): Promise<void>;
  hold(held: HeldDelivery): Promise<void>;
  wake(laneKey: SubscriptionId): Promise<void>;
  wakeAt(laneKey: SubscriptionId, atMs: number): Promise<void>;
  /** Has the registry pause or disable the subscription. */
  tellVerdict(laneKey: SubscriptionId, step: Step<'pause' | 'disable'>, state: LaneState | undefined): Promise<void>;
  observe(result: Result): void;
  /** A probe is made so long after it could have been. */
  observeProbeLateness(lateMs: number): void;
  /** Requests of all lanes of this process. */
  readonly slots: FairSlots;
  /** Those that try a sink which failed: thousands that hang at once hold up only each other. */
  readonly probeSlots: FairSlots;
  now(): number;
  random(): number;
  /** Resolves early when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** A lane that is being drained here. */
export interface DrainedLane {
  readonly laneKey: SubscriptionId;
  /** The subscription changed, or is deleted. */
  targetChanged(target: Subscription | undefined): void;
  stateChanged(state: LaneState | undefined): void;
  /** Something may have been put on it. */
  appended(): void;
  inFlightCount(): number;
  /** When the oldest message that is known here was stored, Unix ms; undefined without any. */
  oldestStoredAtMs(): number | undefined;
  /**
   * Resolves when nothing is under way any more and the lease is released or to be given back; rejects when something could
   * not be stored.
   */
  readonly done: Promise<void>;
}

/** Tasks of a lane that are kept in memory, up to a few KB each. */
const REMEMBERED_TASKS = 1024;

/** So often the owner is told at least how long the lease is certain. */
const LONGEST_WAIT_MS = 5_000;

/** A probe for which there is no room is put off by so much, and up to once more. */
const CROWDED_MS = 30_000;

/** No trouble, but this holder must not go on: whoever comes next begins anew. */
class GivenUp extends Error {}

/**
 * Drains one lane under its lease: does what the pure {@link makeLaneOwner} says, one step after the other, requests beside
 * each other. What follows an attempt is stored before its message is removed, so a holder that vanishes repeats at most what
 * was under way.
 */
export function makeDrainLane(ports: DrainLanePorts) {
  return function drainLane(lease: LaneLease): DrainedLane {
    const laneKey = lease.subscription;
    const bell = makeBell();
    const tasks = new Map<number, { task: DeliveryTask; readonly storedAtMs: number }>();
    const running = new Set<Promise<void>>();
    let target: Subscription | undefined;
    let isTargetTold = false;
    let owner: LaneOwner | undefined;
    /** Requests start one after the other, though many may be in flight. */
    let lastStart: Promise<void> = Promise.resolve();
    const requestPace = makePace(lease.takenOver ? ports.now() : undefined);
    let trouble: Error | undefined;
    let hasFailed = false;
    /** Something was told since the owner was asked last. */
    let hasNews = false;
    let changesUnderWay = 0;

    const input = (tell: (to: LaneOwner) => void): void => {
      hasNews = true;
      if (owner !== undefined) tell(owner);
      bell.ring();
    };

    async function drain(): Promise<void> {
      lease.signal.addEventListener('abort', () => input((to) => to.stop()));
      try {
        const found = await ports.findTarget(laneKey);
        // What was told meanwhile is newer.
        if (!isTargetTold) target = found;
        const state = await ports.findState(laneKey);
        if (mustWaitForRoom(state)) {
          await putOff();
          return;
        }
        owner = makeLaneOwner({
          subscription: target,
          state: ports.laneState(laneKey),
          failures: ports.failuresOf(laneKey, target),
          startsUntilMs: startsUntilMs(),
          heldSinceMs: ports.now(),
          isTakeover: lease.takenOver,
        });
        if (lease.signal.aborted) owner.stop();
        await runSteps(owner);
      } catch (error) {
        fail(error);
        await Promise.all(running);
        throw error;
      }
    }

    /** Until the lease is over. */
    async function runSteps(of: LaneOwner): Promise<void> {
      for (;;) {
        if (hasFailed && running.size === 0) {
          leave();
          return;
        }
        of.lease(startsUntilMs());
        hasNews = false;
        const step = of.next(ports.now());
        if (await takeStep(of, step)) return;
      }
    }

    /** @returns true when that was the last one */
    async function takeStep(of: LaneOwner, step: LaneStep): Promise<boolean> {
      switch (step.kind) {
        case 'send':
          run(() => send(of, step));
          return false;
        case 'end':
          run(() => end(of, step));
          return false;
        case 'read':
          run(() => read(of, step));
          return false;
        case 'floor':
          run(async () => {
            // One that is gone is not in order any more.
            of.floor(target === undefined ? 0 : await ports.matchedFloor(target.tenant), ports.now());
          });
          return false;
        case 'pause':
        case 'disable':
          run(() => ports.tellVerdict(laneKey, step, ports.laneState(laneKey)));
          return false;
        case 'wait':
          await bell.wait(Math.min(LONGEST_WAIT_MS, (step.untilMs ?? Infinity) - ports.now()));
          return false;
        case 'sleep':
          await Promise.all(running);
          if (hasFailed) return false;
          if (step.untilMs !== undefined) await ports.wakeAt(laneKey, step.untilMs);
          await releaseAndLook(step);
          return true;
        case 'close':
          await Promise.all(running);
          if (hasFailed) return false;
          await change(step.changes);
          await keepProbing();
          await releaseAndLook(step);
          return true;
        case 'leave':
          await Promise.all(running);
          leave();
          return true;
      }
    }

    /** A lease that waits for the room of a probe is one that a lane with something to do can not have. */
    function mustWaitForRoom(state: LaneState | undefined): boolean {
      const { probeSlots } = ports;
      if (target === undefined || deliveryFateOf(target) !== 'attempt' || !isOpen(state?.circuit)) return false;
      return probeSlots.waiting() >= probeSlots.size && ports.now() >= probeDueAtMs(state.circuit, target.revision);
    }

    async function putOff(): Promise<void> {
      await ports.wakeAt(laneKey, ports.now() + CROWDED_MS * (1 + ports.random()));
      await releaseAndLook({});
    }

    function run(work: () => Promise<void>): void {
      const one = work()
        .catch(fail)
        .finally(() => {
          running.delete(one);
          bell.ring();
        });
      running.add(one);
    }

    /** Nothing more is started; what is under way ends, and somebody else goes on. */
    function fail(error: unknown): void {
      hasFailed = true;
      if (!(error instanceof GivenUp)) trouble ??= error instanceof Error ? error : new Error(String(error));
      owner?.stop();
    }

    /**
     * The lease is given back by whoever gave it, after a pause when there is trouble. Who gets it next knows that it takes
     * over, and waits a distance.
     */
    function leave(): void {
      if (trouble !== undefined) throw trouble;
    }

    /**
     * A message that was stored before the look is seen by it; a wake that is published after the release is accepted. So
     * nothing that comes meanwhile is overlooked (0011). What was told since the owner decided, a resume for example, is looked
     * at by the next holder; and so is what a timer said that fired before the release: its wake was refused.
     */
    async function releaseAndLook({ lookFromSeq, untilMs = Infinity }: Rest): Promise<void> {
      if (!(await keepsDistance())) return;
      const isReleased = await lease.release();
      const isNeeded = !isReleased || ports.now() >= untilMs || (await hasMessageFrom(lookFromSeq));
      if (isNeeded || hasNews) await ports.wake(laneKey);
    }

    async function hasMessageFrom(seq: number | undefined): Promise<boolean> {
      if (seq === undefined) return false;
      const newest = await ports.newestSeq(laneKey);
      return newest > 0 && newest >= seq;
    }

    /** Of an empty lane only the open circuit is left. What comes next has to be tried in time, though nobody holds the lane. */
    async function keepProbing(): Promise<void> {
      const circuit = ports.laneState(laneKey)?.circuit;
      if (isOpen(circuit) && circuit.nextProbeAtMs > ports.now()) await ports.wakeAt(laneKey, circuit.nextProbeAtMs);
    }

    function startsUntilMs(): number {
      return ports.now() + lease.safeForMs();
    }

    async function read(of: LaneOwner, { fromSeq, limit }: Step<'read'>): Promise<void> {
      const { entries, readUpToSeq, isEnd } = await ports.readLane(laneKey, fromSeq, limit);
      const messages: LaneMessage[] = [];
      for (const entry of entries) {
        const task = await ports.readTask(laneKey, entry);
        if (task === undefined) continue;
        if (tasks.size < REMEMBERED_TASKS) tasks.set(entry.laneSeq, { task, storedAtMs: entry.storedAtMs });
        messages.push(await ports.describe(entry, task, target));
      }
      of.messages(messages, readUpToSeq, isEnd, ports.now());
    }

    async function store(of: LaneOwner, changes: readonly LaneChange[]): Promise<void> {
      if (changes.length === 0) return;
      await change(changes);
      // Not what it was right after the change: somebody may have stored another one meanwhile.
      of.changed(changes, ports.laneState(laneKey));
    }

    async function change(changes: readonly LaneChange[]): Promise<void> {
      changesUnderWay++;
      try {
        await ports.changeState(laneKey, changes, target);
      } finally {
        changesUnderWay--;
      }
    }

    async function end(of: LaneOwner, { laneSeqs, attempts, reason, changes }: Step<'end'>): Promise<void> {
      if (reason !== 'deadline_passed') await makeSureOfEnd();
      await store(of, changes);
      await Promise.all(laneSeqs.map((laneSeq, i) => endOne(laneSeq, attempts[i] ?? 1, reason)));
      of.stored(laneSeqs);
    }

    /** What this process knows may be late: of one that was resumed meanwhile nothing ends. */
    async function makeSureOfEnd(): Promise<void> {
      const now = await ports.findTarget(laneKey);
      if (now !== undefined && deliveryFateOf(now) !== 'end') throw new GivenUp(`${laneKey} takes deliveries again`);
    }

    /** @param attempt of a head not the one that its message in LANES asks for: the lane state knows it */
    async function endOne(laneSeq: number, attempt: number, reason: DeadReason): Promise<void> {
      const task = { ...(await taskOf(laneSeq)), attempt };
      const completed = await ports.end(task, reason);
      await ports.settle(task, completed, {});
      ports.observe(completed);
      await forget(laneSeq);
    }

    async function send(of: LaneOwner, { laneSeqs, attempts, as, changes }: Step<'send'>): Promise<void> {
      if (as === 'probe') observeProbe(laneSeqs);
      const slots = as === 'probe' ? ports.probeSlots : ports.slots;
      await slots.acquire(laneKey);
      const sent: Sent[] = [];
      try {
        makeSureToStart();
        await store(of, changes);
        const asked = laneSeqs.map(async (laneSeq, i) => {
          return { laneSeq, task: { ...(await taskOf(laneSeq)), ...triedBefore(laneSeq), attempt: attempts[i] ?? 1 } };
        });
        sent.push(...(await attempt(await Promise.all(asked))));
      } finally {
        slots.release(laneKey);
      }
      const settlement = of.settled(reportOf(sent), ports.now(), ports.random());
      bell.ring();
      await store(of, settlement.changes);
      await Promise.all(sent.map((one) => settle(one, settlement.keep.includes(one.laneSeq))));
      of.stored(laneSeqs);
    }

    /** What the holder before had sent otherwise: a message in LANES is what it was when it came. */
    function triedBefore(laneSeq: number): SecondTries | undefined {
      return ports.laneState(laneKey)?.heads?.find((head) => head.laneSeq === laneSeq)?.tried;
    }

    function observeProbe([laneSeq = 0]: readonly number[]): void {
      const circuit = ports.laneState(laneKey)?.circuit;
      const storedAtMs = tasks.get(laneSeq)?.storedAtMs;
      if (!isOpen(circuit) || storedAtMs === undefined) return;
      ports.observeProbeLateness(ports.now() - Math.max(circuit.nextProbeAtMs, storedAtMs));
    }

    /** Members that are over without a request leave the others to go on. */
    async function attempt(asked: readonly Asked[]): Promise<Sent[]> {
      const prepared = await Promise.all(asked.map(async (one) => ({ ...one, ready: await ports.prepare(one.task) })));
      const over = prepared.flatMap(({ ready, ...one }) => ('target' in ready ? [] : [{ ...one, result: ready }]));
      const going = prepared.flatMap(({ ready, ...asked }) => ('target' in ready ? [{ asked, ready }] : []));
      const results = await request(going.map(({ ready }) => ready));
      return [...over, ...going.flatMap(({ asked: one }, i) => withResult(one, results[i]))];
    }

    async function request([first, ...others]: readonly ReadyDelivery[]): Promise<readonly Result[]> {
      if (first === undefined) return [];
      return others.length === 0 ? [await ports.send(first, before)] : ports.sendBatch([first, ...others], before);
    }

    /**
     * The last moment: signing may have taken longer than the lease is certain, or than the distance between two requests
     * (the owner counts from its own decision, the sink from the request).
     */
    function before(makeReady?: () => Promise<void>): Promise<void> {
      const mine = lastStart.then(() => waitToStart(makeReady));
      lastStart = mine.catch(() => undefined);
      return mine;
    }

    async function waitToStart(makeReady: (() => Promise<void>) | undefined): Promise<void> {
      makeSureToStart();
      for (let nowMs = ports.now(); nowMs < nextStartAtMs(); nowMs = ports.now()) {
        await ports.sleep(nextStartAtMs() - nowMs, lease.signal);
        makeSureToStart();
      }
      if (makeReady !== undefined) {
        await makeReady();
        makeSureToStart();
      }
      requestPace.started(ports.now());
    }

    /** The lane may be somebody else's by now; and a process that stops begins nothing, however long it waited for its turn. */
    function makeSureToStart(): void {
      if (lease.signal.aborted || !lease.isSafe()) throw new GivenUp(`nothing starts under the lease of ${laneKey}`);
    }

    /**
     * Whoever holds the lane next may start at once: not before the rate allows. False when that can not be waited for: then
     * the lease is given back instead, and who gets it waits a distance.
     */
    async function keepsDistance(): Promise<boolean> {
      for (let waitMs = nextStartAtMs() - ports.now(); waitMs > 0; waitMs = nextStartAtMs() - ports.now()) {
        if (lease.signal.aborted || lease.safeForMs() <= waitMs) return false;
        await ports.sleep(waitMs, lease.signal);
      }
      return true;
    }

    function nextStartAtMs(): number {
      return requestPace.nextStartAtMs(target && requestsPerMinuteOf(target), ports.now());
    }

    async function settle({ laneSeq, task, result }: Sent, staysInLane: boolean): Promise<void> {
      if (!('held' in result)) await ports.settle(task, result, { staysInLane });
      else if (!staysInLane) await ports.hold(result);
      ports.observe(result);
      const known = tasks.get(laneSeq);
      if (!staysInLane) await forget(laneSeq);
      else if (known !== undefined) known.task = ('held' in result ? result.held : result.nextTask) ?? task;
    }

    async function forget(laneSeq: number): Promise<void> {
      await ports.remove(laneSeq);
      tasks.delete(laneSeq);
    }

    /** Of a long lane only the beginning is remembered: the order is decided by much less than whole events. */
    async function taskOf(laneSeq: number): Promise<DeliveryTask> {
      const known = tasks.get(laneSeq);
      if (known !== undefined) return known.task;
      const { entries } = await ports.readLane(laneKey, laneSeq, 1);
      const entry = entries.find((one) => one.laneSeq === laneSeq);
      const task = entry && (await ports.readTask(laneKey, entry));
      if (entry === undefined || task === undefined) throw new Error(`entry ${laneSeq} of lane ${laneKey} is gone`);
      tasks.set(laneSeq, { task, storedAtMs: entry.storedAtMs });
      return task;
    }

    return {
      laneKey,
      targetChanged(now) {
        const isReadAsBefore = isReadAlike(target, now);
        target = now;
        isTargetTold = true;
        // Otherwise somebody has to read it anew.
        input((to) => (isReadAsBefore ? to.rules(now) : to.stop()));
      },
      stateChanged(state) {
        // One's own change is no news: the owner made it.
        if (changesUnderWay === 0) input((to) => to.state(state));
        else owner?.state(state);
      },
      appended: () => input((to) => to.appended()),
      inFlightCount: () => owner?.inFlightCount() ?? 0,
      oldestStoredAtMs() {
        const [oldest] = tasks.values();
        return oldest?.storedAtMs;
      },
      done: drain(),
    };
  };
}

type Rest = Pick<Step<'sleep'>, 'lookFromSeq'> & { readonly untilMs?: number | undefined };

interface Asked {
  readonly laneSeq: number;
  readonly task: DeliveryTask;
}

interface Sent extends Asked {
  readonly result: Result;
}

/** True when what is known of the messages of a lane ({@link DrainLanePorts.describe}) is the same for both. */
function isReadAlike(a: Subscription | undefined, b: Subscription | undefined): boolean {
  const [before, after] = [a?.spec.config, b?.spec.config];
  if (before === undefined || after === undefined) return true;
  return (
    before.ordering === after.ordering &&
    (before.batch === undefined) === (after.batch === undefined) &&
    before.retry.deadlineSeconds === after.retry.deadlineSeconds
  );
}

function withResult(asked: Asked, result: Result | undefined): Sent[] {
  return result === undefined ? [] : [{ ...asked, result }];
}

/** Of a batch the exchange is the same for all. One that failed by our own fault says nothing about the sink. */
function reportOf(sent: readonly Sent[]): SendReport {
  const exchanges = sent.flatMap(({ result }) =>
    'held' in result || result.exchange === undefined ? [] : [result.exchange],
  );
  const exchange = exchanges.find(({ error }) => error === undefined || !isOurFault(error));
  return { ...(exchange === undefined ? {} : { exchange }), members: sent.map(memberOf) };
}

function memberOf({ laneSeq, task, result }: Sent): SentMember {
  if ('held' in result) {
    return { laneSeq, next: { kind: 'retry', attempt: task.attempt, atMs: result.untilMs, ...withTried(result.held) } };
  }
  const { fact, nextTask } = result;
  if (fact.next.kind !== 'retry') return { laneSeq, next: fact.next };
  return { laneSeq, next: { ...fact.next, attempt: task.attempt + 1, ...withTried(nextTask ?? task) } };
}

function withTried(next: DeliveryTask): { readonly tried?: SecondTries } {
  const tried = triedOf(next);
  return tried === undefined ? {} : { tried };
}
