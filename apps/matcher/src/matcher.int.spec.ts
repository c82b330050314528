import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Bus } from '#bus/connection';
import { consumeBatches, type Consuming } from '#bus/consume';
import { openLaneStates, type LaneStates } from '#bus/lane-states';
import { makeMatchedFloor } from '#bus/matched-floor';
import { openRegistrySnapshot, type RegistrySnapshot } from '#bus/registry-snapshot';
import { makeWakes } from '#bus/wake';
import { decodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import { OPERATIONAL_MARK } from '#contracts/bus/operational-mark';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { toNatsMessage } from '#core/event/nats-binding';
import { makeSubscriptionId, type SubscriptionId, type TenantId } from '#core/ids';
import type { SubscriptionEvent } from '#core/registry/subscription';
import { aSpec, type SpecTraits } from '#testkit/a-subscription';
import { anEvent, type EventTraits } from '#testkit/an-event';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, silentLogger, type TestBus } from '#testkit/test-bus';
import { makeFairTurns } from './fair-turns.ts';
import { makeMatchBatch } from './match-batches.ts';
import { makeMatchEvent, SMALL_FAN_OUT_MAX, type MatchPorts } from './match-events.ts';
import { makeMatchPorts } from './matcher.ports.ts';

const [ACME, OTHER] = ['acme', 'other'] as TenantId[] as [TenantId, TenantId];
const LARGE = SMALL_FAN_OUT_MAX + 50;

let nats: TestNats;
let bus: TestBus;
let made = 0;
/** The newest event of each tenant. */
const newest = new Map<TenantId, number>();
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  // What a crashed matcher had in hand comes again after so long; what one has that lives does not.
  bus = await makeTestBus(nats.url, { topology: { ackWaitSeconds: 5 } });
  newest.clear();
  for (const id of [ACME, OTHER]) {
    await append({
      aggregate: 'tenant',
      id,
      tenant: id,
      event: { kind: 'TenantCreated', id, name: id, atMs: 1, by: 'x' },
    });
  }
});

afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
  await bus.close();
});

async function append(record: RegistryRecord): Promise<void> {
  const subject = bus.topology.registrySubject(record.tenant, record.aggregate, record.id);
  await bus.publisher.publish(subject, Buffer.from(JSON.stringify(record)));
}

async function change(id: SubscriptionId, tenant: TenantId, event: SubscriptionEvent): Promise<void> {
  await append({ aggregate: 'subscription', id, tenant, event });
}

async function subscribe(tenant: TenantId, spec: SpecTraits): Promise<SubscriptionId> {
  const id = makeSubscriptionId(made++, new Uint8Array(10));
  await change(id, tenant, { kind: 'SubscriptionCreated', id, tenant, spec: aSpec(spec), atMs: 1, by: 'x' });
  return id;
}

async function publish(
  tenant: TenantId,
  traits: EventTraits & { type: string },
  marks: [string, string][] = [],
): Promise<number> {
  const { headers, payload } = toNatsMessage(anEvent(traits));
  const options = { msgId: randomUUID(), headers: [...headers, ...marks] };
  const { seq } = await bus.publisher.publish(bus.topology.eventSubject(tenant, traits.type), payload, options);
  newest.set(tenant, Math.max(seq, newest.get(tenant) ?? 0));
  return seq;
}

interface Matcher {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly laneStates: LaneStates;
  readonly consuming: Consuming;
  stop(): Promise<void>;
  /** As a SIGKILL: what it had in hand is neither acknowledged nor given back. */
  crash(): Promise<void>;
}

interface MatcherOptions {
  readonly budget?: number;
  readonly maxDetached?: number;
  readonly replace?: (ports: MatchPorts) => Partial<MatchPorts>;
}

