import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { consumeEach } from '#bus/consume';
import { headerPairs } from '#bus/header-pairs';
import { readSubject } from '#bus/read-subject';
import { openRegistrySnapshot, type RegistrySnapshot } from '#bus/registry-snapshot';
import type { CircuitChanged, DeadLetter, SubscriptionFact, SubscriptionVerdict } from '#contracts/bus/facts';
import { OPERATIONAL_MARK } from '#contracts/bus/operational-mark';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { parseNatsMessage } from '#core/event/nats-binding';
import { makeSubscriptionId, type SubscriptionId, type TenantId } from '#core/ids';
import type { Subscription, SubscriptionCommand } from '#core/registry/subscription';
import { makeDeduplicationIdOf } from '#platform/deduplication-id';
import { randomBytes } from '#platform/digest';
import { HealthChecks } from '#platform/health';
import { makeMetrics } from '#platform/metrics';
import { aSpec, type SpecTraits } from '#testkit/a-subscription';
import { eventually } from '#testkit/eventually';
import { deliveryId } from '#testkit/facts';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { subscriptionAggregate } from '../aggregates.ts';
import { makeExecute } from '../make-registry-ports.ts';
import { WorkerRunner } from '../worker.runner.ts';
import { engineWorkers } from './engine-workers.ts';

const tenant = 'acme' as TenantId;
const deduplicationIdOf = makeDeduplicationIdOf('the-token-of-the-operator');

let nats: TestNats;
let bus: TestBus;
let snapshot: RegistrySnapshot;
let stopping: (() => Promise<void>)[];

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  // What dies is carried on with after so long; what lives is not, however long it stands still.
  bus = await makeTestBus(nats.url, { topology: { ackWaitSeconds: 5 } });
  snapshot = await openRegistrySnapshot(bus);
  stopping = [];
});

afterEach(async () => {
  await Promise.all(stopping.map((stop) => stop()));
  await snapshot.stop();
  await bus.close();
});

/** Another registry, as far as the engine is concerned; answers what its metrics say. */
async function startRegistry(): Promise<(name: string) => Promise<string[]>> {
  const other = await bus.another();
  const itsSnapshot = await openRegistrySnapshot(other);
  const metrics = makeMetrics();
  const execute = makeExecute({ bus: other, snapshot: itsSnapshot, clock: Date.now });
  const workers = engineWorkers({ bus: other, snapshot: itsSnapshot, execute, deduplicationIdOf, metrics });
  const runner = new WorkerRunner(workers, new HealthChecks());
  runner.onApplicationBootstrap();
  stopping.push(async () => {
    await runner.onModuleDestroy();
    await itsSnapshot.stop();
  });
  return async (name) =>
    (await metrics.getSingleMetricAsString(name)).split('\n').filter((line) => !line.startsWith('#'));
}

async function command(id: SubscriptionId, one: SubscriptionCommand): Promise<void> {
  const execute = makeExecute({ bus, snapshot, clock: Date.now });
  const executed = await execute(subscriptionAggregate(snapshot, tenant, id), { by: 'test' }, () => one);
  expect(executed.kind).toBe('done');
}

async function create(traits: SpecTraits = {}): Promise<SubscriptionId> {
  const id = makeSubscriptionId(Date.now(), randomBytes(10));
  await command(id, { kind: 'CreateSubscription', id, tenant, spec: aSpec(traits) });
  return id;
}

async function publishFact(fact: SubscriptionFact): Promise<void> {
  await bus.publisher.publish(bus.topology.journalSubject(tenant, fact.kind), Buffer.from(JSON.stringify(fact)));
}

function gone(subscription: SubscriptionId, revision = 1): SubscriptionVerdict {
  const about = { tenant, subscription, revision, atMs: Date.now() };
  return { kind: 'verdict', ...about, verdict: 'disable', reason: 'gone', detail: 'the sink answered 410 Gone' };
}

