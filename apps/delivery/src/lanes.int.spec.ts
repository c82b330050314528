import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { Bus } from '#bus/connection';
import { consumeEach, type Consuming } from '#bus/consume';
import { openLaneStates, type LaneStates } from '#bus/lane-states';
import { makeLaneStore, type LaneStore } from '#bus/lane-store';
import { openRegistrySnapshot, type RegistrySnapshot } from '#bus/registry-snapshot';
import { askAll } from '#bus/request';
import { makeWaitingDeliveries } from '#bus/waiting-deliveries';
import { makeWakes } from '#bus/wake';
import { encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { AttemptMade, CircuitChanged, DeadLetter, SubscriptionVerdict } from '#contracts/bus/facts';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import { makeSubscriptionId, type DeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import { DEFAULT_CIRCUIT_POLICY } from '#core/lane/circuit-policy';
import type { SubscriptionEvent, SubscriptionSpec } from '#core/registry/subscription';
import { makeGuardedClient, type GuardedClient } from '#outbound/guarded-client';
import { makeAddressGuard } from '#outbound/address-guard';
import { makeSecureContext } from '#outbound/secure-context';
import { makeNatsSinkClient, type NatsSinkClient } from '#outbound/nats-sink';
import { randomBytes } from '#platform/digest';
import { makeMetrics } from '#platform/metrics';
import { anEvent, type EventTraits } from '#testkit/an-event';
import { aSpec } from '#testkit/a-subscription';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { headerOf, startSink, type Received, type Sink, type SinkAnswer } from '#testkit/sink-server';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { makeAttemptPorts } from './delivery.ports.ts';
import { startDelivery } from './start-delivery.ts';

jest.setTimeout(90_000);

const tenant = 'acme' as TenantId;
const SLOTS = {
  POSTHASTE_DELIVERY_SLOTS: 64,
  POSTHASTE_LANE_SLOTS: 128,
  POSTHASTE_LANES: 100,
  POSTHASTE_BULK_SLOTS: 32,
};

let nats: TestNats;
let bus: TestBus;
let snapshot: RegistrySnapshot;
let states: LaneStates;
let store: LaneStore;
let sink: Sink;
let client: GuardedClient;
let natsClient: NatsSinkClient;
let metrics: MetricsRegistry;
let running: Consuming[];

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  // What dies is carried on with after so long; what lives has half of it for a request, also on a machine that stands still.
  bus = await makeTestBus(nats.url, { topology: { ackWaitSeconds: 10 } });
  snapshot = await openRegistrySnapshot(bus);
  states = await openLaneStates(bus);
  store = makeLaneStore(bus);
  sink = await startSink({ plain: true });
  client = makeGuardedClient({ allowCidrs: ['127.0.0.0/8'], allowHttp: true, totalTimeoutMs: 4_000 });
  natsClient = makeNatsSinkClient({
    guard: makeAddressGuard({ allowCidrs: [] }),
    secureContext: makeSecureContext(undefined),
    connectTimeoutMs: 1_000,
    totalTimeoutMs: 1_000,
  });
  metrics = makeMetrics();
  running = [await deliver(bus, snapshot), startMatching()];
});

afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  store.close();
  await states.stop();
  natsClient.close();
  await client.close();
  await snapshot.stop();
  await Promise.all([bus.close(), sink.stop()]);
});

/** A delivery process, as far as its bus is concerned. */
function deliver(on: Bus, of: RegistrySnapshot, registry = metrics): Promise<Consuming> {
  return startDelivery({
    bus: on,
    snapshot: of,
    attemptPorts: makeAttemptPorts(on, of, { client, natsClient }, Date.now),
    sendOptions: { userAgentOf: () => 'Posthaste/test', origin: 'posthaste.example' },
    config: SLOTS,
    metrics: registry,
    clock: Date.now,
  });
}

/** Another delivery process; `die` takes its connection away without a word. */
async function deliverElsewhere(): Promise<{ readonly metrics: MetricsRegistry; die(): Promise<void> }> {
  const other = await bus.another();
  const itsSnapshot = await openRegistrySnapshot(other);
  const itsMetrics = makeMetrics();
  await deliver(other, itsSnapshot, itsMetrics);
  return {
    metrics: itsMetrics,
    async die() {
      await other.nc.close();
    },
  };
}

/**
 * What a matcher does, as far as lanes depend on it: the delivery is stored before the event is acknowledged, in its lane where
 * that has an order. The others go by the common road, so that it is the workers who put them onto theirs.
 */
