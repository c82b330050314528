import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { BusModule } from '#bus/bus.module';
import { openLaneStates, type LaneStates } from '#bus/lane-states';
import { makeLaneStore, type LaneStore } from '#bus/lane-store';
import { openPresence, type Presence } from '#bus/presence';
import { serve, type Serving } from '#bus/request';
import { scheduleRetry } from '#bus/schedule';
import { makeWakes } from '#bus/wake';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { LaneHealthAnswer } from '#contracts/bus/lane-health';
import type { SubscriptionHealthResource } from '#contracts/http/health-resource';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { anEvent } from '#testkit/an-event';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { callApi, type Answer } from '#testkit/tenant-client';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema } from '../config.ts';
import { RegistryModule } from '../registry.module.ts';

const adminToken = 'the-token-of-the-operator';

let nats: TestNats;
let bus: TestBus;
let states: LaneStates;
let store: LaneStore;
/** No PostgreSQL: nothing of this needs it. */
let service: RunningService;
let stopping: (() => Promise<void>)[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  states = await openLaneStates(bus);
  store = makeLaneStore(bus);
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing',
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
  });
  const logger = makeLogger({ name: 'registry', level: 'silent' });
  const modules = [BusModule.forRoot({ name: 'registry', config }), RegistryModule];
  service = await startService({ name: 'registry', config, logger, modules });
});

afterEach(async () => {
  await Promise.all(stopping.map((stop) => stop()));
  stopping = [];
});

afterAll(async () => {
  await service.stop();
  store.close();
  await states.stop();
  await bus.close();
  await nats.stop();
});

function call(method: string, path: string, token: string, body?: object): Promise<Answer> {
  const request = body === undefined ? {} : { body };
  return callApi(method, `${service.url}${path}`, { ...request, headers: { authorization: `Bearer ${token}` } });
}

async function aTenant(): Promise<{ tenant: TenantId; keyWith(scope: string): Promise<string> }> {
  const tenant = `t-${randomBytes(4).toString('hex')}` as TenantId;
  expect((await call('PUT', `/v1/tenants/${tenant}`, adminToken)).status).toBe(201);
  return {
    tenant,
    async keyWith(scope) {
      const made = await call('POST', `/v1/tenants/${tenant}/keys`, adminToken, { scopes: [scope] });
      return made.json<{ key: string }>().key;
    },
  };
}

async function subscribe(key: string, config: object = {}): Promise<SubscriptionId> {
  const signature = { profile: 'none' };
  const body = {
    sink: 'https://example.com/hooks',
    protocol: 'HTTP',
    config: { validation: { mode: 'none' }, signature, authorization: 'none', ...config },
  };
  const made = await call('POST', '/v1/subscriptions', key, body);
  expect([made.status, made.text]).toEqual([201, expect.stringContaining('sub_')]);
  return made.json<{ id: SubscriptionId }>().id;
}

async function healthOf(key: string, id: SubscriptionId): Promise<SubscriptionHealthResource> {
  const answer = await call('GET', `/v1/subscriptions/${id}/health`, key);
  expect([answer.status, answer.text]).toEqual([200, expect.stringContaining(id)]);
  return answer.json<SubscriptionHealthResource>();
}

/** A delivery worker, as far as the health endpoint is concerned; without an answer one that hangs. */
async function startWorker(answer?: LaneHealthAnswer): Promise<void> {
  const other = await bus.another();
  const presence: Presence = openPresence(other);
  const serving: Serving = serve(other, { subject: bus.topology.laneHealthSubject }, () =>
    answer === undefined ? new Promise(() => undefined) : Promise.resolve(Buffer.from(JSON.stringify(answer))),
  );
  await other.nc.flush();
  stopping.push(async () => {
    await presence.stop();
    if (answer !== undefined) await serving.stop();
  });
}

let deliveries = 0;

function aTask(tenant: TenantId, subscription: SubscriptionId, acceptedAtMs: number): DeliveryTask {
  return {
    delivery: `dlv_${String(++deliveries).padStart(26, '0')}` as DeliveryId,
    tenant,
    subscription,
    eventSeq: deliveries,
    acceptedAtMs,
    attempt: 1,
    firstAttempt: 1,
    event: { kind: 'inline', value: anEvent() },
  };
}

const FROM_MS = Date.UTC(2026, 10, 22, 12);
const textOf = (ms: number): string => new Date(ms).toISOString();

