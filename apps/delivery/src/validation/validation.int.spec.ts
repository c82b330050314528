import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebPubSubEventHandler } from '@azure/web-pubsub-express';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { consumeEach, type Consuming } from '#bus/consume';
import { openRegistrySnapshot, type RegistrySnapshot } from '#bus/registry-snapshot';
import {
  decodeValidationTold,
  encodeValidation,
  type ValidationAnswer,
  type ValidationAsk,
} from '#contracts/bus/validation';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { makeSubscriptionId, type TenantId } from '#core/ids';
import { DEFAULT_VALIDATION } from '#core/registry/current-spec';
import type { SubscriptionEvent, ValidationPolicy } from '#core/registry/subscription';
import { makeGuardedClient, type GuardedClient } from '#outbound/guarded-client';
import { randomBytes, sha256Hex } from '#platform/digest';
import { makeMetrics } from '#platform/metrics';
import { aSpec } from '#testkit/a-subscription';
import { eventually } from '#testkit/eventually';
import { HANDSHAKE_ROWS, HANDSHAKE_STATUSES } from '#testkit/handshake-vectors';
import { startNats, type TestNats } from '#testkit/nats';
import { headerOf, startSink, type Sink, type SinkAnswer } from '#testkit/sink-server';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { consumeValidations } from './validation.consumer.ts';

const tenant = 'acme' as TenantId;
const ORIGIN = 'eventemitter.example.com';
const PUBLIC_URL = `https://${ORIGIN}`;

let nats: TestNats;
let bus: TestBus;
let snapshot: RegistrySnapshot;
let sink: Sink;
let client: GuardedClient;
let consuming: Consuming[];
const told: ValidationAnswer[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url, { topology: { ackWaitSeconds: 2 } });
  snapshot = await openRegistrySnapshot(bus);
  sink = await startSink();
  client = makeGuardedClient({ allowCidrs: ['127.0.0.0/8'], caFile: sink.caFile, allowHttp: true });
  const { streams, consumers } = bus.topology;
  consuming = [
    startDelivery(),
    consumeEach(bus, { stream: streams.VALIDATIONS, consumer: consumers.validationsTold, slots: 1 }, (message) => {
      const read = decodeValidationTold(message.data);
      if (read.kind === 'answer') told.push(read);
      message.ack();
      return Promise.resolve();
    }),
  ];
});

afterAll(async () => {
  await Promise.all(consuming.map((one) => one.stop()));
  await client.close();
  await snapshot.stop();
  await Promise.all([bus.close(), sink.stop()]);
  await nats.stop();
});

function startDelivery(): Consuming {
  return consumeValidations({
    bus,
    snapshot,
    client,
    identityOf: () => Promise.resolve(undefined),
    config: { POSTHASTE_PUBLIC_URL: PUBLIC_URL },
    userAgentOf: () => 'Posthaste/test',
    clock: Date.now,
    metrics: makeMetrics(),
  });
}

/** A subscription whose validation is requested, as the registry records it, and the message that asks. */
async function request(
  policy: Partial<ValidationPolicy>,
  sinkUrl = `${sink.url}/hook?key=1`,
  of = tenant,
): Promise<ValidationAsk> {
  const id = makeSubscriptionId(Date.now(), randomBytes(10));
  const code = Buffer.from(randomBytes(24)).toString('base64url');
  const deadlineAtMs = Date.now() + 60_000;
  const spec = aSpec({ sink: sinkUrl, config: { validation: { ...DEFAULT_VALIDATION, ...policy } } });
  await record(of, id, { kind: 'SubscriptionCreated', id, tenant: of, spec, atMs: Date.now(), by: 'test' });
  const codeHash = sha256Hex(code);
  await record(of, id, { kind: 'ValidationRequested', codeHash, deadlineAtMs, atMs: Date.now(), by: 'test' });
  const ask: ValidationAsk = { tenant: of, subscription: id, code, deadlineAtMs, ask: 1 };
  await bus.publisher.publish(bus.topology.validationAskSubject(of, id), encodeValidation(ask));
  return ask;
}