function startMatching(): Consuming {
  const { streams } = bus.topology;
  const wakes = makeWakes(bus);
  const matching = consumeEach(
    bus,
    { stream: streams.EVENTS, consumer: bus.topology.matcherOf(tenant), slots: 4 },
    async (message) => {
      const { subscription, traits } = JSON.parse(Buffer.from(message.data).toString()) as Published;
      const task = {
        delivery: `dlv_${subscription.slice(-6)}_${String(traits.id)}` as DeliveryId,
        tenant,
        subscription,
        eventSeq: message.seq,
        acceptedAtMs: message.timestampMs,
        attempt: 1,
        firstAttempt: 1,
        event: { kind: 'inline' as const, value: anEvent(traits) },
      };
      const payload = encodeDeliveryTask(task);
      if (snapshot.subscriptionById(subscription)?.spec.config.ordering === 'none') {
        await bus.publisher.publish(bus.topology.deliverSubject(subscription), payload);
      } else {
        await store.append(subscription, payload, { msgId: `${task.delivery}-${message.seq}:1` });
        await wakes.wake(subscription);
      }
      message.ack();
    },
  );
  return {
    isAlive: () => matching.isAlive(),
    async stop() {
      await matching.stop();
      await wakes.stop();
    },
  };
}

interface Published {
  readonly subscription: SubscriptionId;
  readonly traits: EventTraits;
}

async function publish(subscription: SubscriptionId, traits: EventTraits): Promise<void> {
  const published: Published = { subscription, traits };
  await bus.publisher.publish(bus.topology.eventSubject(tenant, 'test'), Buffer.from(JSON.stringify(published)));
}

/** In this order, with the ids 0, 1, 2 … */
async function publishMany(subscription: SubscriptionId, count: number, from = 0): Promise<void> {
  for (let i = 0; i < count; i++) await publish(subscription, { id: String(from + i) });
}

async function subscribe(config: Partial<SubscriptionSpec['config']> = {}): Promise<SubscriptionId> {
  const id = makeSubscriptionId(Date.now(), randomBytes(10));
  await record(id, { kind: 'SubscriptionCreated', id, tenant, spec: specOf(id, config), atMs: Date.now(), by: 'test' });
  await snapshot.catchUp();
  return id;
}

function specOf(id: SubscriptionId, config: Partial<SubscriptionSpec['config']>) {
  const retry = { ...DEFAULT_RETRY_POLICY, delaysSeconds: [1], jitter: 0, floorsSeconds: {} };
  return aSpec({ sink: `${sink.url}/${id}`, config: { signature: { profile: 'none' }, retry, ...config } });
}

async function record(id: SubscriptionId, event: SubscriptionEvent): Promise<void> {
  const registryRecord: RegistryRecord = { aggregate: 'subscription', id, tenant, event };
  await bus.publisher.publish(
    bus.topology.registrySubject(tenant, 'subscription', id),
    Buffer.from(JSON.stringify(registryRecord)),
  );
}

const told = () => ({ atMs: Date.now(), by: 'test' });

/** Ids of the events that the sink got for a subscription, in order of arrival. */
function idsOf(subscription: SubscriptionId): string[] {
  return sink.received.filter(({ url }) => url === `/${subscription}`).map(idOf);
}

function idOf({ body }: Received): string {
  return (JSON.parse(Buffer.from(body).toString()) as { id: string }).id;
}

const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

async function messagesOf<T>(stream: string, subject: string): Promise<T[]> {
  const all: T[] = [];
  const { state } = await bus.jsm.streams.info(stream);
  for (let seq = 1; seq <= state.last_seq;) {
    const next = { seq, next_by_subj: subject };
    const message = await bus.jsm.streams.getMessage(stream, next).catch(() => null);
    if (message === null) break;
    all.push(message.json<T>());
    seq = message.seq + 1;
  }
  return all;
}

const attemptsOf = async (subscription: SubscriptionId): Promise<AttemptMade[]> =>
  (await messagesOf<AttemptMade>(bus.topology.streams.JOURNAL, bus.topology.journalSubject(tenant, 'attempt'))).filter(
    (fact) => fact.subscription === subscription,
  );

const circuitsOf = async (subscription: SubscriptionId): Promise<CircuitChanged[]> =>
  (
    await messagesOf<CircuitChanged>(bus.topology.streams.JOURNAL, bus.topology.journalSubject(tenant, 'circuit'))
  ).filter((fact) => fact.subscription === subscription);