/** As the module puts it together, on a connection of its own. */
async function startMatcher(options: MatcherOptions = {}): Promise<Matcher> {
  const { budget = 1_000_000, maxDetached = 100, replace = () => ({}) } = options;
  const own = await bus.another();
  const [snapshot, laneStates] = await Promise.all([openRegistrySnapshot(own), openLaneStates(own)]);
  const wakes = makeWakes(own);
  let left = budget;
  const ports = makeMatchPorts({
    bus: own,
    snapshot,
    laneStates,
    wakes,
    budgets: { take: (_, count) => (left -= count) >= 0 },
    clock: Date.now,
    countDelivery: () => undefined,
  });
  const turns = makeFairTurns({ maxUnderWay: 16 });
  const matchBatch = makeMatchBatch({
    catchUp: ports.catchUp,
    matchEvent: makeMatchEvent({ ...ports, ...replace(ports) }, turns, { maxEventBytes: 1_000_000 }),
    tenantOfSubject: own.topology.tenantOfEventSubject,
    publishedSubject: own.topology.publishedEventSubject,
    observe: () => undefined,
    logger: silentLogger as never,
  });
  const { streams, consumers } = own.topology;
  const source = {
    stream: streams.EVENTS,
    consumer: [consumers.unpartitionedMatcher, ...consumers.matchers],
    maxMessages: 200,
    maxBytes: 16_000_000,
    maxWaitMs: 0,
  };
  const consuming = consumeBatches(
    own,
    { ...source, maxDetached: { messages: maxDetached, bytes: 10_000_000 } },
    matchBatch,
  );
  const stopFolds = (): Promise<unknown> => Promise.all([snapshot.stop(), laneStates.stop()]);
  let isOver = false;
  const matcher: Matcher = {
    bus: own,
    snapshot,
    laneStates,
    consuming,
    async stop() {
      if (isOver) return;
      isOver = true;
      turns.close();
      await consuming.stop();
      await wakes.stop();
      await stopFolds();
    },
    async crash() {
      isOver = true;
      await own.close();
      await stopFolds();
    },
  };
  stops.push(() => matcher.stop());
  return matcher;
}

/** Messages by subject, without the name of the deployment. */
async function stored(stream: 'DELIVERIES' | 'LANES' | 'WAKE' | 'DEADLETTERS'): Promise<Record<string, number>> {
  const { state } = await bus.jsm.streams.info(bus.topology.streams[stream], { subjects_filter: '>' });
  const bySubject = Object.entries(state.subjects ?? {});
  return Object.fromEntries(bySubject.map(([subject, count]) => [subject.slice(bus.deployment.length + 1), count]));
}

async function storedOn(road: 'deliver' | 'bulk'): Promise<number> {
  const all = Object.entries(await stored('DELIVERIES')).filter(([subject]) => subject.startsWith(`${road}.`));
  return all.reduce((sum, [, count]) => sum + count, 0);
}

/** Events that matchers have and did not acknowledge. */
async function unacknowledged(): Promise<number> {
  const { streams, consumers } = bus.topology;
  const infos = await Promise.all(consumers.matchers.map((name) => bus.jsm.consumers.info(streams.EVENTS, name)));
  return infos.reduce((sum, { num_ack_pending }) => sum + num_ack_pending, 0);
}

/** By what was published: what is pending for a consumer is counted a moment after the publisher has its answer. */
async function isMatched([tenant, seq]: readonly [TenantId, number]): Promise<boolean> {
  const { ack_floor } = await bus.jsm.consumers.info(bus.topology.streams.EVENTS, bus.topology.matcherOf(tenant));
  return ack_floor.stream_seq >= seq;
}

/** Every event is acknowledged. */
async function everythingIsMatched(): Promise<void> {
  for (const event of newest) await eventually(() => isMatched(event), { deadlineMs: 30_000 });
}