async function record(of: TenantId, id: string, event: SubscriptionEvent): Promise<void> {
  const registryRecord: RegistryRecord = { aggregate: 'subscription', id, tenant: of, event };
  const subject = bus.topology.registrySubject(of, 'subscription', id);
  await bus.publisher.publish(subject, Buffer.from(JSON.stringify(registryRecord)));
}

/** The answer for the registry. */
function answerTo({ subscription }: ValidationAsk): Promise<ValidationAnswer> {
  return eventually(() => told.find((one) => one.subscription === subscription));
}

describe('a sink over HTTPS', () => {
  test.each(HANDSHAKE_ROWS.map((row) => [row.name, row] as const))('answers: %s', async (_name, row) => {
    sink.handshakeWith(() => row.response);
    const url = `/hook?key=${Buffer.from(randomBytes(8)).toString('hex')}`;
    const policy = {
      callback: row.request.callback === true ? ('always' as const) : ('never' as const),
      ...(row.request.rate === undefined ? {} : { requestedRate: row.request.rate }),
    };
    const ask = await request(policy, `${sink.url}${url}`);
    const answer = await answerTo(ask);
    expect(answer).toMatchObject({
      codeHash: sha256Hex(ask.code),
      result: HANDSHAKE_STATUSES[row.outcome],
      via: 'options',
    });
    if (answer.result === 'granted') {
      expect(answer.allowedRate).toBe(row.ratePerMinute === null ? '*' : (row.ratePerMinute ?? row.request.rate));
    }
    const handshake = sink.handshakes.find((one) => one.url === url);
    expect(handshake).toMatchObject({ method: 'OPTIONS', url });
    expect(handshake && headerOf(handshake, 'webhook-request-origin')).toBe(ORIGIN);
    const rate = row.request.rate;
    expect(handshake && headerOf(handshake, 'webhook-request-rate')).toBe(
      rate === undefined ? undefined : String(rate),
    );
    const callback = handshake && headerOf(handshake, 'webhook-request-callback');
    const expected = `${PUBLIC_URL}/validate/${ask.subscription}?code=${ask.code}`;
    expect(callback).toBe(row.request.callback === true ? expected : undefined);
  });

  test('is asked again when it did not answer, as late as it wishes, and once only when it did (WH-13)', async () => {
    const times: number[] = [];
    sink.handshakeWith((): SinkAnswer => {
      times.push(Date.now());
      if (times.length === 1) return { status: 503, headers: { 'retry-after': '3' } };
      return { status: 405, headers: { 'WebHook-Allowed-Origin': '*', 'WebHook-Allowed-Rate': '*' } };
    });
    expect(await answerTo(await request({}))).toMatchObject({ result: 'granted', allowedRate: '*' });
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(3000);
    sink.handshakeWith(() => ({ status: 405 }));
    expect(await answerTo(await request({}))).toMatchObject({ result: 'unsupported' });
    expect(times).toHaveLength(2);
  });

  test('is asked by another process when the one that had to dies', async () => {
    const { streams, consumers } = bus.topology;
    await consuming[0]?.stop();
    const dying = await bus.another();
    let hasTaken = false;
    consumeEach(dying, { stream: streams.VALIDATIONS, consumer: consumers.validationAsks, slots: 1 }, () => {
      hasTaken = true;
      return new Promise(() => undefined); // and never settles
    });
    sink.handshakeWith(() => ({ headers: { 'WebHook-Allowed-Origin': ORIGIN } }));
    const ask = await request({});
    await eventually(() => hasTaken);
    await dying.close();
    consuming[0] = startDelivery();
    expect(await answerTo(ask)).toMatchObject({ result: 'granted' });
  });
});