const deadOf = (subscription: SubscriptionId): Promise<Extract<DeadLetter, { kind: 'delivery' }>[]> =>
  messagesOf(bus.topology.streams.DEADLETTERS, bus.topology.deadSubject(tenant, subscription));

const rejectedOf = (of: TenantId): Promise<DeadLetter[]> =>
  messagesOf(bus.topology.streams.DEADLETTERS, bus.topology.deadSubject(of, '_rejected'));

async function isDrained(subscription: SubscriptionId): Promise<boolean> {
  return (await store.count(subscription)) === 0 && states.of(subscription) === undefined;
}

async function isAsleep(subscription: SubscriptionId): Promise<boolean> {
  return (await messagesOf(bus.topology.streams.WAKE, bus.topology.wakeSubject(subscription))).length === 0;
}

describe('a subscription that gets more than its share', () => {
  test('goes by its lane until that is empty, and then by the common road again; nothing is lost', async () => {
    const id = await subscribe({ maxInFlight: 2 });
    sink.respondWith(() => ({ delayMs: 1_000 }));
    await Promise.all(upTo(40).map((one) => publish(id, { id: one })));
    await eventually(() => states.of(id)?.circuit.kind === 'closed');
    await eventually(async () => (await store.count(id)) > 0);
    sink.respondWith(() => ({}));
    await eventually(() => new Set(idsOf(id)).size === 40);
    await eventually(() => isDrained(id));
    await publish(id, { id: 'after' });
    await eventually(() => idsOf(id).includes('after'));
    expect(idsOf(id)).toHaveLength(41);
  });

  test('holds up nobody else', async () => {
    const [slow, quick] = [await subscribe({ maxInFlight: 2 }), await subscribe()];
    sink.respondWith(({ url }) => (url.includes(slow) ? 'hang' : {}));
    await Promise.all(upTo(300).map((one) => publish(slow, { id: one })));
    await publishMany(quick, 20);
    await eventually(() => idsOf(quick).length === 20);
    // One by one behind those that hang it would have been minutes.
    expect(idsOf(slow).length).toBeLessThan(60);
  });
});

test('a healthy subscription that gets many at once stays on the common road', async () => {
  sink.respondWith(() => ({ delayMs: 2 }));
  const appended = async () => (await bus.jsm.streams.info(bus.topology.streams.LANES)).state.last_seq;
  for (let bursts = 0; bursts < 10;) {
    const id = await subscribe({ maxInFlight: 4 });
    const [before, startedAt] = [await appended(), performance.now()];
    await Promise.all(upTo(40).map((one) => publish(id, { id: one })));
    await eventually(() => idsOf(id).length === 40, { everyMs: 1 });
    const tookMs = performance.now() - startedAt;
    const inLane = (await appended()) - before;
    // The line of a machine that stood still did so as well: whoever had waited for a quarter of a second rightly left it.
    if (inLane > 0 && tookMs > 250) continue;
    expect(inLane).toBe(0);
    bursts++;
  }
});