async function bury(subscription: SubscriptionId, traits: Partial<Extract<DeadLetter, { kind: 'delivery' }>> = {}) {
  const letter: DeadLetter = {
    kind: 'delivery',
    tenant,
    delivery: deliveryId(1),
    subscription,
    eventSeq: 1,
    acceptedAtMs: Date.now(),
    source: '/orders',
    id: 'event-1',
    type: 'com.example.order.placed',
    reason: 'rejected_by_sink',
    attempts: 1,
    lastStatus: 400,
    atMs: Date.now(),
    ...traits,
  };
  await bus.publisher.publish(bus.topology.deadSubject(tenant, subscription), Buffer.from(JSON.stringify(letter)));
  return letter;
}

/** Everything that the engine was to do is done: nothing is stored that was not acknowledged. */
async function workedOff(): Promise<void> {
  const { streams, consumers } = bus.topology;
  // Verdicts first: what is told of them is in REGISTRY before they are acknowledged.
  const all = [
    [streams.JOURNAL, consumers.verdicts],
    [streams.REGISTRY, consumers.operational],
    [streams.JOURNAL, consumers.operational],
    [streams.DEADLETTERS, consumers.operational],
  ] as const;
  for (const [stream, consumer] of all) await eventually(() => isWorkedOff(stream, consumer));
  await snapshot.catchUp();
}

/** By what the stream has: what is pending for a consumer is counted a moment after the publisher has its answer. */
async function isWorkedOff(stream: string, consumer: string): Promise<boolean> {
  const { config, ack_floor } = await bus.jsm.consumers.info(stream, consumer);
  const last = await bus.jsm.streams.getMessage(stream, { last_by_subj: config.filter_subject ?? '>' });
  return ack_floor.stream_seq >= (last?.seq ?? 0);
}

async function historyOf(id: SubscriptionId): Promise<string[]> {
  await snapshot.catchUp();
  const subject = bus.topology.registrySubject(tenant, 'subscription', id);
  const { REGISTRY: stream } = bus.topology.streams;
  const messages = await readSubject(bus, { stream, subject, lastSeq: snapshot.lastSeqOf(subject) });
  return messages.map((data) => (JSON.parse(Buffer.from(data).toString()) as RegistryRecord).event.kind);
}

