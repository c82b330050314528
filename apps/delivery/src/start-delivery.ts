import { setTimeout as delay } from 'node:timers/promises';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Bus } from '#bus/connection';
import { consumeAtOnce, type Consuming } from '#bus/consume';
import { openLaneStates } from '#bus/lane-states';
import { makeLaneStore } from '#bus/lane-store';
import { leaseLanes } from '#bus/lease-lanes';
import { makeMatchedFloor } from '#bus/matched-floor';
import { openPresence } from '#bus/presence';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { serve, type Serving } from '#bus/request';
import { makeSlots } from '#bus/slots';
import { consumeDueWakes, makeWakes } from '#bus/wake';
import { isOpen } from '#core/lane/circuit';
import { makeFailureWindows } from '#core/lane/failure-window';
import type { SubscriptionId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { Subscription } from '#core/registry/subscription';
import type { LaneHealthQuestion } from '#contracts/bus/lane-health';
import type { Clock } from '#platform/tokens';
import { makeAttemptDelivery, type AttemptPorts } from './attempt-delivery.ts';
import type { DeliveryConfig } from './config.ts';
import { makeAnswerHealth } from './delivery-health.ts';
import { makeDeliveryMetrics } from './delivery.metrics.ts';
import { makeHold, makeSetAside, makeSettlePorts } from './delivery.ports.ts';
import { makeAccountOutcome } from './lane/account-outcome.ts';
import { makeChangeLaneState } from './lane/change-lane-state.ts';
import { makeFairSlots } from './fair-slots.ts';
import { makeDrainLane, type DrainLanePorts } from './lane/drain-lane.ts';
import { isStillDue, makeKeptLanes, type KeptLanes } from './lane/keep-lanes.ts';
import { subscriptionOf, targetOf } from './lane/lane-key.ts';
import {
  makeDescribe,
  makeMoveToLane,
  makePublishSubscriptionFact,
  makeReadLane,
  makeReadTask,
  makeTellVerdict,
  makeWaitForSigner,
} from './lane/lane.ports.ts';
import { makeSweepLanes } from './lane/sweep-lanes.ts';
import { makeDoor } from './road/door.ts';
import { makeTakeRoad, type CommonRoad, type TakeRoadPorts } from './road/take-road.ts';
import type { SendOptions } from './send-notification.ts';
import { makeSettleAttempt } from './settle-attempt.ts';

/** Messages of one consumer that wait here at most: two or three pulls ahead. */
const LONGEST_PREFETCH = 128;
const SWEEP_MS = 60_000;
/** While so many lanes are tried here, no timer wakes another. */
const LANES_PROBED = 256;

export interface DeliveryParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly attemptPorts: AttemptPorts;
  readonly sendOptions: SendOptions;
  readonly config: Pick<
    DeliveryConfig,
    'POSTHASTE_DELIVERY_SLOTS' | 'POSTHASTE_BULK_SLOTS' | 'POSTHASTE_LANE_SLOTS' | 'POSTHASTE_LANES'
  >;
  readonly metrics: MetricsRegistry;
  readonly clock: Clock;
}

/** DELIVERIES, RETRIES and LANES → attempts → what next? Stopped, it lets every request end that it has begun. */
export async function startDelivery(parts: DeliveryParts): Promise<Consuming> {
  const { bus, config } = parts;
  const shared = await openShared(parts);
  const { states, store, wakes, presence, door } = shared;
  const lanes = makeKeptLanes({
    drainLane: makeDrainLane(drainPorts(parts, shared)),
    laneState: states.of,
    wake: (laneKey) => wakes.wake(laneKey),
    reportTrouble: shared.reportTrouble,
  });
  const takeRoad = makeTakeRoad(roadPorts(parts, shared, lanes), door);
  const stopFollowing = followChanges(parts, shared, lanes);
  const health = serveHealth(parts, shared, lanes);
  const consuming = [
    ...commonRoads(bus, config).map(({ road, ...source }) =>
      consumeAtOnce(bus, { ...source, prefetch: Math.min(road.slots.size, LONGEST_PREFETCH) }, (message, goOn) =>
        takeRoad(road, message, goOn),
      ),
    ),
    leaseLanes(bus, { maxLanes: config.POSTHASTE_LANES }, lanes.take),
    consumeDueWakes(bus, wakes, {
      hasRoom: () => lanes.probed() < Math.min(LANES_PROBED, config.POSTHASTE_LANES / 2),
      isNeeded: (laneKey, firedAtMs) => isStillDue(states.of(laneKey as SubscriptionId), firedAtMs, parts.clock()),
    }),
  ];
  const stopSweeping = startSweeping(parts, shared);
  return {
    isAlive: () => states.isLive() && consuming.every((one) => one.isAlive()),
    async stop() {
      stopSweeping();
      stopFollowing();
      // First of all the others may take this one's share.
      await presence.stop();
      door.close();
      await Promise.all(consuming.map((one) => one.stop()));
      await Promise.all([health.stop(), wakes.stop()]);
      await states.stop();
      store.close();
    },
  };
}

