import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import type { Outcome } from '../delivery/outcome.ts';
import { DEFAULT_RETRY_POLICY } from '../delivery/retry-policy.ts';
import { decideNext } from '../delivery/retry-schedule.ts';
import { deliveryFateOf, isMatched } from '../registry/subscription-state.ts';
import type { BatchPolicy, Ordering, Subscription } from '../registry/subscription.ts';
import { changeLane, type Failure, type LaneChange } from './circuit.ts';
import { makeFailureWindow } from './failure-window.ts';
import { makeLaneOwner, type LaneOwner, type LaneStep, type SentMember } from './lane-owner.ts';
import type { LaneState } from './lane-state.ts';
import { mayRest, roadOf } from './road.ts';

/*
 * The engine in a world of its own: the streams as data, workers as coroutines whose every call to a stream takes its time
 * and may be the last thing that they do. What is decided is decided by the real pure pieces; what is modelled here is what
 * the adapters have to be (docs/adr/0011-lanes.md).
 */

const ACK_WAIT_MS = 10_000;
const LONGEST_REQUEST_MS = 2_000;
const SWEEP_MS = 60_000;
/** How seldom a lane that is known to sleep is woken by those who append to it. */
const LAZY_WAKE_MS = 2_000;
const LONGEST_IDLE_MS = 3_000;
const TROUBLE_MS = 90_000;
const CALM_MS = 240_000;

interface Scenario {
  readonly seed: number;
  readonly workers: number;
  readonly ordering: Ordering;
  readonly onDeadLetter: 'skip' | 'block';
  readonly requestsPerMinute?: number;
  readonly batch?: BatchPolicy;
  readonly maxInFlight: number;
  readonly events: number;
  /** Share of calls after which the worker is killed. 0: nothing ever crashes or stalls, and there is no sweep. */
  readonly crashes: number;
  readonly sink: 'well' | 'failing' | 'throttling' | 'mixed' | 'retiring';
  readonly isPausedNowAndThen: boolean;
}

/** What an adapter could get wrong: planted, to see that it is noticed. */
type Fault =
  | 'no look after the release'
  | 'wake before the message is stored'
  | 'delete before the next step'
  | 'lease is not watched'
  | 'takeover starts at once'
  | 'floor is made up'
  | 'key goes on before it is stored';

interface Task {
  readonly delivery: number;
  readonly eventSeq: number;
  readonly key: string;
  readonly attempt: number;
  readonly deadlineAtMs: number;
}

interface Queued<Payload> {
  readonly payload: Payload;
  isDone: boolean;
  /** One more with each redelivery. */
  turn: number;
}

interface Worker {
  readonly id: number;
  /** Raised by a crash: what belongs to an earlier life goes on no more. */
  life: number;
  isUp: boolean;
  stalledUntilMs: number;
  state: { value: LaneState | undefined; revision: number };
  subscription: Subscription;
  commonInFlight: number;
  window: ReturnType<typeof makeFailureWindow>;
  lane: Lane | undefined;
  lastWakeAtMs: number;
}

interface Lane {
  readonly owner: LaneOwner;
  readonly lease: number;
  readonly sinceMs: number;
  isOver: boolean;
  /** The subscription has changed since the owner was asked last. */
  hasNews: boolean;
  seenRevision: number;
  wakeUp: () => void;
  /** Changes are written one after the other. */
  isWriting: boolean;
  readonly writers: (() => void)[];
}

type Op =
  { readonly call: () => unknown } | { readonly sleepMs: number } | { readonly park: (resume: () => void) => void };
type Routine<Result = void> = Generator<Op, Result, unknown>;

function* call<Result>(run: () => Result): Routine<Result> {
  return (yield { call: run }) as Result;
}

function* sleep(sleepMs: number): Routine {
  yield { sleepMs };
}