interface Told {
  readonly type: string;
  readonly id: string;
  readonly isMarked: boolean;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Every event of the tenant about a subscription, in no order that means anything; each stands on the subject of its type. */
async function toldOf(id: SubscriptionId): Promise<Told[]> {
  const stream = bus.topology.streams.EVENTS;
  const { last_seq } = (await bus.jsm.streams.info(stream)).state;
  const told: Told[] = [];
  for (let seq = 1; seq <= last_seq; seq++) {
    const message = await bus.jsm.streams.getMessage(stream, { seq });
    if (message === null) continue;
    const headers = headerPairs(message.header);
    const parsed = parseNatsMessage(headers, message.data);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
    const { attributes, data } = parsed.event;
    const type = String(attributes.get('type'));
    expect(bus.topology.publishedEventSubject(message.subject)).toBe(bus.topology.eventSubject(tenant, type));
    const isMarked = headers.some(([name, value]) => name === OPERATIONAL_MARK[0] && value === OPERATIONAL_MARK[1]);
    if (attributes.get('subject') !== id) continue;
    told.push({
      type,
      id: String(attributes.get('id')),
      isMarked,
      data: JSON.parse(Buffer.from(data?.bytes ?? []).toString()) as Told['data'],
    });
  }
  return told;
}

/** Several are told side by side, of several streams. */
const typesOf = async (id: SubscriptionId): Promise<string[]> =>
  (await toldOf(id)).map(({ type }) => type.replace('io.posthaste.', '')).toSorted();

function becomes(id: SubscriptionId, state: Subscription['state']): Promise<Subscription> {
  return eventually(() => {
    const now = snapshot.subscription(tenant, id);
    return now?.state === state && now;
  });
}

describe('a verdict of delivery', () => {
  test('disables exactly once, with two registries and the fact stored twice, and the tenant is told once (D9)', async () => {
    const metrics = [await startRegistry(), await startRegistry()];
    const id = await create();
    const verdict = gone(id);
    await publishFact(verdict);
    await publishFact(verdict);
    const disabled = await becomes(id, 'disabled');
    expect(disabled.stateReason).toBe(`The sink answered 410 Gone at ${new Date(verdict.atMs).toISOString()}.`);
    await workedOff();
    expect(await historyOf(id)).toEqual(['SubscriptionCreated', 'SubscriptionDisabled']);
    expect(await typesOf(id)).toEqual(['subscription.created', 'subscription.disabled']);
    expect((await toldOf(id)).find(({ type }) => type.endsWith('.disabled'))).toMatchObject({
      isMarked: true,
      data: { state: 'disabled', cause: 'gone', reason: disabled.stateReason, by: 'delivery' },
    });
    const counted = (await Promise.all(metrics.map((of) => of('posthaste_subscription_verdicts_total')))).flat();
    expect(counted.map((line) => line.replace(/.*result="(\w+)"} /, '$1 ')).toSorted()).toEqual([
      'applied 1',
      'stale 1',
    ]);
  });

  test('is carried out by a registry that was away when it was given', async () => {
    const id = await create();
    await publishFact(gone(id));
    await startRegistry();
    expect(await becomes(id, 'disabled')).toMatchObject({ revision: 2 });
  });

  test('is carried out when a registry died with it in its hands', async () => {
    const id = await create();
    const dying = await bus.another();
    const { streams, consumers } = bus.topology;
    let hasTaken = false;
    consumeEach(dying, { stream: streams.JOURNAL, consumer: consumers.verdicts, slots: 1 }, () => {
      hasTaken = true;
      return new Promise(() => undefined);
    });
    await publishFact(gone(id));
    await eventually(() => hasTaken);
    await dying.close();
    await startRegistry();
    expect(await becomes(id, 'disabled')).toMatchObject({ revision: 2 });
  });

  test('from before a resume does nothing; one from after it does', async () => {
    const id = await create();
    const old = gone(id);
    await command(id, { kind: 'DisableSubscription', reason: 'by hand' });
    await command(id, { kind: 'ResumeSubscription' });
    await publishFact(old);
    await startRegistry();
    await workedOff();
    expect(snapshot.subscription(tenant, id)).toMatchObject({ state: 'active', revision: 3 });
    await publishFact(gone(id, 3));
    expect(await becomes(id, 'disabled')).toMatchObject({ revision: 4 });
  });

  test('pauses a subscription whose order is blocked, and a resume lets it go on', async () => {
    await startRegistry();
    const id = await create({ config: { ordering: 'subscription', onDeadLetter: 'block' } });
    const blocked: SubscriptionVerdict = {
      ...gone(id),
      verdict: 'pause',
      reason: 'ordering_blocked',
      detail: 'a delivery was given up, and those behind it wait (onDeadLetter: block)',
    };
    await publishFact(blocked);
    expect((await becomes(id, 'paused')).stateReason).toMatch(/^A delivery was given up/);
    await command(id, { kind: 'ResumeSubscription' });
    await publishFact(blocked);
    await workedOff();
    expect(snapshot.subscription(tenant, id)?.state).toBe('active');
    expect(await typesOf(id)).toEqual(['subscription.created', 'subscription.paused', 'subscription.resumed']);
  });

  test('that nobody can read does not hold up the next one', async () => {
    await startRegistry();
    const id = await create();
    await bus.publisher.publish(bus.topology.journalSubject(tenant, 'verdict'), Buffer.from('{'));
    await publishFact(gone(id));
    await becomes(id, 'disabled');
    await workedOff();
    expect(await historyOf(id)).toEqual(['SubscriptionCreated', 'SubscriptionDisabled']);
  });
});