type Shared = Awaited<ReturnType<typeof openShared>>;

/** What common roads and lanes have in common. */
async function openShared({ bus, snapshot, attemptPorts, sendOptions, config, metrics, clock }: DeliveryParts) {
  const states = await openLaneStates(bus);
  const publishFact = makePublishSubscriptionFact(bus);
  const knownTargetOf = (laneKey: SubscriptionId): Subscription | undefined =>
    targetOf(laneKey, snapshot.subscriptionById(subscriptionOf(laneKey)));
  return {
    states,
    store: makeLaneStore(bus),
    wakes: makeWakes(bus),
    presence: openPresence(bus),
    failures: makeFailureWindows(),
    door: makeDoor({ slow: makeSlots(config.POSTHASTE_LANE_SLOTS), now: () => performance.now() }),
    metrics: makeDeliveryMetrics(metrics),
    attempts: makeAttemptDelivery(attemptPorts, sendOptions),
    settle: makeSettleAttempt(makeSettlePorts(bus, clock)),
    hold: makeHold(bus),
    setAside: makeSetAside(bus, snapshot, clock),
    verdicts: makeTellVerdict(publishFact, knownTargetOf, clock),
    changeState: makeChangeLaneState({ update: states.update, publishFact, now: clock }),
    knownTargetOf,
    async findTarget(laneKey: SubscriptionId): Promise<Subscription | undefined> {
      const known = knownTargetOf(laneKey);
      // Nothing ends because this process has not heard of a subscription yet, or of its resume.
      if (known !== undefined && deliveryFateOf(known) !== 'end') return known;
      await snapshot.catchUp();
      return knownTargetOf(laneKey);
    },
    reportTrouble(laneKey: SubscriptionId, err: unknown): void {
      bus.logger.warn({ err, lane: laneKey }, 'the state of a lane is behind; it is mended later');
    },
  };
}

function drainPorts({ bus, attemptPorts, config, clock }: DeliveryParts, shared: Shared): DrainLanePorts {
  const { states, store, wakes, metrics, attempts, verdicts } = shared;
  return {
    prepare: attempts.prepare,
    end: attempts.end,
    ...makeWaitForSigner(attempts, clock),
    findTarget: shared.findTarget,
    laneState: states.of,
    async findState(laneKey) {
      await states.catchUp();
      return states.of(laneKey);
    },
    failuresOf: (laneKey) => shared.failures.of(laneKey),
    readLane: makeReadLane(store),
    readTask: makeReadTask({ setAside: shared.setAside, remove: store.remove, subjectOf: bus.topology.laneSubject }),
    describe: makeDescribe(attemptPorts.readEvent),
    changeState: shared.changeState,
    matchedFloor: makeMatchedFloor(bus).floor,
    remove: store.remove,
    newestSeq: store.lastSeq,
    settle: shared.settle,
    hold: shared.hold,
    wake: (laneKey) => wakes.wake(laneKey),
    wakeAt: wakes.wakeAt,
    tellVerdict: verdicts.ofLane,
    observe: (result) => {
      metrics.observe(result, 'lane');
    },
    observeProbeLateness: (lateMs) => {
      metrics.observeLateness('probe', lateMs);
    },
    slots: makeFairSlots(config.POSTHASTE_LANE_SLOTS),
    // As many wait as probe, at most: half of the leases are for lanes that have something to do.
    probeSlots: makeFairSlots(Math.ceil(Math.min(config.POSTHASTE_LANE_SLOTS, config.POSTHASTE_LANES) / 4)),
    now: clock,
    random: attemptPorts.random,
    sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
  };
}

function roadPorts(
  { attemptPorts, snapshot, config, clock }: DeliveryParts,
  shared: Shared,
  lanes: KeptLanes,
): TakeRoadPorts {
  const { states, store, wakes, metrics, presence, failures, attempts, changeState } = shared;
  const overflowing = new Map<SubscriptionId, Promise<unknown>>();
  return {
    targetOf: shared.knownTargetOf,
    findTarget: shared.findTarget,
    laneState: states.of,
    // Never all slots of the road, however many requests the sink may have.
    shareOf({ spec }) {
      const share = Math.min(spec.config.maxInFlight / presence.workers(), config.POSTHASTE_DELIVERY_SLOTS / 2);
      return Math.max(1, Math.floor(share));
    },
    async overflow(laneKey, target) {
      const told = overflowing.get(laneKey) ?? changeState(laneKey, [{ kind: 'overflowed', atMs: clock() }], target);
      overflowing.set(laneKey, told);
      await told.finally(() => overflowing.delete(laneKey));
    },
    moveToLane: makeMoveToLane({ store, wakes, hint: (laneKey) => lanes.find(laneKey)?.appended() }),
    prepare: attempts.prepare,
    send: attempts.send,
    settle: shared.settle,
    account: makeAccountOutcome({
      isCurrent: ({ tenant, id, revision }) => snapshot.subscription(tenant, id)?.revision === revision,
      failuresOf: (laneKey) => failures.of(laneKey),
      changeState,
      wakeAt: wakes.wakeAt,
      tellGone: shared.verdicts.gone,
      reportTrouble: shared.reportTrouble,
      now: clock,
      random: attemptPorts.random,
    }),
    hold: shared.hold,
    setAside: shared.setAside,
    observe: metrics.observe,
    observeLane: metrics.observeLane,
    observeLateness: (lateMs) => {
      metrics.observeLateness('retry', lateMs);
    },
    now: clock,
  };
}

