import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { eventually } from '#testkit/eventually';
import { headerOf, type Sink } from '#testkit/sink-server';
import { callApi, type Answer, type PublishAnswer, type TenantClient } from '#testkit/tenant-client';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const FENCE_CYCLES = 1000;
const FENCE_CONCURRENCY = 8;

let stage: Stage;
let client: TenantClient;
let sink: Sink;

beforeAll(async () => {
  stage = await startStage({ matcher: 2 });
  client = await stage.cluster.createTenantWithKey();
  sink = await stage.sink();
  await client.subscribe({ sink: sink.url, source: '/good', config: { contentMode: 'binary' } });
}, 90_000);

afterAll(() => stage.stop(), 90_000);

const event = (changes: object = {}): object => ({
  specversion: '1.0',
  id: randomUUID(),
  source: '/good',
  type: 'good',
  datacontenttype: 'application/json',
  data: {},
  ...changes,
});

/** Their consumers are gone: nothing that is registered now reaches them until they notice. */
async function cutFollowersOfRegistry(): Promise<void> {
  const nc = await connect({ servers: stage.cluster.natsUrl });
  const jsm = await jetstreamManager(nc);
  for await (const { name, config } of jsm.consumers.list('REGISTRY')) {
    if (config.durable_name === undefined) await jsm.consumers.delete('REGISTRY', name);
  }
  await nc.close();
}

interface Problem {
  readonly type: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly { readonly rule?: string; readonly pointer: string; readonly detail: string }[];
}

function expectProblem(answer: Answer, status: number): Problem {
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const problem = answer.json<Problem>();
  expect(problem.status).toBe(status);
  expect(problem.detail).not.toBe('');
  return problem;
}