/** Mulberry32. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function makeTimeline() {
  const heap: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];
  let order = 0;
  const isBefore = (a: number, b: number): boolean => {
    const [x, y] = [heap[a], heap[b]];
    if (x === undefined || y === undefined) return x !== undefined;
    return x.atMs < y.atMs || (x.atMs === y.atMs && x.order < y.order);
  };
  const swap = (a: number, b: number): void => {
    const [x, y] = [heap[a], heap[b]];
    if (x === undefined || y === undefined) return;
    heap[a] = y;
    heap[b] = x;
  };
  return {
    at(atMs: number, run: () => void): void {
      heap.push({ atMs, order: order++, run });
      for (let i = heap.length - 1; i > 0 && isBefore(i, (i - 1) >> 1); i = (i - 1) >> 1) swap(i, (i - 1) >> 1);
    },
    take(): { readonly atMs: number; readonly run: () => void } | undefined {
      const first = heap[0];
      const last = heap.pop();
      if (first === undefined || last === undefined || heap.length === 0) return first;
      heap[0] = last;
      for (let i = 0; ;) {
        const child = isBefore(2 * i + 2, 2 * i + 1) ? 2 * i + 2 : 2 * i + 1;
        if (child >= heap.length || !isBefore(child, i)) return first;
        swap(i, child);
        i = child;
      }
    },
  };
}

function play(scenario: Scenario, fault?: Fault): void {
  const random = makeRandom(scenario.seed);
  const between = (low: number, high: number): number => low + random() * (high - low);
  const timeline = makeTimeline();
  let nowMs = 0;
  const isCalm = (): boolean => nowMs > TROUBLE_MS;

  // What was promised
  const terminal = new Map<number, number>();
  const obligations = new Map<number, Task>();
  const retries = new Map<number, { readonly attempt: number; readonly atMs: number }>();
  const removed = new Map<number, number>();
  const rateStarts: number[] = [];
  let lastLease = 0;

  function fail(what: string): never {
    throw new Error(`${what} at ${Math.round(nowMs)} ms`);
  }

  // EVENTS, DELIVERIES, RETRIES, LANES, WAKE, CIRCUITS, REGISTRY

  const events: Queued<{ readonly seq: number; readonly key: string }>[] = [];
  const lane = new Map<number, { readonly task: Task; readonly storedAtMs: number }>();
  let laneSeq = 0;
  const stored = new Set<string>();
  const timers = new Map<string, { readonly atMs: number; readonly task?: Task }>();
  let wake: { lease: number; lockedUntilMs: number; deliveries: number } | undefined;
  let leases = 0;
  let circuit: { readonly value: LaneState | undefined; readonly revision: number } = { value: undefined, revision: 0 };
  let subscription = aSubscription({
    spec: aSpec({
      config: {
        ordering: scenario.ordering,
        onDeadLetter: scenario.onDeadLetter,
        maxInFlight: scenario.maxInFlight,
        retry: { ...DEFAULT_RETRY_POLICY, delaysSeconds: [1, 3, 8, 20], whenExhausted: 'stop', deadlineSeconds: 60 },
        circuit: {
          consecutiveFailures: 3,
          failureRatio: 0.5,
          windowSeconds: 10,
          minimumRequests: 10,
          firstProbeSeconds: 2,
          longestProbeSeconds: 8,
          disableAfterSeconds: 100_000,
        },
        ...(scenario.requestsPerMinute === undefined
          ? {}
          : { rate: { requestsPerMinute: scenario.requestsPerMinute } }),
        ...(scenario.batch === undefined ? {} : { batch: scenario.batch }),
      },
    }),
  });
  const policy = subscription.spec.config.circuit;

  // Workers

  const workers: Worker[] = Array.from({ length: scenario.workers }, (_, id) => ({
    id,
    life: 0,
    isUp: true,
    stalledUntilMs: 0,
    state: { value: undefined, revision: 0 },
    subscription,
    commonInFlight: 0,
    window: makeFailureWindow(),
    lane: undefined,
    lastWakeAtMs: -Infinity,
  }));

  function spawn(worker: Worker, routine: Routine): void {
    const { life } = worker;
    const proceed = (result: unknown): void => {
      if (worker.life !== life) return;
      const { done, value } = routine.next(result);
      if (done === true) return;
      if ('sleepMs' in value) return timeline.at(nowMs + value.sleepMs, () => proceed(undefined));
      if ('park' in value) return value.park(() => proceed(undefined));
      const sentAtMs = Math.max(nowMs, worker.stalledUntilMs);
      timeline.at(sentAtMs + between(0, 15), () => {
        const isDead = worker.life !== life;
        // What was on its way when the worker died may arrive or not.
        if (isDead && random() < 0.5) return;
        const answer = value.call();
        if (isDead) return;
        if (!isCalm() && random() < scenario.crashes) trouble(worker);
        if (worker.life !== life) return;
        timeline.at(Math.max(nowMs, worker.stalledUntilMs) + between(0, 15), () => proceed(answer));
      });
    };
    proceed(undefined);
  }

  function trouble(worker: Worker): void {
    if (random() < 0.3) worker.stalledUntilMs = nowMs + between(1000, 2 * ACK_WAIT_MS);
    else crash(worker);
  }

  function crash(worker: Worker): void {
    worker.life++;
    worker.isUp = false;
    timeline.at(nowMs + between(100, 5000), () => {
      worker.isUp = true;
      worker.lane = undefined;
      worker.stalledUntilMs = 0;
      worker.commonInFlight = 0;
      worker.window = makeFailureWindow();
      worker.state = circuit;
      worker.subscription = subscription;
      startWorker(worker);
    });
  }

  function startWorker(worker: Worker): void {
    if (scenario.crashes > 0) spawn(worker, sweep(worker));
    // A process that comes up does not know what it has missed.
    spawn(worker, publishWakeIfNeeded(worker));
  }

  function anyWorker(): Worker | undefined {
    const up = workers.filter((worker) => worker.isUp);
    return up[Math.floor(random() * up.length)];
  }

  /** A consumer: hands the message to some worker, and to another one when it is not acknowledged in time. */
  function handOut<Payload>(message: Queued<Payload>, handle: (worker: Worker, turn: number) => Routine): void {
    if (message.isDone) return;
    const worker = anyWorker();
    if (worker === undefined) return timeline.at(nowMs + 500, () => handOut(message, handle));
    const turn = ++message.turn;
    spawn(worker, handle(worker, turn));
    timeline.at(nowMs + ACK_WAIT_MS, () => handOut(message, handle));
  }

  const ack = (message: Queued<unknown>) => () => void (message.isDone = true);

  // Streams

  function publishWake(): void {
    if (wake !== undefined) return;
    wake = { lease: 0, lockedUntilMs: 0, deliveries: 0 };
    deliverWake();
  }

  function deliverWake(): void {
    if (wake === undefined || wake.lockedUntilMs > nowMs) return;
    const worker = anyWorker();
    if (worker === undefined || worker.lane !== undefined) return timeline.at(nowMs + 200, deliverWake);
    wake.lease = ++leases;
    wake.lockedUntilMs = nowMs + ACK_WAIT_MS;
    wake.deliveries++;
    const { lease, deliveries } = wake;
    timeline.at(wake.lockedUntilMs, deliverWake);
    spawn(worker, hold(worker, lease, deliveries > 1));
  }

  function appendToLane(task: Task): void {
    const id = `lane ${task.delivery}:${task.attempt}`;
    if (stored.has(id)) return;
    stored.add(id);
    lane.set(++laneSeq, { task, storedAtMs: nowMs });
  }

  function putTimer(subject: string, atMs: number, task?: Task): void {
    if (task !== undefined && stored.has(`timer ${task.delivery}:${task.attempt}`)) return;
    if (task !== undefined) stored.add(`timer ${task.delivery}:${task.attempt}`);
    const timer = { atMs, ...(task === undefined ? {} : { task }) };
    timers.set(subject, timer);
    timeline.at(Math.max(nowMs, atMs) + between(0, 300), () => {
      if (timers.get(subject) !== timer) return;
      timers.delete(subject);
      if (timer.task === undefined) {
        const fired: Queued<undefined> = { payload: undefined, isDone: false, turn: 0 };
        handOut(fired, function* () {
          yield* call(publishWake);
          yield* call(ack(fired));
        });
      } else addToRoad(timer.task);
    });
  }

  const onRoad = new Set<Queued<Task>>();

  function addToRoad(task: Task): void {
    const id = `road ${task.delivery}:${task.attempt}`;
    if (stored.has(id)) return;
    stored.add(id);
    const message: Queued<Task> = { payload: task, isDone: false, turn: 0 };
    onRoad.add(message);
    handOut(message, (worker) => travel(worker, message));
  }

  function matchedFloor(): number {
    const first = events.find((event) => !event.isDone);
    return (first?.payload.seq ?? events.length + 1) - 1;
  }

  function writeCircuit(value: LaneState | undefined): void {
    circuit = { value, revision: circuit.revision + 1 };
    const written = circuit;
    for (const worker of workers) {
      const { life } = worker;
      timeline.at(nowMs + between(0, 100), () => {
        if (worker.life !== life || worker.state.revision >= written.revision) return;
        worker.state = written;
        see(worker.lane, written);
      });
    }
  }

  function see(held: Lane | undefined, { value, revision }: typeof circuit): void {
    if (held === undefined || held.isOver || held.seenRevision >= revision) return;
    held.seenRevision = revision;
    held.owner.state(value);
    held.wakeUp();
  }

  function* changeCircuit(worker: Worker, changes: readonly LaneChange[]): Routine<typeof circuit> {
    for (;;) {
      const read = yield* call(() => circuit);
      const value = changes.reduce<LaneState | undefined>(
        (state, change) => changeLane(state, change, policy),
        read.value,
      );
      const written = yield* call(() => {
        if (circuit.revision !== read.revision) return undefined;
        writeCircuit(value);
        for (const change of changes) {
          if ('untilMs' in change) quiet.push({ knownAtMs: nowMs + 100, untilMs: change.untilMs ?? 0 });
        }
        return circuit;
      });
      if (written === undefined) continue;
      if (worker.state.revision < written.revision) worker.state = written;
      return written;
    }
  }

  function command(next: Subscription['state']): void {
    if (subscription.state === next || subscription.state === 'disabled') return;
    subscription = { ...subscription, state: next, revision: subscription.revision + 1 };
    const written = subscription;
    for (const worker of workers) {
      const { life } = worker;
      timeline.at(nowMs + between(0, 200), () => {
        if (worker.life !== life || worker.subscription.revision >= written.revision) return;
        const before = deliveryFateOf(worker.subscription);
        worker.subscription = written;
        if (worker.lane !== undefined) {
          worker.lane.owner.rules(written);
          worker.lane.hasNews = true;
          worker.lane.wakeUp();
        }
        // Whatever the lane slept for, it was for what the subscription was then.
        if (before !== deliveryFateOf(written) && before !== 'attempt') spawn(worker, wakeAnyhow(worker));
        if (deliveryFateOf(written) === 'end') spawn(worker, wakeAnyhow(worker));
      });
    }
  }

  // The sink

  function answer(): { readonly outcome: Outcome; readonly askedUntilMs?: number } {
    if (isCalm() || scenario.sink === 'well') return { outcome: 'delivered' };
    const mood = Math.floor(nowMs / 15_000) % 3;
    const luck = random();
    switch (scenario.sink) {
      case 'failing':
        return { outcome: mood === 1 || luck < 0.2 ? 'retryable' : 'delivered' };
      case 'throttling':
        return mood === 1
          ? { outcome: 'throttled', ...(luck < 0.5 ? { askedUntilMs: nowMs + 4000 } : {}) }
          : { outcome: 'delivered' };
      case 'retiring':
        return { outcome: nowMs > TROUBLE_MS / 2 ? 'gone' : 'delivered' };
      case 'mixed':
        return {
          outcome: luck < 0.3 ? 'delivered' : luck < 0.6 ? 'retryable' : luck < 0.8 ? 'permanent' : 'throttled',
        };
    }
  }

  function started(tasks: readonly Task[], as: string, held?: Lane): void {
    const lease = held?.lease ?? 0;
    if (scenario.requestsPerMinute !== undefined) rateStarts.push(nowMs);
    if (lease > 0 && lease < lastLease) fail(`a holder started a request after the next one had (lease ${lease})`);
    lastLease = Math.max(lastLease, lease);
    checkQuiet();
    for (const task of tasks) {
      if (terminal.has(task.delivery) && !isOwed(task, held))
        fail(`delivery ${task.delivery} is sent after its end (${as})`);
      if (scenario.ordering !== 'none') checkOrder(task);
      checkSchedule(task);
    }
  }

  /** A crash between the fact and the deletion repeats an attempt; nothing else may. */
  function isOwed({ delivery }: Task, held: Lane | undefined): boolean {
    if (scenario.crashes === 0) return false;
    if ([...lane.values()].some(({ task }) => task.delivery === delivery)) return true;
    if ([...onRoad].some((message) => !message.isDone && message.payload.delivery === delivery)) return true;
    // Deleted late, by a holder that was cut off: the one after it had read the message before.
    return held !== undefined && held.sinceMs < (removed.get(delivery) ?? 0);
  }

  function checkSchedule({ delivery, attempt }: Task): void {
    const next = retries.get(delivery);
    if (scenario.crashes > 0) return;
    if (attempt !== (next?.attempt ?? 1)) fail(`delivery ${delivery} repeats attempt ${attempt}`);
    if (next !== undefined && nowMs < next.atMs) fail(`delivery ${delivery} is not due`);
    retries.set(delivery, { attempt: attempt + 1, atMs: Infinity });
  }

  function remove(seq: number): void {
    const delivery = lane.get(seq)?.task.delivery;
    if (delivery !== undefined) removed.set(delivery, nowMs);
    lane.delete(seq);
  }

  /** Without crashes no sweep is needed: a lane that has something to do is held, or its wake is on the way. */
  let idleSinceMs: number | undefined;

  function checkHeld(): void {
    const isAlone = lane.size > 0 && wake === undefined && !timers.has('_wake');
    const isForgotten = isAlone && !mayRest(subscription, circuit.value, nowMs);
    idleSinceMs = isForgotten ? (idleSinceMs ?? nowMs) : undefined;
    if (scenario.crashes === 0 && nowMs - (idleSinceMs ?? nowMs) > LONGEST_IDLE_MS) fail('the lane is forgotten');
  }

  /** What the sink asked for, and when every worker that is alive had to know. */
  const quiet: { readonly knownAtMs: number; readonly untilMs: number }[] = [];

  function checkQuiet(): void {
    if (quiet.some(({ knownAtMs, untilMs }) => knownAtMs < nowMs && nowMs < untilMs)) fail('the sink asked to wait');
  }

  const lastOfKey = new Map<string, number>();

  function checkOrder(task: Task): void {
    const key = scenario.ordering === 'subscription' ? '' : task.key;
    if (task.eventSeq < (lastOfKey.get(key) ?? 0))
      fail(`event ${task.eventSeq} of key '${key}' is sent after a later one`);
    lastOfKey.set(key, task.eventSeq);
    for (const other of obligations.values()) {
      const isEarlier = other.eventSeq < task.eventSeq && (scenario.ordering === 'subscription' || other.key === key);
      if (isEarlier && !terminal.has(other.delivery)) fail(`event ${task.eventSeq} overtakes ${other.eventSeq}`);
    }
    for (const event of events) {
      const { seq, key: of } = event.payload;
      if (
        seq < task.eventSeq &&
        !event.isDone &&
        !obligations.has(seq) &&
        (scenario.ordering === 'subscription' || of === key)
      ) {
        fail(`event ${task.eventSeq} overtakes ${seq}, which is not matched yet`);
      }
    }
  }

  function nextOf(task: Task, { outcome, askedUntilMs }: ReturnType<typeof answer>): ReturnType<typeof decideNext> {
    const asked = askedUntilMs === undefined ? {} : { retryAfter: String(Math.ceil((askedUntilMs - nowMs) / 1000)) };
    const { deadlineAtMs, attempt } = task;
    const next = decideNext({
      outcome,
      ...asked,
      attempt,
      firstAttempt: 1,
      policy: subscription.spec.config.retry,
      deadlineAtMs,
      nowMs,
      random: random(),
    });
    if (next.kind === 'retry') retries.set(task.delivery, { attempt: attempt + 1, atMs: next.atMs });
    return next;
  }

  // What a worker does: match, travel the common road, hold a lane, sweep

  function* match(worker: Worker, event: (typeof events)[number]): Routine {
    const { seq, key } = event.payload;
    if (isMatched(worker.subscription)) {
      const task: Task = { delivery: seq, eventSeq: seq, key, attempt: 1, deadlineAtMs: nowMs + 60_000 };
      const { road } = roadOf(worker.subscription, worker.state.value, nowMs);
      const due = obligations.get(seq) ?? task;
      if (road === 'lane') yield* takeToLane(worker, due);
      else yield* call(() => (obligations.set(seq, due), addToRoad(due)));
    }
    yield* call(ack(event));
  }

  function* takeToLane(worker: Worker, task: Task): Routine {
    if (fault === 'wake before the message is stored') yield* call(publishWake);
    yield* call(() => (obligations.set(task.delivery, obligations.get(task.delivery) ?? task), appendToLane(task)));
    if (fault === 'wake before the message is stored') return;
    worker.lane?.owner.appended();
    worker.lane?.wakeUp();
    const { isAsleep } = roadOf(worker.subscription, worker.state.value, nowMs);
    const quietMs = isAsleep ? LAZY_WAKE_MS : 50;
    if (nowMs - worker.lastWakeAtMs >= quietMs) {
      worker.lastWakeAtMs = nowMs;
      yield* call(publishWake);
    } else if (isAsleep) spawn(worker, wakeLater(worker, worker.lastWakeAtMs + quietMs - nowMs));
    else {
      yield* sleep(worker.lastWakeAtMs + quietMs - nowMs);
      yield* call(publishWake);
    }
  }

  function* wakeLater(worker: Worker, waitMs: number): Routine {
    yield* sleep(waitMs);
    worker.lastWakeAtMs = nowMs;
    yield* call(publishWake);
  }

  function* travel(worker: Worker, message: Queued<Task>): Routine {
    const task = message.payload;
    const { road } = roadOf(worker.subscription, worker.state.value, nowMs);
    const share = Math.max(1, Math.floor(scenario.maxInFlight / scenario.workers));
    if (road === 'end') {
      yield* call(() => void terminal.set(task.delivery, terminal.get(task.delivery) ?? nowMs));
    } else if (road === 'lane' || worker.commonInFlight >= share) {
      yield* takeToLane(worker, task);
    } else {
      worker.commonInFlight++;
      if (nowMs <= task.deadlineAtMs) yield* sendOnRoad(worker, task);
      else yield* call(() => void terminal.set(task.delivery, terminal.get(task.delivery) ?? nowMs));
      worker.commonInFlight--;
    }
    yield* call(ack(message));
  }

  function* sendOnRoad(worker: Worker, task: Task): Routine {
    const { revision } = worker.subscription;
    started([task], 'common road');
    yield* sleep(between(1, LONGEST_REQUEST_MS / 4));
    const said = answer();
    const tripped = worker.window.record(nowMs, said.outcome === 'delivered', policy);
    const failure: Failure = { atMs: nowMs, failingSinceMs: nowMs, revision, random: random() };
    const asked = said.askedUntilMs === undefined ? {} : { untilMs: said.askedUntilMs };
    if (said.outcome === 'throttled') yield* changeCircuit(worker, [{ kind: 'throttled', ...asked, ...failure }]);
    else if (said.outcome === 'gone') {
      yield* changeCircuit(worker, [{ kind: 'gone', ...failure }]);
      yield* call(() => command('disabled'));
    } else if (tripped) yield* changeCircuit(worker, [{ kind: 'opened', ...failure }]);
    yield* follow(task, nextOf(task, said));
  }

  /** The next step is stored, then the fact. */
  function* follow(task: Task, next: ReturnType<typeof decideNext> | SentMember['next']): Routine {
    if (next.kind === 'retry') {
      yield* call(() => putTimer(`retry ${task.delivery}`, next.atMs, { ...task, attempt: task.attempt + 1 }));
    } else yield* call(() => void terminal.set(task.delivery, terminal.get(task.delivery) ?? nowMs));
  }

  function* wakeAnyhow(worker: Worker): Routine {
    const isEmpty = yield* call(() => lane.size === 0);
    if (!isEmpty || worker.state.value !== undefined) yield* call(publishWake);
  }

  function* publishWakeIfNeeded(worker: Worker): Routine {
    if (yield* isWakeMissing(worker)) yield* call(publishWake);
  }

  function* sweep(worker: Worker): Routine {
    for (;;) {
      yield* sleep(SWEEP_MS);
      if (yield* isWakeMissing(worker)) yield* call(publishWake);
    }
  }

  /** Messages, or what is left of a lane whose subscription has ended. */
  function* isWakeMissing(worker: Worker): Routine<boolean> {
    const isEmpty = yield* call(() => lane.size === 0);
    const isLeft = worker.state.value !== undefined && deliveryFateOf(worker.subscription) === 'end';
    return (!isEmpty || isLeft) && !mayRest(worker.subscription, worker.state.value, nowMs);
  }

  function* hold(worker: Worker, lease: number, isTakeover: boolean): Routine {
    const owner = makeLaneOwner({
      subscription: worker.subscription,
      state: worker.state.value,
      failures: worker.window,
      startsUntilMs: fault === 'lease is not watched' ? Infinity : 0,
      heldSinceMs: nowMs,
      isTakeover: isTakeover && fault !== 'takeover starts at once',
    });
    const held: Lane = {
      owner,
      lease,
      sinceMs: nowMs,
      isOver: false,
      hasNews: false,
      seenRevision: worker.state.revision,
      wakeUp: () => undefined,
      isWriting: false,
      writers: [],
    };
    worker.lane = held;
    spawn(worker, renew(held));
    for (;;) {
      held.hasNews = false;
      const step = owner.next(nowMs);
      switch (step.kind) {
        case 'send':
          spawn(worker, request(worker, held, step));
          break;
        case 'end':
          spawn(worker, end(worker, held, step));
          break;
        case 'read': {
          const page = yield* call(() => readLane(step.fromSeq, step.limit));
          owner.messages(page.list, page.readUpToSeq, page.isEnd, nowMs);
          break;
        }
        case 'floor':
          owner.floor(fault === 'floor is made up' ? Infinity : yield* call(matchedFloor), nowMs);
          break;
        case 'pause':
        case 'disable':
          yield* call(() => {
            if (subscription.revision === step.revision) command(step.kind === 'pause' ? 'paused' : 'disabled');
          });
          break;
        case 'wait':
          if (step.untilMs !== undefined && step.untilMs <= nowMs) fail('a wait that is over');
          yield* park(held, step.untilMs);
          break;
        case 'sleep':
        case 'close':
        case 'leave':
          yield* part(worker, held, step);
          return;
      }
    }
  }

  function* park(held: Lane, untilMs: number | undefined): Routine {
    yield {
      park: (resume) => {
        let isOver = false;
        held.wakeUp = () => {
          if (isOver) return;
          isOver = true;
          timeline.at(nowMs, resume);
        };
        if (untilMs !== undefined) timeline.at(untilMs, held.wakeUp);
      },
    };
  }

  function readLane(fromSeq: number, limit: number) {
    const seqs = [...lane.keys()].filter((seq) => seq >= fromSeq).toSorted((a, b) => a - b);
    const list = seqs.slice(0, Math.min(limit, 5)).map((seq) => {
      const { task, storedAtMs } = lane.get(seq) ?? fail('unreachable');
      return {
        laneSeq: seq,
        eventSeq: task.eventSeq,
        key: task.key,
        bytes: 100,
        attempt: task.attempt,
        deadlineAtMs: task.deadlineAtMs,
        storedAtMs,
      };
    });
    const isEnd = seqs.length === list.length;
    return { list, readUpToSeq: isEnd ? laneSeq : (list.at(-1)?.laneSeq ?? laneSeq), isEnd };
  }

  function* part(worker: Worker, held: Lane, step: Extract<LaneStep, { kind: 'sleep' | 'close' | 'leave' }>): Routine {
    held.isOver = true;
    const release = () => {
      if (wake?.lease !== held.lease) return;
      if (step.kind !== 'leave') wake = undefined;
      else {
        wake.lockedUntilMs = nowMs;
        deliverWake();
      }
    };
    if (step.kind === 'close' && step.changes.length > 0) yield* changeCircuit(worker, step.changes);
    if (step.kind === 'sleep' && step.untilMs !== undefined) {
      const { untilMs } = step;
      yield* call(() => putTimer('_wake', untilMs));
    }
    yield* call(release);
    if (worker.lane === held) worker.lane = undefined;
    if (step.kind === 'leave') return;
    const isNeeded = held.hasNews || (yield* hasMessageFrom(step.lookFromSeq));
    if (isNeeded) yield* call(publishWake);
  }

  function* hasMessageFrom(lookFromSeq: number | undefined): Routine<boolean> {
    if (lookFromSeq === undefined || fault === 'no look after the release') return false;
    return yield* call(() => [...lane.keys()].some((seq) => seq >= lookFromSeq));
  }

  function* renew(held: Lane): Routine {
    while (!held.isOver) {
      const sentAtMs = nowMs;
      const isConfirmed = yield* call(() => {
        if (wake?.lease !== held.lease || wake.lockedUntilMs < nowMs) return false;
        wake.lockedUntilMs = nowMs + ACK_WAIT_MS;
        timeline.at(wake.lockedUntilMs, deliverWake);
        return true;
      });
      if (isConfirmed) held.owner.lease(sentAtMs + ACK_WAIT_MS - LONGEST_REQUEST_MS);
      held.wakeUp();
      if (!isConfirmed) return giveUp(held);
      yield* sleep(ACK_WAIT_MS / 4);
    }
  }

  /** The lease is lost: somebody else holds the lane. */
  function giveUp(held: Lane): void {
    if (fault === 'lease is not watched') return;
    held.isOver = true;
    held.owner.stop();
    held.wakeUp();
    for (const worker of workers) if (worker.lane === held) worker.lane = undefined;
  }

  function* store(worker: Worker, held: Lane, list: readonly LaneChange[]): Routine {
    if (list.length === 0) return;
    if (held.isWriting) yield { park: (resume) => void held.writers.push(resume) };
    held.isWriting = true;
    const { value, revision } = yield* changeCircuit(worker, list);
    const isNews = held.seenRevision < revision;
    held.seenRevision = Math.max(held.seenRevision, revision);
    held.owner.changed(list, isNews ? value : worker.state.value);
    held.wakeUp();
    const next = held.writers.shift();
    if (next === undefined) held.isWriting = false;
    else timeline.at(nowMs, next);
  }

  function* request(worker: Worker, held: Lane, step: Extract<LaneStep, { kind: 'send' }>): Routine {
    const tasks = step.laneSeqs.map((seq, at) => ({
      ...(taskOf.get(seq) ?? taskIn(seq)),
      attempt: step.attempts[at] ?? 0,
    }));
    started(tasks, `lane, ${step.as}`, held);
    if (tasks.some((task) => nowMs > task.deadlineAtMs)) fail('an attempt after the deadline');
    spawn(worker, store(worker, held, step.changes));
    yield* sleep(random() < 0.05 ? between(1000, LONGEST_REQUEST_MS) : between(1, 300));
    const said = answer();
    const members = step.laneSeqs.map((seq, at): SentMember => {
      const task = tasks[at] ?? fail('unreachable');
      const next = nextOf(task, said);
      return { laneSeq: seq, next: next.kind === 'retry' ? { ...next, attempt: task.attempt + 1 } : next };
    });
    const settlement = held.owner.settled({ exchange: said, members }, nowMs, random());
    if (fault === 'key goes on before it is stored') held.owner.stored(step.laneSeqs);
    held.wakeUp();
    if (fault === 'delete before the next step') yield* call(() => settlement.remove.forEach(remove));
    yield* store(worker, held, settlement.changes);
    for (const [at, { laneSeq: seq, next }] of members.entries()) {
      if (settlement.remove.includes(seq)) yield* follow(tasks[at] ?? fail('unreachable'), next);
    }
    yield* call(() => settlement.remove.forEach(remove));
    held.owner.stored(step.laneSeqs);
    held.wakeUp();
  }

  /** What the holder has read; its memory is not part of the model. */
  const taskOf = new Map<number, Task>();

  function taskIn(seq: number): Task {
    const { task } = lane.get(seq) ?? fail(`message ${seq} is not there any more`);
    taskOf.set(seq, task);
    return task;
  }

  function* end(worker: Worker, held: Lane, { laneSeqs, changes }: Extract<LaneStep, { kind: 'end' }>): Routine {
    yield* store(worker, held, changes);
    for (const seq of laneSeqs) {
      const task = lane.get(seq)?.task;
      if (task === undefined) continue;
      yield* call(() => void terminal.set(task.delivery, terminal.get(task.delivery) ?? nowMs));
      yield* call(() => remove(seq));
    }
    held.owner.stored(laneSeqs);
    held.wakeUp();
  }

  // The story

  for (const worker of workers) startWorker(worker);
  const keys = ['', 'a', 'b'];
  const publish = (): void => {
    const event = {
      payload: { seq: events.length + 1, key: keys[Math.floor(random() * 3)] ?? '' },
      isDone: false,
      turn: 0,
    };
    events.push(event);
    handOut(event, (worker) => match(worker, event));
  };
  for (let i = 0; i < scenario.events; i++)
    timeline.at(random() < 0.5 ? between(0, TROUBLE_MS) : between(0, 200), publish);
  timeline.at(TROUBLE_MS + 30_000, publish);
  if (scenario.isPausedNowAndThen) {
    for (let atMs = between(0, 30_000); atMs < TROUBLE_MS; atMs += between(5000, 30_000)) {
      timeline.at(atMs, () => command(subscription.state === 'active' ? 'paused' : 'active'));
    }
  }
  for (let atMs = TROUBLE_MS; atMs < TROUBLE_MS + CALM_MS; atMs += 1000) timeline.at(atMs, () => command('active'));

  for (let due = timeline.take(); due !== undefined && due.atMs < TROUBLE_MS + CALM_MS; due = timeline.take()) {
    nowMs = due.atMs;
    due.run();
    checkHeld();
  }

  for (const { delivery } of obligations.values())
    if (!terminal.has(delivery)) fail(`delivery ${delivery} has vanished or waits`);
  if (lane.size > 0) fail(`the lane still has ${lane.size} messages`);
  if (timers.size > 0) fail(`timers are left: ${[...timers.keys()].join(', ')}`);
  if ([...onRoad].some((message) => !message.isDone)) fail('the road is not empty');
  if (wake !== undefined) fail('the lane is still held');
  if (circuit.value !== undefined) fail(`a lane state is left: ${JSON.stringify(circuit.value)}`);
  checkRate(rateStarts);

  function checkRate(atMs: readonly number[]): void {
    const rate = scenario.requestsPerMinute;
    if (rate === undefined) return;
    atMs.forEach((start, i) => {
      const over = atMs[i + rate];
      if (over !== undefined && over - start <= 60_000) fail(`${rate + 1} requests in ${over - start} ms`);
    });
  }
}