/** What other processes say of lanes and subscriptions, and the gauges that follow from it. Answers how to end that. */
function followChanges({ snapshot, clock }: DeliveryParts, shared: Shared, lanes: KeptLanes): () => void {
  const { states, failures, door, metrics } = shared;
  const open = new Set([...states.states()].flatMap(([laneKey, { circuit }]) => (isOpen(circuit) ? [laneKey] : [])));
  const stopFollowing = states.onChange((laneKey, now) => {
    const isOpenNow = isOpen(now?.circuit);
    // What was counted before says nothing any more.
    if (isOpenNow !== open.has(laneKey)) failures.find(laneKey)?.forgive();
    if (isOpenNow) open.add(laneKey);
    else open.delete(laneKey);
    if (now !== undefined) door.sendToLane(laneKey);
    lanes.stateChanged(laneKey, now);
  });
  let isOver = false;
  snapshot.onSubscriptionChange((id, now) => {
    if (!isOver) lanes.subscriptionChanged(id, now);
  });
  metrics.watch({
    openCircuits: () => open.size,
    lanesHeld: lanes.count,
    waitingAtDoor: door.waiting,
    oldestStoredAtMs: lanes.oldestStoredAtMs,
    now: clock,
  });
  return () => {
    isOver = true;
    stopFollowing();
  };
}

function serveHealth({ bus, clock }: DeliveryParts, { door, failures }: Shared, lanes: KeptLanes): Serving {
  const answerHealth = makeAnswerHealth({
    inFlight: (id) => door.inFlight(id) + (lanes.find(id)?.inFlightCount() ?? 0),
    findFailures: failures.find,
    now: clock,
  });
  return serve(bus, { subject: bus.topology.laneHealthSubject }, (payload) => {
    const question = JSON.parse(Buffer.from(payload).toString()) as LaneHealthQuestion;
    return Promise.resolve(Buffer.from(JSON.stringify(answerHealth(question))));
  });
}

/** At once, and then each minute. */
function startSweeping({ bus: { logger }, clock }: DeliveryParts, shared: Shared): () => void {
  const { states, store, wakes, failures } = shared;
  const stopping = new AbortController();
  let isSweeping = false;
  const sweepLanes = makeSweepLanes({
    counts: store.counts,
    states: states.states,
    laneState: states.of,
    targetOf: shared.knownTargetOf,
    wake: (laneKey) => wakes.wake(laneKey),
    now: clock,
    sleep: (ms) => delay(ms, undefined, { ref: false, signal: stopping.signal }),
  });
  const sweep = async (): Promise<void> => {
    failures.prune(clock());
    if (isSweeping) return;
    isSweeping = true;
    try {
      const lanes = await sweepLanes();
      if (lanes > 0) logger.debug({ lanes }, 'lanes were woken by the sweep');
    } catch (err) {
      if (!stopping.signal.aborted) logger.warn({ err }, 'lanes could not be swept; they will be in a minute');
    } finally {
      isSweeping = false;
    }
  };
  void sweep();
  const timer = setInterval(() => void sweep(), SWEEP_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    stopping.abort();
  };
}

function commonRoads({ topology: { streams, consumers } }: Bus, config: DeliveryParts['config']) {
  const slots = config.POSTHASTE_DELIVERY_SLOTS;
  const common: CommonRoad = { name: 'common', slots: makeSlots(slots) };
  const bulk: CommonRoad = { name: 'bulk', slots: makeSlots(config.POSTHASTE_BULK_SLOTS ?? Math.ceil(slots / 2)) };
  const retry: CommonRoad = { name: 'retry', slots: makeSlots(Math.ceil(slots / 4)) };
  return [
    ...consumers.fresh.map((consumer) => ({ stream: streams.DELIVERIES, consumer, road: common })),
    ...consumers.bulk.map((consumer) => ({ stream: streams.DELIVERIES, consumer, road: bulk })),
    ...consumers.retry.map((consumer) => ({ stream: streams.RETRIES, consumer, road: retry })),
  ];
}
