import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { consumeEach, type Consuming } from '#bus/consume';
import { openRegistrySnapshot, type RegistrySnapshot } from '#bus/registry-snapshot';
import {
  decodeValidationAsk,
  encodeValidation,
  type ValidationAnswer,
  type ValidationAsk,
} from '#contracts/bus/validation';
import { makeSubscriptionId, type SubscriptionId, type TenantId } from '#core/ids';
import { DEFAULT_VALIDATION } from '#core/registry/current-spec';
import type { Subscription, SubscriptionCommand, ValidationPolicy } from '#core/registry/subscription';
import { randomBytes, sha256Hex } from '#platform/digest';
import { aSpec } from '#testkit/a-subscription';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { subscriptionAggregate } from '../aggregates.ts';
import { makeExecute } from '../make-registry-ports.ts';
import { makeRequestValidation } from './request-validation.ts';
import { makeRequestPorts } from './validation.ports.ts';
import { startValidationWorker } from './validation.worker.ts';

const tenant = 'acme' as TenantId;

let nats: TestNats;
let bus: TestBus;
let snapshot: RegistrySnapshot;
let asking: Consuming;
let workers: Consuming[];
const asks: ValidationAsk[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url, { topology: { ackWaitSeconds: 2 } });
  snapshot = await openRegistrySnapshot(bus);
  const { streams, consumers } = bus.topology;
  asking = consumeEach(
    bus,
    { stream: streams.VALIDATIONS, consumer: consumers.validationAsks, slots: 1 },
    (message) => {
      asks.push(decodeValidationAsk(message.data));
      message.ack();
      return Promise.resolve();
    },
  );
});

beforeEach(() => {
  workers = [];
});

afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
});

afterAll(async () => {
  await asking.stop();
  await snapshot.stop();
  await bus.close();
  await nats.stop();
});

function startWorker({ sweepEveryMs = 60_000, clock = Date.now } = {}): void {
  const parts = { bus, snapshot, clock, execute: makeExecute({ bus, snapshot, clock }) };
  workers.push(startValidationWorker(parts, makeRequestValidation(makeRequestPorts(parts)), { sweepEveryMs }));
}

function command(id: SubscriptionId, one: SubscriptionCommand) {
  const execute = makeExecute({ bus, snapshot, clock: Date.now });
  return execute(subscriptionAggregate(snapshot, tenant, id), { by: 'test' }, () => one);
}

async function create(policy: Partial<ValidationPolicy>): Promise<SubscriptionId> {
  const id = makeSubscriptionId(Date.now(), randomBytes(10));
  const spec = aSpec({ config: { validation: { ...DEFAULT_VALIDATION, ...policy } } });
  await command(id, { kind: 'CreateSubscription', id, tenant, spec });
  return id;
}

function askFor(id: SubscriptionId): Promise<ValidationAsk> {
  return eventually(() => asks.findLast(({ subscription }) => subscription === id));
}

async function answer({ subscription, code }: ValidationAsk, result: ValidationAnswer['result']): Promise<void> {
  const told = encodeValidation({
    kind: 'answer',
    tenant,
    subscription,
    codeHash: sha256Hex(code),
    result,
    via: 'options',
    ...(result === 'granted' ? { origin: '*', allowedRate: 60 } : { detail: result }),
  });
  await bus.publisher.publish(bus.topology.validationToldSubject(tenant, subscription), told);
}

function becomes(id: SubscriptionId, wanted: (one: Subscription) => boolean): Promise<Subscription> {
  return eventually(() => {
    const now = snapshot.subscription(tenant, id);
    if (now !== undefined && wanted(now)) return now;
    throw new Error(`it is ${JSON.stringify(now)}`);
  });
}

describe('the process manager', () => {
  test('has a new sink asked, and records its consent', async () => {
    startWorker();
    const id = await create({ mode: 'required' });
    const ask = await askFor(id);
    const pending = await becomes(id, ({ validation }) => validation.codeHash === sha256Hex(ask.code));
    expect(pending.state).toBe('pending');
    await answer(ask, 'granted');
    const active = await becomes(id, ({ state }) => state === 'active');
    expect(active.validation).toMatchObject({ status: 'granted', grantedOrigin: '*', allowedRatePerMinute: 60 });
  });

  test('expires one that gets no consent in time, once (WH-16)', async () => {
    startWorker();
    startWorker(); // two processes
    const id = await create({ mode: 'required', deadlineSeconds: 1 });
    await answer(await askFor(id), 'denied');
    const expired = await becomes(id, ({ state }) => state === 'expired');
    expect(expired).toMatchObject({ stateReason: 'validation_deadline', revision: 2 });
    await create({}).then(askFor); // everything before was worked off
    expect(snapshot.subscription(tenant, id)).toEqual(expired);
  });

  test('leaves an optional one active, and closes the question (WH-10)', async () => {
    // The deadline comes when the clock goes on, however late the answer is.
    let stoppedAtMs: number | undefined = Date.now();
    startWorker({ clock: () => stoppedAtMs ?? Date.now() });
    const id = await create({ mode: 'optional', deadlineSeconds: 1 });
    await answer(await askFor(id), 'pending');
    await becomes(id, ({ validation }) => validation.status === 'pending');
    stoppedAtMs = undefined;
    const closed = await becomes(id, ({ validation }) => validation.status === 'unsupported');
    expect(closed).toMatchObject({ state: 'active', validation: { allowedRatePerMinute: '*' } });
  });

  test('does what was to be done while no registry was running', async () => {
    const id = await create({ mode: 'required' });
    const other = await create({ mode: 'required' });
    await command(other, { kind: 'DeleteSubscription' });
    startWorker();
    expect(await askFor(id)).toMatchObject({ ask: 1 });
    await create({}).then(askFor); // everything before was worked off
    expect(asks.some(({ subscription }) => subscription === other)).toBe(false);
  });

  test('asks again when a process recorded the request and died before it sent it', async () => {
    const id = await create({ mode: 'required' });
    await command(id, { kind: 'RequestValidation', codeHash: 'lost', deadlineAtMs: Date.now() + 60_000 });
    // The record of the creation was handed to that process, which never acknowledged it.
    const { streams, consumers } = bus.topology;
    const dying = await bus.another();
    let hasTaken = false;
    consumeEach(
      dying,
      { stream: streams.REGISTRY, consumer: consumers.subscriptionChanges, slots: 64 },
      ({ subject }) => {
        hasTaken ||= subject.endsWith(id);
        return new Promise(() => undefined);
      },
    );
    await eventually(() => hasTaken);
    await dying.close();
    startWorker();
    const ask = await askFor(id);
    await becomes(id, ({ validation }) => validation.codeHash === sha256Hex(ask.code));
  });

  test('asks again when the consent is old (WH-17)', async () => {
    const ahead = { byMs: 0 };
    startWorker({ sweepEveryMs: 50, clock: () => Date.now() + ahead.byMs });
    const id = await create({ mode: 'required', revalidateSeconds: 3600 });
    const first = await askFor(id);
    await answer(first, 'granted');
    await becomes(id, ({ state }) => state === 'active');
    ahead.byMs = 3_600_000;
    const second = await eventually(async () => {
      const ask = await askFor(id);
      return ask.code !== first.code && ask;
    });
    expect(snapshot.subscription(tenant, id)?.state).toBe('active');
    await answer(second, 'denied');
    await becomes(id, ({ state }) => state === 'pending');
  });
});