describe('a publish request that is not valid', () => {
  const binary = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/good', 'ce-type': 'good' };
  test.each<[what: string, headers: Record<string, string>, body: string, status: number, errors: object[]]>([
    ['lacks an id', STRUCTURED, JSON.stringify(event({ id: undefined })), 400, [{ rule: 'CE-1', pointer: '/id' }]],
    ['has an empty type', STRUCTURED, JSON.stringify(event({ type: '' })), 400, [{ rule: 'CE-1', pointer: '/type' }]],
    [
      'is of version 0.3',
      STRUCTURED,
      JSON.stringify(event({ specversion: '0.3' })),
      400,
      [{ pointer: '/specversion' }],
    ],
    ['names an attribute badly', STRUCTURED, JSON.stringify(event({ my_attr: 'x' })), 400, [{ rule: 'CE-5' }]],
    ['has a time that is none', STRUCTURED, JSON.stringify(event({ time: 'lunchtime' })), 400, [{ rule: 'CE-9' }]],
    ['is not JSON', STRUCTURED, '{"specversion":', 400, [{ pointer: '' }]],
    ['lacks ce-source', { ...binary, 'ce-source': '' }, '', 400, [{ pointer: 'ce-source' }]],
    ['is a batch that is no array', BATCH, '{}', 400, [{ pointer: '' }]],
    ['is plain JSON', { 'content-type': 'application/json' }, '{}', 415, [{ rule: 'HB-11', pointer: 'content-type' }]],
    ['is XML', { 'content-type': 'application/cloudevents+xml' }, '<event/>', 415, [{ rule: 'HB-2' }]],
    ['is UTF-16', { 'content-type': 'application/cloudevents+json; charset=utf-16' }, '{}', 415, [{ rule: 'HB-2' }]],
    ['is too large', STRUCTURED, JSON.stringify(event({ data: 'x'.repeat(1_100_000) })), 413, [{ rule: 'CE-12' }]],
  ])('is refused with rule and pointer when it %s', async (_what, headers, body, status, errors) => {
    const problem = expectProblem(await client.publish(headers, body), status);
    expect(problem.errors).toEqual(expect.arrayContaining(errors.map((error) => expect.objectContaining(error))));
    for (const error of problem.errors ?? []) expect(error.detail.length).toBeGreaterThan(10);
  });

  test('is refused with 413 when it announces a body beyond any event, before the body is sent', async () => {
    const announced = { ...STRUCTURED, authorization: `Bearer ${client.key}`, 'content-length': 9 * 1024 * 1024 };
    const sending = request(stage.cluster.publishUrl, { method: 'POST', headers: announced });
    sending.flushHeaders();
    const [response] = (await once(sending, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    sending.destroy();
  });

  test('is refused as a whole when one member of a batch is bad, and every bad one is named', async () => {
    const good = event();
    const members = [good, event({ id: '' }), event(), event({ source: undefined })];
    const problem = expectProblem(await client.publish(BATCH, JSON.stringify(members)), 400);
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(['/1/id', '/3/source']);
    // None was accepted: the good one is new to the service now.
    expect((await client.publishEvent(good)).events[0]?.duplicate).toBe(false);
  });

  test('is refused with 401 without a key, or with one that nobody has', async () => {
    const url = stage.cluster.publishUrl;
    const body = JSON.stringify(event());
    const without = await callApi('POST', url, { headers: STRUCTURED, body });
    expectProblem(without, 401);
    expect(without.headers.get('www-authenticate')).toMatch(/^Bearer/);
    const authorization = `Bearer phk_${'a'.repeat(43)}`;
    expectProblem(await callApi('POST', url, { headers: { ...STRUCTURED, authorization }, body }), 401);
  });

  test('is refused with 403 when the key may only read', async () => {
    const { adminToken, apiUrl, publishUrl } = stage.cluster;
    const made = await callApi('POST', `${apiUrl}/v1/tenants/${client.tenant}/keys`, {
      headers: { authorization: `Bearer ${adminToken}` },
      body: { scopes: ['read'] },
    });
    const authorization = `Bearer ${made.json<{ key: string }>().key}`;
    const body = JSON.stringify(event());
    expectProblem(await callApi('POST', publishUrl, { headers: { ...STRUCTURED, authorization }, body }), 403);
  });
});

describe('a publish request of the operator', () => {
  test('needs to name a tenant that exists', async () => {
    const { adminToken, publishUrl } = stage.cluster;
    const publish = (headers: object) =>
      callApi('POST', publishUrl, {
        headers: { ...STRUCTURED, authorization: `Bearer ${adminToken}`, ...headers },
        body: JSON.stringify(event()),
      });
    expectProblem(await publish({}), 400);
    expectProblem(await publish({ 'posthaste-tenant': 'nobody' }), 404);
    expect((await publish({ 'posthaste-tenant': client.tenant })).status).toBe(202);
  });
});

describe('a batch', () => {
  test('is accepted in its order, and delivered event by event (HB-1)', async () => {
    const members = Array.from({ length: 50 }, () => event());
    const answer = await client.publish(BATCH, JSON.stringify(members));
    expect(answer.status).toBe(202);
    const ids = members.map((member) => (member as { id: string }).id);
    expect(answer.json<PublishAnswer>().events.map(({ id }) => id)).toEqual(ids);
    await eventually(() => {
      const arrived = new Set(sink.received.map((one) => headerOf(one, 'ce-id')));
      return ids.every((id) => arrived.has(id));
    });
  });

  test('may be empty', async () => {
    const answer = await client.publish(BATCH, '[]');
    expect(answer.status).toBe(202);
    expect(answer.json<PublishAnswer>()).toEqual({ events: [] });
  });
});

describe('the registry fence', () => {
  test(`matches an event published after 201 Created against that subscription, ${FENCE_CYCLES} times`, async () => {
    const fence = await stage.sink();
    const publisher = await stage.cluster.createTenantWithKey();
    let next = 0;
    const cycle = async (): Promise<void> => {
      while (next < FENCE_CYCLES) {
        const n = next++;
        const type = `fence.n${n}`;
        await publisher.subscribe({
          sink: fence.url,
          types: [type],
          config: { contentMode: 'binary', signature: { profile: 'none' } },
        });
        await publisher.publishEvent({ specversion: '1.0', id: String(n), source: '/fence', type, data: 0 });
      }
    };
    await Promise.all(Array.from({ length: FENCE_CONCURRENCY }, cycle));
    await fence.waitFor(FENCE_CYCLES, { deadlineMs: 60_000 });
    expect(new Set(fence.received.map((one) => headerOf(one, 'ce-id'))).size).toBe(FENCE_CYCLES);
  }, 180_000);

  test('also holds while a matcher is cut off from the registry: it waits, it does not guess', async () => {
    const publisher = await stage.cluster.createTenantWithKey();
    for (let n = 0; n < 3; n++) {
      const fence = await stage.sink();
      await cutFollowersOfRegistry();
      // The registry is cut off as well, and may have to say so: 503.
      await eventually(() => publisher.subscribe({ sink: fence.url, types: [`cut.n${n}`] }));
      await publisher.publishEvent({ specversion: '1.0', id: String(n), source: '/fence', type: `cut.n${n}`, data: 0 });
      expect(await fence.waitFor(1)).toHaveLength(1);
    }
  });
});