describe('which road a delivery takes', () => {
  test('common, bulk or the lane, by the subscription and by how many want the event', async () => {
    const common = await subscribe(ACME, { types: ['few'] });
    const ordered = await subscribe(ACME, { types: ['few'], config: { ordering: 'subscription' } });
    const rated = await subscribe(ACME, { types: ['few'], config: { rate: { requestsPerMinute: 60 } } });
    const many = await Promise.all(Array.from({ length: LARGE }, () => subscribe(ACME, { types: ['many'] })));
    await startMatcher();
    const few = await publish(ACME, { type: 'few' });
    await publish(ACME, { type: 'many' });
    await everythingIsMatched();
    expect(await stored('LANES')).toEqual({ [`lane.${ordered}`]: 1, [`lane.${rated}`]: 1 });
    expect(await stored('WAKE')).toEqual({ [`wake.${ordered}`]: 1, [`wake.${rated}`]: 1 });
    const bulk = many.map((id) => `bulk.${bus.topology.partitionOf(ACME)}.${id}`);
    const roads = [`deliver.${bus.topology.partitionOf(common)}.${common}`, ...bulk];
    expect(await stored('DELIVERIES')).toEqual(Object.fromEntries(roads.map((road) => [road, 1])));

    const entry = await bus.jsm.streams.getMessage(bus.topology.streams.LANES, {
      last_by_subj: bus.topology.laneSubject(ordered),
    });
    const task = decodeDeliveryTask(entry?.data ?? new Uint8Array());
    expect(task).toMatchObject({ subscription: ordered, tenant: ACME, eventSeq: few, attempt: 1 });
    expect(entry?.header.get('Nats-Msg-Id')).toBe(`${task.delivery}-${few}:1`);
  });

  test('the lane for one of which CIRCUITS has a state, and the common road again without it', async () => {
    const id = await subscribe(ACME, { types: ['t'] });
    const { laneStates } = await startMatcher();
    await laneStates.update(id, () => ({ circuit: { kind: 'closed', sinceMs: 1 } }));
    await publish(ACME, { type: 't' });
    await everythingIsMatched();
    expect([await stored('LANES'), await storedOn('deliver')]).toEqual([{ [`lane.${id}`]: 1 }, 0]);
    await laneStates.update(id, () => undefined);
    await publish(ACME, { type: 't' });
    await everythingIsMatched();
    expect([await stored('LANES'), await storedOn('deliver')]).toEqual([{ [`lane.${id}`]: 1 }, 1]);
  });

  test('the bulk road for a tenant that is over its budget', async () => {
    await subscribe(ACME, { types: ['t'] });
    await startMatcher({ budget: 3 });
    for (let i = 0; i < 10; i++) await publish(ACME, { type: 't' });
    await everythingIsMatched();
    expect([await storedOn('deliver'), await storedOn('bulk')]).toEqual([3, 7]);
  });

  test('follows what the registry had acknowledged before the event, however late this process hears of it (D5)', async () => {
    const id = await subscribe(ACME, { types: ['t'] });
    await startMatcher();
    const { REGISTRY } = bus.topology.streams;
    for await (const { name, config } of bus.jsm.consumers.list(REGISTRY)) {
      if (config.durable_name === undefined) await bus.jsm.consumers.delete(REGISTRY, name);
    }
    const spec = aSpec({ types: ['t'], config: { ordering: 'subscription' } });
    await change(id, ACME, { kind: 'SubscriptionReplaced', spec, atMs: 2, by: 'x' });
    await publish(ACME, { type: 't' });
    await everythingIsMatched();
    expect([await stored('LANES'), await storedOn('deliver')]).toEqual([{ [`lane.${id}`]: 1 }, 0]);
  });
});

describe('a lane', () => {
  test('is appended to once and woken, though the matcher crashed between the two', async () => {
    const id = await subscribe(ACME, { types: ['t'], config: { ordering: 'subscription' } });
    const crashing = await startMatcher({ replace: () => ({ wakeLane: () => new Promise(() => undefined) }) });
    await publish(ACME, { type: 't' });
    await eventually(async () => (await stored('LANES'))[`lane.${id}`] === 1);
    expect(await stored('WAKE')).toEqual({});
    await crashing.crash();
    await startMatcher();
    await everythingIsMatched();
    expect([await stored('LANES'), await stored('WAKE')]).toEqual([{ [`lane.${id}`]: 1 }, { [`wake.${id}`]: 1 }]);
  });

  test('has everything up to the acknowledgement floor of the matchers, also while later events are stored first', async () => {
    const id = await subscribe(ACME, { types: ['first', 'second'], config: { ordering: 'subscription' } });
    const gate = Promise.withResolvers<void>();
    await startMatcher({
      replace: ({ publishTask }) => ({
        async publishTask(road, task, payload) {
          if (task.eventSeq === 1) await gate.promise;
          await publishTask(road, task, payload);
        },
      }),
    });
    expect(await publish(ACME, { type: 'first' })).toBe(1);
    await publish(ACME, { type: 'second' });
    await eventually(async () => (await stored('LANES'))[`lane.${id}`] === 1 && (await unacknowledged()) === 1);
    const { floor } = makeMatchedFloor(bus);
    expect(await floor(ACME)).toBe(0);
    gate.resolve();
    await eventually(async () => (await floor(ACME)) === 2);
    expect(await stored('LANES')).toEqual({ [`lane.${id}`]: 2 });
  });
});

/** Everything of the bulk road waits until it is opened. */
function blocked(): { open: () => void; replace: NonNullable<MatcherOptions['replace']> } {
  const gate = Promise.withResolvers<void>();
  return {
    open: gate.resolve,
    replace: ({ publishTask }) => ({
      async publishTask(road, task, payload) {
        if (road === 'bulk') await gate.promise;
        await publishTask(road, task, payload);
      },
    }),
  };
}