const scenarios: fc.Arbitrary<Scenario> = fc.record(
  {
    seed: fc.integer(),
    workers: fc.integer({ min: 1, max: 3 }),
    ordering: fc.constantFrom<Ordering[]>('none', 'none', 'subscription', 'partitionkey'),
    onDeadLetter: fc.constantFrom('skip', 'block'),
    requestsPerMinute: fc.integer({ min: 2, max: 60 }),
    batch: fc.constant({ maxEvents: 3, maxBytes: 1024, maxWaitMs: 300 }),
    maxInFlight: fc.integer({ min: 1, max: 6 }),
    events: fc.integer({ min: 1, max: 30 }),
    crashes: fc.constantFrom(0, 0.01, 0.03),
    sink: fc.constantFrom('well', 'failing', 'throttling', 'mixed', 'retiring'),
    isPausedNowAndThen: fc.boolean(),
  },
  {
    requiredKeys: [
      'seed',
      'workers',
      'ordering',
      'onDeadLetter',
      'maxInFlight',
      'events',
      'crashes',
      'sink',
      'isPausedNowAndThen',
    ],
  },
);

/** Enough to meet each planted fault more than once, see below. */
const RUNS = 300;

describe('the delivery engine, with workers that are killed and cut off at any step', () => {
  test('loses no delivery, ends none twice, keeps order, rate and Retry-After, and leaves no trace (WH-5, WH-11, WH-17)', () => {
    fc.assert(
      fc.property(scenarios, (scenario) => {
        play(scenario);
      }),
      { numRuns: RUNS },
    );
  });

  test.each<[Fault, string, Partial<Scenario>]>([
    ['no look after the release', 'the lane is forgotten', { ordering: 'none', workers: 2, crashes: 0, sink: 'well' }],
    [
      'wake before the message is stored',
      'the lane is forgotten',
      { workers: 2, crashes: 0, sink: 'failing', events: 100, isPausedNowAndThen: false },
    ],
    ['delete before the next step', 'vanished', { ordering: 'none', crashes: 0.03, sink: 'mixed' }],
    ['lease is not watched', '', { workers: 3, crashes: 0.03 }],
    ['takeover starts at once', 'requests in', { requestsPerMinute: 4, crashes: 0.03, sink: 'well' }],
    ['floor is made up', 'overtakes', { ordering: 'subscription', workers: 3, events: 30 }],
    ['key goes on before it is stored', 'overtakes', { ordering: 'partitionkey' }],
  ])('is not right when: %s', (fault, noticed, traits) => {
    const { failed, errorInstance } = fc.check(
      fc.property(scenarios, (scenario) => {
        play({ ...scenario, ...traits }, fault);
      }),
      { numRuns: RUNS, seed: 1, endOnFailure: true },
    );
    expect(failed).toBe(true);
    expect(String(errorInstance)).toContain(noticed);
  });
});