describe('a tenant is told', () => {
  test('of every step in the life of a subscription, once each, with two registries', async () => {
    await Promise.all([startRegistry(), startRegistry()]);
    const id = await create();
    await command(id, { kind: 'PauseSubscription', reason: 'maintenance' });
    await command(id, { kind: 'ResumeSubscription' });
    await command(id, { kind: 'ReplaceSubscription', spec: aSpec({ sink: 'https://other.example/?key=hunter2' }) });
    await command(id, { kind: 'RetireSubscription', reason: 'no longer' });
    await command(id, { kind: 'DeleteSubscription' });
    await workedOff();
    const told = await toldOf(id);
    expect(told.map(({ type }) => type.replace('io.posthaste.subscription.', '')).toSorted()).toEqual([
      'created',
      'deleted',
      'paused',
      'resumed',
      'retired',
      'updated',
    ]);
    expect(told.every(({ isMarked }) => isMarked)).toBe(true);
    expect(JSON.stringify(told)).not.toContain('hunter2');
  });

  test('of what follows whatever else is stored under the subject of a subscription', async () => {
    await startRegistry();
    const id = await create();
    await workedOff();
    await bus.publisher.publish(bus.topology.registrySubject(tenant, 'subscription', id), Buffer.from('{'));
    await command(id, { kind: 'PauseSubscription' });
    await workedOff();
    expect(await typesOf(id)).toEqual(['subscription.created', 'subscription.paused']);
  });

  test('of a circuit once, though the fact is stored twice, and again when it opens again', async () => {
    await Promise.all([startRegistry(), startRegistry()]);
    const id = await create();
    const opened: CircuitChanged = {
      kind: 'circuit',
      tenant,
      subscription: id,
      change: 'opened',
      sinceMs: 1000,
      cause: 'failures',
      failingSinceMs: 500,
      lastStatus: 500,
      atMs: 1001,
    };
    const closed: CircuitChanged = {
      kind: 'circuit',
      tenant,
      subscription: id,
      change: 'closed',
      sinceMs: 1000,
      atMs: 2000,
    };
    for (const fact of [opened, opened, closed, closed, { ...opened, sinceMs: 3000 }]) await publishFact(fact);
    await workedOff();
    const told = (await toldOf(id)).filter(({ type }) => type.includes('.circuit.'));
    expect(told.map((one) => one.id).toSorted()).toEqual([
      `${id}.circuit-closed.1000`,
      `${id}.circuit-opened.1000`,
      `${id}.circuit-opened.3000`,
    ]);
  });

  test('of a dead letter once, and only while somebody of the tenant asks', async () => {
    const metrics = await startRegistry();
    const id = await create();
    await bury(id);
    await workedOff();
    const watcher = await create({ filters: [{ prefix: { type: 'io.posthaste.delivery.' } }] });
    const letter = await bury(id, { eventSeq: 2 });
    await bury(id, { ...letter });
    await workedOff();
    const dead = (await toldOf(id)).filter(({ type }) => type === 'io.posthaste.delivery.dead');
    expect(dead.map(({ id: of, data }) => [of, data['reason'], data['lastStatus']])).toEqual([
      [`${letter.delivery}.dead.2-1`, 'rejected_by_sink', 400],
    ]);
    await command(watcher, { kind: 'PauseSubscription' });
    await bury(id, { eventSeq: 3 });
    await workedOff();
    expect((await typesOf(id)).filter((type) => type === 'delivery.dead')).toHaveLength(2);
    const counted = await metrics('posthaste_operational_events_total');
    expect(counted).toContain('posthaste_operational_events_total{type="io.posthaste.delivery.dead"} 2');
  });

  test('nothing of a delivery of an operational event, nor of what is no delivery', async () => {
    await startRegistry();
    const watcher = await create({ types: ['io.posthaste.delivery.dead'] });
    await bury(watcher, { type: 'io.posthaste.delivery.dead' });
    const rejected: DeadLetter = {
      kind: 'rejected',
      tenant,
      subject: 'ce.acme.x',
      eventSeq: 1,
      acceptedAtMs: 1,
      violations: [],
      atMs: 1,
    };
    await bus.publisher.publish(bus.topology.deadSubject(tenant, '_rejected'), Buffer.from(JSON.stringify(rejected)));
    await bury(watcher);
    await workedOff();
    expect(await typesOf(watcher)).toEqual(['delivery.dead', 'subscription.created']);
  });

  test('nothing of what was before the installation knew how to', async () => {
    const { streams, consumers } = bus.topology;
    await bus.jsm.consumers.delete(streams.REGISTRY, consumers.operational);
    const before = await create();
    const wanted = bus.topology
      .consumerConfigs()
      .find(({ stream, config }) => stream === streams.REGISTRY && config.durable_name === consumers.operational);
    await bus.jsm.consumers.add(streams.REGISTRY, { ...wanted?.config });
    await startRegistry();
    const after = await create();
    await workedOff();
    expect([await typesOf(before), await typesOf(after)]).toEqual([[], ['subscription.created']]);
  });
});