describe('a backlog of one tenant', () => {
  test('that does not get on holds up nobody in another partition, whose events came later (ADR 0014)', async () => {
    expect(bus.topology.matcherOf(OTHER)).not.toBe(bus.topology.matcherOf(ACME));
    await subscribe(ACME, { types: ['t'] });
    const others = await subscribe(OTHER, { types: ['t'] });
    await Promise.all(Array.from({ length: 1500 }, () => publish(ACME, { type: 't' })));
    expect(await publish(OTHER, { type: 't' })).toBe(1501);
    const { open, replace } = blocked();
    await startMatcher({
      maxDetached: 1000,
      replace: (ports) => ({ ...replace(ports), takeFromBudget: (tenant) => tenant !== ACME }),
    });
    const road = `deliver.${bus.topology.partitionOf(others)}.${others}`;
    await eventually(async () => (await stored('DELIVERIES'))[road] === 1);
    await eventually(async () => (await unacknowledged()) >= 600);
    for (let more = 1; more <= 5; more++) {
      await publish(OTHER, { type: 't' });
      await eventually(async () => (await stored('DELIVERIES'))[road] === 1 + more);
    }
    expect(Object.keys(await stored('DELIVERIES'))).toEqual([road]);
    const { floor } = makeMatchedFloor(bus);
    await eventually(async () => (await floor(OTHER)) === 1506);
    expect(await floor(ACME)).toBe(0);
    open();
    await everythingIsMatched();
    expect(await storedOn('bulk')).toBe(1500);
  });
});

describe('a large fan-out', () => {
  test('that is stuck holds up no small event, of its tenant or of another (4: fan-out)', async () => {
    await Promise.all(Array.from({ length: LARGE }, () => subscribe(ACME, { types: ['many'] })));
    const [own, others] = [await subscribe(ACME, { types: ['few'] }), await subscribe(OTHER, { types: ['few'] })];
    const { open, replace } = blocked();
    await startMatcher({ replace });
    for (let i = 0; i < 5; i++) await publish(ACME, { type: 'many' });
    await publish(ACME, { type: 'few' });
    await publish(OTHER, { type: 'few' });
    const road = (id: SubscriptionId): string => `deliver.${bus.topology.partitionOf(id)}.${id}`;
    const few = { [road(own)]: 1, [road(others)]: 1 };
    await eventually(async () => Object.keys(await stored('DELIVERIES')).length >= 2 && (await unacknowledged()) === 5);
    expect(await stored('DELIVERIES')).toEqual(few);
    open();
    await everythingIsMatched();
    expect(await storedOn('bulk')).toBe(5 * LARGE);
  });

  test('that was under way at the shutdown is complete after the next start, without a duplicate', async () => {
    await Promise.all(Array.from({ length: LARGE }, () => subscribe(ACME, { types: ['many'] })));
    let left = 40;
    const never = new Promise<void>(() => undefined);
    const gate = Promise.withResolvers<void>();
    const first = await startMatcher({
      replace: ({ publishTask }) => ({
        async publishTask(...given) {
          if (left-- <= 0) await gate.promise;
          await publishTask(...given);
        },
      }),
    });
    const event = await publish(ACME, { type: 'many' });
    await eventually(async () => (await storedOn('bulk')) === 40);
    const stopped = first.stop();
    expect(await Promise.race([stopped.then(() => 'stopped'), bus.nc.flush().then(() => 'waits'), never])).toBe(
      'waits',
    );
    gate.resolve();
    await stopped;
    expect(await storedOn('bulk')).toBeLessThan(LARGE);
    expect(await isMatched([ACME, event])).toBe(false);
    await startMatcher();
    await everythingIsMatched();
    expect(await storedOn('bulk')).toBe(LARGE);
  });
});

describe('an operational event', () => {
  const type = 'io.posthaste.delivery.dead';

  test('of ours goes to those that name it; one of a producer is set aside', async () => {
    const asking = await subscribe(ACME, { filters: [{ prefix: { type: 'io.posthaste.' } }] });
    await subscribe(ACME, {});
    await startMatcher();
    await publish(ACME, { type, subject: 'sub_x' }, [[...OPERATIONAL_MARK]]);
    await publish(ACME, { type, subject: asking }, [[...OPERATIONAL_MARK]]);
    await publish(ACME, { type, subject: 'sub_x' });
    await everythingIsMatched();
    expect(await stored('DELIVERIES')).toEqual({ [`deliver.${bus.topology.partitionOf(asking)}.${asking}`]: 1 });
    expect(await stored('DEADLETTERS')).toEqual({ 'dead.acme._rejected': 1 });
    const query = { last_by_subj: bus.topology.deadSubject(ACME, '_rejected') };
    const entry = await bus.jsm.streams.getMessage(bus.topology.streams.DEADLETTERS, query);
    expect(entry?.json()).toMatchObject({ kind: 'rejected', subject: bus.topology.eventSubject(ACME, type) });
  });
});