describe('GET /v1/subscriptions/{id}/health', () => {
  test('shows an open circuit, what waits for it on every road, and what the workers know', async () => {
    const { tenant, keyWith } = await aTenant();
    const key = await keyWith('manage');
    const id = await subscribe(key, { rate: { requestsPerMinute: 60 } });
    await startWorker({ inFlight: 2, window: { successes: 10, failures: 5 } });
    await startWorker({ inFlight: 1, window: { successes: 0, failures: 5 } });
    await states.update(id, () => ({
      circuit: {
        kind: 'open',
        sinceMs: FROM_MS,
        failingSinceMs: FROM_MS - 1000,
        lastFailureAtMs: FROM_MS + 1000,
        cause: 'failures',
        failedProbes: 3,
        nextProbeAtMs: FROM_MS + 90_000,
        revision: 1,
        lastStatus: 503,
      },
    }));
    const { publisher, topology } = bus;
    const payloadOf = (acceptedAtMs: number): Uint8Array => encodeDeliveryTask(aTask(tenant, id, acceptedAtMs));
    await store.append(id, payloadOf(FROM_MS + 20), { msgId: `${id} 1` });
    await store.append(id, payloadOf(FROM_MS + 30), { msgId: `${id} 2` });
    await publisher.publish(topology.deliverSubject(id), payloadOf(FROM_MS + 40));
    await publisher.publish(topology.bulkSubject(tenant, id), payloadOf(FROM_MS + 50));
    // The timer of the lane comes first, and is no delivery.
    await makeWakes(bus).wakeAt(id, Date.now() + 3_600_000);
    const task = aTask(tenant, id, FROM_MS + 10);
    await scheduleRetry(bus, { ...task, atMs: Date.now() + 3_600_000, payload: encodeDeliveryTask(task) });

    const shown = await eventually(async () => {
      const health = await healthOf(key, id);
      return health.workers === 2 && health.silentWorkers === 0 && health;
    });
    expect(shown).toEqual({
      id,
      state: 'active',
      circuit: {
        state: 'open',
        since: textOf(FROM_MS),
        cause: 'failures',
        failingSince: textOf(FROM_MS - 1000),
        lastFailureAt: textOf(FROM_MS + 1000),
        failedProbes: 3,
        lastStatus: 503,
      },
      waiting: 5,
      oldestWaitingAt: textOf(FROM_MS + 10),
      inFlight: 3,
      successRatio: 0.5,
      window: { seconds: 60, successes: 10, failures: 10 },
      nextProbeAt: textOf(FROM_MS + 90_000),
      rate: { requestsPerMinute: 60, source: 'config' },
      workers: 2,
      silentWorkers: 0,
    });

    await states.update(id, () => undefined);
    await store.purge(id);
    expect(await healthOf(key, id)).toMatchObject({ circuit: { state: 'closed' }, waiting: 3, nextProbeAt: null });
  });

  test('answers without a worker, and does not wait for one that hangs', async () => {
    const { keyWith } = await aTenant();
    const key = await keyWith('manage');
    const id = await subscribe(key);
    const alone = await healthOf(key, id);
    expect(alone).toMatchObject({
      circuit: { state: 'closed' },
      waiting: 0,
      oldestWaitingAt: null,
      successRatio: null,
    });
    await startWorker({ inFlight: 1, window: { successes: 1, failures: 0 } });
    await startWorker();
    // It never answers: who waits for it does not either.
    const partial = await eventually(async () => {
      const health = await healthOf(key, id);
      return health.workers === 1 && health.silentWorkers === 1 && health;
    });
    expect(partial).toMatchObject({ inFlight: 1, successRatio: 1 });
  });

  test('is for who may read the subscription, and no other tenant', async () => {
    const mine = await aTenant();
    const id = await subscribe(await mine.keyWith('manage'));
    const path = `/v1/subscriptions/${id}/health`;
    const statusFor = async (key: string): Promise<number> => (await call('GET', path, key)).status;
    expect(await statusFor(await mine.keyWith('read'))).toBe(200);
    expect(await statusFor(await mine.keyWith('publish'))).toBe(403);
    expect(await statusFor(await (await aTenant()).keyWith('manage'))).toBe(404);
    expect((await call('OPTIONS', path, adminToken)).headers.get('allow')).toBe('GET,OPTIONS');
  });
});

test('what the registry tells tenants is counted', async () => {
  const { keyWith } = await aTenant();
  await subscribe(await keyWith('manage'));
  await eventually(async () => {
    const { text } = await callApi('GET', `${service.url}/metrics`);
    return /posthaste_operational_events_total\{type="io\.posthaste\.subscription\.created"\} [1-9]/.test(text);
  });
});