describe('a sink that fails', () => {
  const circuit = { ...DEFAULT_CIRCUIT_POLICY, consecutiveFailures: 3, firstProbeSeconds: 1, longestProbeSeconds: 2 };

  test('gets nothing but probes, and everything once one is delivered; the registry is told of both', async () => {
    const id = await subscribe({ circuit });
    sink.respondWith(() => ({ status: 500 }));
    await publishMany(id, 3);
    await eventually(() => states.of(id)?.circuit.kind === 'open');
    const before = idsOf(id).length;
    await publishMany(id, 30, 3);
    await eventually(async () => (await store.count(id)) >= 30);
    const since = idsOf(id).length - before;
    const circuitNow = states.of(id)?.circuit;
    const probes = circuitNow !== undefined && 'failedProbes' in circuitNow ? circuitNow.failedProbes : 0;
    expect(since).toBeLessThanOrEqual(probes + 1); // and one that is under way
    sink.respondWith(() => ({}));
    await eventually(async () => (await attemptsOf(id)).filter(({ next }) => next.kind === 'delivered').length === 33, {
      deadlineMs: 30_000,
    });
    await eventually(() => isDrained(id));
    expect((await circuitsOf(id)).map(({ change, cause }) => [change, cause])).toEqual([
      ['opened', 'failures'],
      ['closed', undefined],
    ]);
  });

  test('that answers 429 is quiet for all workers until the instant that it named (WH-5)', async () => {
    const elsewhere = await deliverElsewhere();
    const id = await subscribe();
    sink.respondWith((_, count) => (count === 1 ? { status: 429, headers: { 'retry-after': '3' } } : {}));
    await publish(id, { id: 'first' });
    await sink.waitFor(1);
    await eventually(() => states.of(id)?.circuit.kind === 'open');
    for (const worker of [metrics, elsewhere.metrics]) {
      await eventually(async () => (await worker.metrics()).includes('posthaste_circuits_open 1'));
    }
    await publishMany(id, 20);
    await eventually(() => new Set(idsOf(id)).size === 21, { deadlineMs: 30_000 });
    const [first, ...others] = sink.received;
    expect(Math.min(...others.map(({ atMs }) => atMs)) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(3_000);
    await eventually(async () => (await circuitsOf(id)).length === 2);
    expect(await circuitsOf(id)).toMatchObject([{ change: 'opened', cause: 'throttled', lastStatus: 429 }, {}]);
  });

  test('that is gone (410) is reported to the registry, and what waits ends once that has disabled it (D9)', async () => {
    const id = await subscribe();
    sink.respondWith(() => ({ status: 410 }));
    await publish(id, { id: '0' });
    const verdicts = () =>
      messagesOf<SubscriptionVerdict>(bus.topology.streams.JOURNAL, bus.topology.journalSubject(tenant, 'verdict'));
    await eventually(async () => (await verdicts()).length > 0);
    expect(await verdicts()).toMatchObject([{ subscription: id, verdict: 'disable', reason: 'gone' }]);
    await publishMany(id, 5, 1);
    await eventually(async () => (await store.count(id)) === 5);
    await record(id, { kind: 'SubscriptionDisabled', reason: 'gone', ...told() });
    await eventually(async () => (await deadOf(id)).length === 6);
    expect((await deadOf(id)).map(({ reason }) => reason).sort()).toEqual([
      'gone',
      ...Array<string>(5).fill('subscription_disabled'),
    ]);
    await eventually(() => isDrained(id));
    expect(idsOf(id)).toEqual(['0']);
  });
});

test('a sink that has failed for too long is reported to the registry', async () => {
  const circuit = { ...DEFAULT_CIRCUIT_POLICY, consecutiveFailures: 1, firstProbeSeconds: 1, disableAfterSeconds: 2 };
  const id = await subscribe({ circuit });
  sink.respondWith(() => 'reset');
  await publishMany(id, 5);
  const verdict = await eventually(async () => {
    const subject = bus.topology.journalSubject(tenant, 'verdict');
    return (await messagesOf<SubscriptionVerdict>(bus.topology.streams.JOURNAL, subject))[0];
  });
  expect(verdict).toMatchObject({ subscription: id, verdict: 'disable', reason: 'failing_since', revision: 1 });
});

describe('a paused subscription', () => {
  test('keeps its deliveries, and has them in order after the resume', async () => {
    const id = await subscribe({ maxInFlight: 1 });
    await record(id, { kind: 'SubscriptionPaused', ...told() });
    await snapshot.catchUp();
    await publishMany(id, 50);
    await eventually(async () => (await store.count(id)) === 50);
    await eventually(() => isAsleep(id));
    expect(idsOf(id)).toEqual([]);
    await record(id, { kind: 'SubscriptionResumed', ...told() });
    await eventually(() => idsOf(id).length === 50);
    expect(idsOf(id)).toEqual(upTo(50));
    await eventually(() => isDrained(id));
  });

  test('loses them as dead letters at their deadline, or when it is deleted', async () => {
    const retry = { ...DEFAULT_RETRY_POLICY, deadlineSeconds: 1 };
    const [late, deleted] = [await subscribe({ retry }), await subscribe()];
    for (const id of [late, deleted]) await record(id, { kind: 'SubscriptionPaused', ...told() });
    await snapshot.catchUp();
    for (const id of [late, deleted]) {
      await publish(id, { id: 'kept' });
      await eventually(async () => (await store.count(id)) === 1 || (await deadOf(id)).length === 1);
      // Somebody who puts a delivery on a lane that sleeps has half a minute to do this.
      await makeWakes(bus).wake(id);
    }
    await eventually(async () => (await deadOf(late)).length === 1);
    await record(deleted, { kind: 'SubscriptionDeleted', ...told() });
    await eventually(async () => (await deadOf(deleted)).length === 1);
    expect((await deadOf(late))[0]).toMatchObject({ reason: 'deadline_passed' });
    expect((await deadOf(deleted))[0]).toMatchObject({ reason: 'subscription_deleted' });
    await eventually(async () => (await isDrained(late)) && (await isDrained(deleted)));
    expect(sink.received).toEqual([]);
  });
});

describe('an ordered subscription', () => {
  test('gets each event once the one before it is delivered, through failures and retries', async () => {
    const id = await subscribe({ ordering: 'subscription' });
    const failing = new Set(['2', '7']);
    sink.respondWith((received) => ({ status: failing.delete(idOf(received)) ? 500 : 204 }));
    await publishMany(id, 12);
    await eventually(() => idsOf(id).length === 14, { deadlineMs: 30_000 });
    expect(idsOf(id)).toEqual(['0', '1', '2', '2', '3', '4', '5', '6', '7', '7', '8', '9', '10', '11']);
    await eventually(() => isDrained(id));
  });

  test('by key has other keys go on while the head of one is tried again', async () => {
    const id = await subscribe({ ordering: 'partitionkey' });
    // The head of one fails until the last of the other is there.
    sink.respondWith((received) => ({ status: idOf(received) === 'a0' && !idsOf(id).includes('b2') ? 500 : 204 }));
    for (const one of ['a0', 'a1', 'b0', 'b1', 'b2']) await publish(id, { id: one, partitionkey: one.charAt(0) });
    await eventually(() => idsOf(id).includes('a1'), { deadlineMs: 30_000 });
    const ids = idsOf(id);
    const ofA = ids.filter((one) => one.startsWith('a'));
    expect([new Set(ofA.slice(0, -1)), ofA.at(-1)]).toEqual([new Set(['a0']), 'a1']);
    expect(ofA.length).toBeGreaterThanOrEqual(3);
    expect(ids.filter((one) => one.startsWith('b'))).toEqual(['b0', 'b1', 'b2']);
    expect(ids.indexOf('b2')).toBeLessThan(ids.lastIndexOf('a0'));
  });

  test('that is disabled while its head waits tells how often that was tried (D9)', async () => {
    const retry = { ...DEFAULT_RETRY_POLICY, delaysSeconds: [1, 600], jitter: 0, floorsSeconds: {} };
    const id = await subscribe({ ordering: 'subscription', retry });
    sink.respondWith(() => ({ status: 500 }));
    await publish(id, { id: 'head' });
    await eventually(async () => (await attemptsOf(id)).length === 2);
    await eventually(() => isAsleep(id));
    await record(id, { kind: 'SubscriptionDisabled', reason: 'enough', ...told() });
    await eventually(async () => (await deadOf(id)).length === 1);
    expect((await deadOf(id))[0]).toMatchObject({ reason: 'subscription_disabled', attempts: 2, attempt: 3 });
    await eventually(async () => (await attemptsOf(id)).length === 3);
    expect((await attemptsOf(id)).map(({ attempt, next }) => [attempt, next.kind])).toEqual([
      [1, 'retry'],
      [2, 'retry'],
      [3, 'dead'],
    ]);
  });

  test('goes on after a dead letter, or asks to be paused, as it says', async () => {
    const retry = {
      ...DEFAULT_RETRY_POLICY,
      delaysSeconds: [1],
      whenExhausted: 'stop',
      jitter: 0,
      floorsSeconds: {},
    } as const;
    const skips = await subscribe({ ordering: 'subscription', retry });
    const blocks = await subscribe({ ordering: 'subscription', onDeadLetter: 'block', retry });
    sink.respondWith((received) => ({ status: idOf(received) === '1' ? 500 : 204 }));
    await publishMany(skips, 3);
    await publishMany(blocks, 3);
    await eventually(() => idsOf(skips).length === 4);
    expect(idsOf(skips)).toEqual(['0', '1', '1', '2']);
    await eventually(async () => (await deadOf(blocks)).length === 1);
    const verdict = await eventually(async () => {
      const subject = bus.topology.journalSubject(tenant, 'verdict');
      return (await messagesOf<SubscriptionVerdict>(bus.topology.streams.JOURNAL, subject))[0];
    });
    expect(verdict).toMatchObject({ subscription: blocks, verdict: 'pause', reason: 'ordering_blocked' });
    await record(blocks, { kind: 'SubscriptionPaused', ...told() });
    await record(blocks, { kind: 'SubscriptionResumed', ...told() });
    await eventually(() => idsOf(blocks).length === 4);
    expect(idsOf(blocks)).toEqual(['0', '1', '1', '2']);
  });
});

describe('a rated subscription', () => {
  test('is never sent two requests closer than its rate allows, retries included (WH-11)', async () => {
    const id = await subscribe({ rate: { requestsPerMinute: 300 } });
    sink.respondWith((_, count) => ({ status: count === 3 ? 500 : 204 }));
    await publishMany(id, 12);
    await eventually(() => idsOf(id).length === 13, { deadlineMs: 20_000 });
    const times = sink.received.map(({ atMs }) => atMs);
    // Five in a second, and one for what a busy machine does to the distances between them.
    for (const from of times)
      expect(times.filter((atMs) => atMs >= from && atMs < from + 1_000).length).toBeLessThanOrEqual(6);
    await eventually(async () => (await attemptsOf(id)).length === 13);
    const starts = (await attemptsOf(id)).map(({ startedAtMs }) => startedAtMs).toSorted((a, b) => a - b);
    for (const [i, atMs] of starts.slice(1).entries()) expect(atMs - (starts[i] ?? 0)).toBeGreaterThanOrEqual(200);
    // They are those of the wire, where the first one may take longer than the others.
    expect(times.every((atMs, i) => atMs >= (starts[i] ?? Infinity))).toBe(true);
  });
});

test('a rate is kept by whoever goes on after a crash', async () => {
  await running.shift()?.stop();
  const dying = await deliverElsewhere();
  const id = await subscribe({ rate: { requestsPerMinute: 120 } });
  await publishMany(id, 10);
  await eventually(() => idsOf(id).length > 2);
  await dying.die();
  running.push(await deliver(bus, snapshot, makeMetrics()));
  await eventually(() => new Set(idsOf(id)).size === 10, { deadlineMs: 40_000 });
  const times = sink.received.map(({ atMs }) => atMs);
  for (const from of times) {
    expect(times.filter((atMs) => atMs >= from && atMs < from + 1_000).length).toBeLessThanOrEqual(3);
  }
});

describe('a batch', () => {
  const batchOf = ({ body }: Received): { id: string; data: unknown }[] => JSON.parse(Buffer.from(body).toString());

  test('is one request with several events, each as it was published; what comes of it holds for each (JF-8)', async () => {
    const id = await subscribe({ batch: { maxEvents: 4, maxBytes: 65_536, maxWaitMs: 2_000 } });
    await publish(id, { id: '0', dataJson: '{"n": 1.10}' });
    await publishMany(id, 5, 1);
    await eventually(() => sink.received.flatMap(batchOf).length === 6);
    const batches = sink.received.map((received) => batchOf(received).map((event) => event.id));
    expect(batches.flat().toSorted()).toEqual(upTo(6));
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(4);
    expect(batches.length).toBeLessThan(6);
    const first = sink.received.find((received) => batchOf(received).some((event) => event.id === '0'));
    expect(first && headerOf(first, 'content-type')).toBe('application/cloudevents-batch+json; charset=UTF-8');
    expect(Buffer.from(first?.body ?? '').toString()).toContain('"data":{"n": 1.10}');
    await eventually(async () => (await attemptsOf(id)).length === 6);
    expect((await attemptsOf(id)).every(({ next }) => next.kind === 'delivered')).toBe(true);
  });

  test('that fails is tried again, member by member or together, and each arrives', async () => {
    const id = await subscribe({ batch: { maxEvents: 10, maxBytes: 65_536, maxWaitMs: 200 } });
    sink.respondWith((_, count) => ({ status: count === 1 ? 503 : 204 }));
    await publishMany(id, 3);
    await eventually(async () => (await attemptsOf(id)).filter(({ next }) => next.kind === 'delivered').length === 3, {
      deadlineMs: 30_000,
    });
    expect((await attemptsOf(id)).filter(({ request }) => request?.status === 503).length).toBeGreaterThan(0);
  });
});

describe('an attempt', () => {
  test('that is answered 415 is made once more in the other content mode, at once', async () => {
    const id = await subscribe();
    sink.respondWith((received): SinkAnswer => {
      return { status: headerOf(received, 'content-type')?.startsWith('application/cloudevents') ? 415 : 204 };
    });
    await publish(id, { id: 'e1' });
    await eventually(async () => (await attemptsOf(id)).at(-1)?.next.kind === 'delivered');
    expect(sink.received.map((received) => headerOf(received, 'ce-id'))).toEqual([undefined, 'e1']);
  });

  test('that is answered 415 stays in the other content mode for those that follow it, in order, whoever makes them', async () => {
    const retry = { ...DEFAULT_RETRY_POLICY, delaysSeconds: [4], jitter: 0, floorsSeconds: {} };
    const id = await subscribe({ contentMode: 'binary', ordering: 'subscription', retry });
    const answers = [415, 500, 204];
    sink.respondWith(() => ({ status: answers.shift() ?? 204 }));
    await publish(id, { id: 'e1' });
    await eventually(async () => (await attemptsOf(id)).at(-1)?.next.kind === 'delivered');
    const isStructured = (received: Received): boolean =>
      headerOf(received, 'content-type')?.startsWith('application/cloudevents+json') === true;
    expect(sink.received.map(isStructured)).toEqual([false, true, true]);
  });

  test('of an event whose expirytime has come is not made', async () => {
    const id = await subscribe();
    await publish(id, { id: 'old', expirytime: '2020-01-01T00:00:00Z' });
    await eventually(async () => (await deadOf(id)).length === 1);
    expect(await deadOf(id)).toMatchObject([{ reason: 'event_expired', id: 'old' }]);
    expect(sink.received).toEqual([]);
  });
});

test('what is no task is set aside for its tenant, and does not stop the lane', async () => {
  const id = await subscribe({ rate: { requestsPerMinute: 6_000 }, deadLetterSink: `${sink.url}/dead` });
  await bus.publisher.publish(bus.topology.deliverSubject(`${id}_dead`), Buffer.from('poison'));
  await eventually(async () => (await rejectedOf(tenant)).length === 1);
  await store.append(id, Buffer.from('poison'), { msgId: 'poison' });
  await publish(id, { id: 'after' });
  await eventually(() => idsOf(id).includes('after'));
  await eventually(async () => (await rejectedOf(tenant)).length === 2);
  expect(await rejectedOf(tenant)).toMatchObject([
    { kind: 'rejected', subject: bus.topology.deliverSubject(`${id}_dead`) },
    { kind: 'rejected', subject: bus.topology.laneSubject(id) },
  ]);
  await eventually(() => isDrained(id));
});

describe('a dead letter sink', () => {
  test('gets the original event and why it was given up; what it does not take is not told to it again', async () => {
    const id = await subscribe({ deadLetterSink: `${sink.url}/dead` });
    sink.respondWith(({ url }) => ({ status: url === '/dead' ? 422 : 400 }));
    await publish(id, { id: 'e1' });
    const dead = await eventually(() => sink.received.find(({ url }) => url === '/dead'));
    expect(JSON.parse(Buffer.from(dead.body).toString())).toMatchObject({
      id: 'e1',
      deadletterreason: 'rejected_by_sink',
      deadletterstatus: 400,
      deadletterattempts: 1,
      deadlettersubscription: id,
      data: { contact_id: 288331 },
    });
    await eventually(async () => (await attemptsOf(id)).length === 2);
    const [own, ofDeadLetter] = await attemptsOf(id);
    expect(ofDeadLetter?.delivery).not.toBe(own?.delivery);
    expect(ofDeadLetter?.next).toEqual({ kind: 'dead', reason: 'rejected_by_sink' });
    await publish(id, { id: 'e2' });
    await eventually(() => sink.received.filter(({ url }) => url === '/dead').length === 2);
    await eventually(async () => (await deadOf(id)).length === 2);
    expect(await deadOf(id)).toMatchObject([{ id: 'e1' }, { id: 'e2' }]);
  });

  test('that fails has what waits for it told apart from what waits for the sink itself', async () => {
    const retry = { ...DEFAULT_RETRY_POLICY, delaysSeconds: [600], jitter: 0, floorsSeconds: {} };
    const id = await subscribe({ deadLetterSink: `${sink.url}/dead`, retry });
    sink.respondWith(({ url }) => ({ status: url === '/dead' ? 500 : 400 }));
    await publish(id, { id: 'e1' });
    const waiting = makeWaitingDeliveries(bus);
    await eventually(async () => (await waiting.read(tenant, `${id}_dead`)).count === 1);
    await eventually(async () => (await waiting.read(tenant, id)).count === 0);
    await eventually(async () => (await attemptsOf(id)).length === 2);
    expect((await attemptsOf(id)).map(({ next }) => next.kind).toSorted()).toEqual(['dead', 'retry']);
    waiting.close();
  });

  test('that fails does not stop the subscription', async () => {
    const circuit = { ...DEFAULT_CIRCUIT_POLICY, consecutiveFailures: 2 };
    const id = await subscribe({ deadLetterSink: `${sink.url}/dead`, circuit });
    sink.respondWith((received) => ({
      status: received.url === '/dead' ? 500 : idOf(received).startsWith('bad') ? 400 : 204,
    }));
    for (const one of ['bad1', 'good1', 'bad2']) {
      await publish(id, { id: one });
      // One after the other: two failures in a row would stop it.
      await eventually(async () => (await attemptsOf(id)).some(({ delivery }) => delivery.endsWith(`_${one}`)));
    }
    await eventually(() => states.of(`${id}_dead` as SubscriptionId)?.circuit.kind === 'open');
    expect(states.of(id)).toBeUndefined();
    await publish(id, { id: 'good2' });
    await eventually(() => idsOf(id).includes('good2'));
  });
});

describe('two drivers', () => {
  test('one goes on where the other died, in order', async () => {
    await running.shift()?.stop();
    const dying = await deliverElsewhere();
    const id = await subscribe({ ordering: 'subscription' });
    sink.respondWith(() => ({ delayMs: 50 }));
    await publishMany(id, 60);
    await eventually(() => idsOf(id).length > 5);
    await dying.die();
    running.push(await deliver(bus, snapshot, makeMetrics()));
    await eventually(() => idsOf(id).includes('59'), { deadlineMs: 60_000 });
    const ids = idsOf(id);
    expect(ids.filter((one, i) => one !== ids[i - 1])).toEqual(upTo(60));
    await eventually(() => isDrained(id));
  });

  test('one that is stopped ends what is in flight, and the other goes on at once', async () => {
    const id = await subscribe({ ordering: 'subscription' });
    sink.respondWith(() => ({ delayMs: 100 }));
    await publishMany(id, 20);
    await eventually(() => idsOf(id).length > 2);
    await running.shift()?.stop();
    running.push(await deliver(bus, snapshot, makeMetrics()));
    await eventually(() => idsOf(id).length === 20);
    expect(idsOf(id)).toEqual(upTo(20));
    expect((await attemptsOf(id)).every(({ request }) => request?.outcome === 'delivered')).toBe(true);
  });
});

test('a worker tells how much is in flight for a subscription, and how that went', async () => {
  const id = await subscribe();
  await publishMany(id, 3);
  await eventually(async () => (await attemptsOf(id)).length === 3);
  sink.respondWith(() => 'hang');
  await publish(id, { id: 'hanging' });
  await sink.waitFor(4);
  const question = Buffer.from(JSON.stringify({ subscription: id }));
  const [answer] = await askAll(bus, bus.topology.laneHealthSubject, question, { waitMs: 2_000, expected: 1 });
  expect(JSON.parse(Buffer.from(answer ?? '').toString())).toEqual({
    inFlight: 1,
    window: { successes: 3, failures: 0 },
  });
});

test('attempts are counted by the road that they came by', async () => {
  const [common, rated] = [await subscribe(), await subscribe({ rate: { requestsPerMinute: 6_000 } })];
  sink.respondWith((_, count) => ({ status: count === 1 ? 500 : 204 }));
  await publish(common, { id: 'retried' });
  await sink.waitFor(1);
  await publish(rated, { id: 'by lane' });
  const task = {
    delivery: 'dlv_bulk' as DeliveryId,
    tenant,
    subscription: common,
    eventSeq: 99,
    acceptedAtMs: Date.now(),
    attempt: 1,
    firstAttempt: 1,
    event: { kind: 'inline' as const, value: anEvent({ id: 'bulk' }) },
  };
  await bus.publisher.publish(bus.topology.bulkSubject(tenant, common), encodeDeliveryTask(task));
  await eventually(async () => {
    const text = await metrics.metrics();
    return [
      'posthaste_delivery_attempts_total{outcome="retryable",road="common"} 1',
      'posthaste_delivery_attempts_total{outcome="delivered",road="retry"} 1',
      'posthaste_delivery_attempts_total{outcome="delivered",road="bulk"} 1',
      'posthaste_delivery_attempts_total{outcome="delivered",road="lane"} 1',
      'posthaste_lane_appends_total{reason="rules"} 1',
      'posthaste_schedule_lateness_seconds_count{kind="retry"} 1',
      'posthaste_lanes_held 0',
      'posthaste_circuits_open 0',
      'posthaste_door_waiting 0',
    ].every((line) => text.includes(line));
  });
});