test('sinks of a tenant that do not answer hold up nobody else, though they were asked for before', async () => {
  const HANGING = 300; // so many that there is no time for all of them within a test
  const hanging = await startSink({ plain: true, handshake: () => 'hang' });
  try {
    await Promise.all(Array.from({ length: HANGING }, () => request({}, `${hanging.url}/hang`, 'globex' as TenantId)));
    await eventually(() => hanging.handshakes.length > 0);
    sink.handshakeWith(() => ({ headers: { 'WebHook-Allowed-Origin': ORIGIN } }));
    const answer = await answerTo(await request({}));
    expect(answer).toMatchObject({ result: 'granted' });
    // Not all of those that came before it had their turn yet.
    expect(hanging.handshakes.length).toBeLessThan(HANGING);
  } finally {
    await consuming[0]?.stop();
    await hanging.stop();
    consuming[0] = startDelivery();
  }
});

describe('other ways of asking', () => {
  test('a sink made for Event Grid repeats the code', async () => {
    sink.respondWith(({ body }) => {
      const [event] = JSON.parse(Buffer.from(body).toString()) as [{ data: { validationCode: string } }];
      return { status: 200, body: JSON.stringify({ validationResponse: event.data.validationCode }) };
    });
    expect(await answerTo(await request({ method: 'event-grid' }))).toMatchObject({
      result: 'granted',
      via: 'event-grid',
      origin: ORIGIN,
    });
    expect(headerOf(sink.received.at(-1) ?? never(), 'aeg-event-type')).toBe('SubscriptionValidation');
  });

  test('a sink made for Fatture in Cloud repeats the challenge, from the query if it must', async () => {
    sink.respondWith(({ url }) => {
      const verification = new URL(url, 'https://sink').searchParams.get('x-fic-verification-challenge');
      return { status: 200, body: JSON.stringify({ verification }) };
    });
    expect(await answerTo(await request({ method: 'fic' }))).toMatchObject({ result: 'denied' });
    sink.respondWith(({ url }) => {
      const verification = new URL(url, 'https://sink').searchParams.get('x-fic-verification-challenge');
      return verification === null ? { status: 400 } : { status: 200, body: JSON.stringify({ verification }) };
    });
    expect(await answerTo(await request({ method: 'fic' }))).toMatchObject({ result: 'granted', via: 'fic' });
  });
});

describe('the handler of Azure Web PubSub, which we have not written', () => {
  const handle = async (allowedEndpoints: string[] | undefined, policy: Partial<ValidationPolicy>) => {
    const handler = new WebPubSubEventHandler('chat', {
      path: '/hook',
      ...(allowedEndpoints === undefined ? {} : { allowedEndpoints }),
    });
    const middleware = handler.getMiddleware();
    const server = createServer((incoming, response) => {
      const { pathname } = new URL(incoming.url ?? '', 'http://sink');
      // What the service itself adds, and what express would.
      const request = Object.assign(incoming, { baseUrl: '', path: pathname });
      request.headers['ce-awpsversion'] = '1.0';
      void middleware(request as never, response as never, () => response.writeHead(404).end());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const { port } = server.address() as AddressInfo;
      return await answerTo(await request(policy, `http://127.0.0.1:${port}/hook`));
    } finally {
      server.close();
      server.closeAllConnections();
    }
  };

  test('consents for every origin, at the rate that it was asked for', async () => {
    expect(await handle(undefined, { requestedRate: 120 })).toMatchObject({
      result: 'granted',
      origin: '*',
      allowedRate: 120,
    });
  });

  test('consents when we are one of several', async () => {
    const endpoints = ['https://other.example', `https://${ORIGIN}`];
    expect(await handle(endpoints, {})).toMatchObject({ result: 'granted', origin: ORIGIN });
  });

  test('denies when we are none of them', async () => {
    expect(await handle(['https://other.example'], {})).toMatchObject({ result: 'denied' });
  });
});

function never(): never {
  throw new Error('nothing was received');
}
