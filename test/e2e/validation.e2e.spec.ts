import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { eventually } from '#testkit/eventually';
import { HANDSHAKE_ROWS, HANDSHAKE_STATUSES } from '#testkit/handshake-vectors';
import { headerOf, type Received, type Sink, type SinkAnswer, type SinkOptions } from '#testkit/sink-server';
import { callApi, type Answer, type CreatedSubscription, type TenantClient } from '#testkit/tenant-client';
import { fence } from './fence.ts';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

const ORIGIN = 'eventemitter.example.com';
const PUBLIC_URL = `https://${ORIGIN}`;
const CONSENT: SinkAnswer = { headers: { 'WebHook-Allowed-Origin': ORIGIN, 'WebHook-Allowed-Rate': '100' } };
const EXPIRED_TYPE = 'io.posthaste.subscription.expired';

interface SubscriptionView extends CreatedSubscription {
  readonly state: string;
  readonly stateReason?: string;
  readonly validation: {
    readonly status: string;
    readonly attempts: number;
    readonly grantedOrigin?: string;
    readonly allowedRatePerMinute?: number | '*';
    readonly via?: string;
    readonly detail?: string;
  };
}

let stage: Stage;
let client: TenantClient;
let gatewayUrl: string;

beforeAll(async () => {
  stage = await startStage({
    env: { POSTHASTE_PUBLIC_URL: PUBLIC_URL, POSTHASTE_ACK_WAIT_SECONDS: '6', POSTHASTE_LOG_LEVEL: 'debug' },
  });
  client = await stage.cluster.createTenantWithKey();
  gatewayUrl = stage.cluster.publishUrl.replace(/\/publish$/, '');
}, 90_000);

afterAll(() => stage.stop(), 90_000);

interface Trial {
  readonly sink: Sink;
  readonly subscription: CreatedSubscription;
  readonly type: string;
}

/** A subscription to a type of its own, at a sink that answers OPTIONS like this. */
async function subscribe(validation: object, sinkOptions: SinkOptions = {}): Promise<Trial> {
  const sink = await stage.sink(sinkOptions);
  const type = `trial.${randomUUID()}`;
  const subscription = await client.subscribe({
    sink: `${sink.url}/hook?key=1`,
    types: [type],
    config: { validation },
  });
  return { sink, subscription, type };
}

async function publish(type: string): Promise<string> {
  const id = randomUUID();
  await client.publishEvent({ specversion: '1.0', id, source: '/trial', type, data: { n: 1 } });
  return id;
}

const view = ({ id }: CreatedSubscription): Promise<SubscriptionView> =>
  client.get<SubscriptionView>(`/v1/subscriptions/${id}`);

/** The subscription when its validation has come so far. */
function validated(subscription: CreatedSubscription, status: string): Promise<SubscriptionView> {
  return eventually(async () => {
    const now = await view(subscription);
    if (now.validation.status === status) return now;
    throw new Error(`the validation is ${JSON.stringify(now.validation)}`);
  });
}

/** The callback URL that the sink was offered, at the gateway of this cluster. */
function offeredCallback({ handshakes }: Sink): string {
  const offered = handshakes.map((one) => headerOf(one, 'webhook-request-callback')).find((url) => url !== undefined);
  if (offered === undefined) throw new Error('no callback was offered');
  return offered.replace(PUBLIC_URL, gatewayUrl);
}

const idOf = ({ body }: Received): string => (JSON.parse(new TextDecoder().decode(body)) as { id: string }).id;

describe('a sink that has to consent', () => {
  test('gets nothing before it does, and everything after, with the origin on each notification (WH-4, WH-12)', async () => {
    const { sink, subscription, type } = await subscribe({ mode: 'required', requestedRate: 120 });
    await validated(subscription, 'unsupported');
    expect((await view(subscription)).state).toBe('pending');
    const held = await publish(type);
    sink.handshakeWith(() => CONSENT);
    await eventually(async () => (await verify(subscription)).status === 202);
    expect(await validated(subscription, 'granted')).toMatchObject({
      state: 'active',
      validation: { grantedOrigin: ORIGIN, allowedRatePerMinute: 100, via: 'options', attempts: 2 },
    });
    const askedAtMs = sink.handshakes.at(-1)?.atMs;
    await sink.waitFor(1, { deadlineMs: 60_000 });
    const later = await publish(type);
    await sink.waitFor(2);
    expect(sink.received.map(idOf)).toEqual([held, later]);
    for (const one of sink.received) {
      expect(headerOf(one, 'webhook-request-origin')).toBe(ORIGIN);
      expect(one.atMs).toBeGreaterThanOrEqual(askedAtMs ?? Infinity);
    }
  });

  test('may consent by the callback that it was offered, with a rate, once and for ever (WH-15)', async () => {
    const { sink, subscription } = await subscribe({ mode: 'required' }, { handshake: () => ({ status: 200 }) });
    await validated(subscription, 'pending');
    expect(sink.handshakes.map((one) => headerOf(one, 'webhook-request-callback') !== undefined)).toEqual([
      false,
      true,
    ]);
    const url = offeredCallback(sink);
    const head = await fetch(url, { method: 'HEAD' });
    const wrong = await callApi(
      'GET',
      url.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
    );
    const none = await callApi('GET', url.replace(/\?.*/, ''));
    const elsewhere = await callApi('GET', url.replace(/sub_./, 'sub_z'));
    expect([head.status, wrong.status, none.status, elsewhere.status]).toEqual([404, 404, 404, 404]);
    const bad = await callApi('POST', url, { headers: { 'webhook-allowed-rate': 'many' } });
    expect(bad.status).toBe(400);
    expect((await view(subscription)).validation.status).toBe('pending');

    const first = await callApi('POST', url, { headers: { 'WebHook-Allowed-Rate': '7' } });
    expect([first.status, first.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const granted = await validated(subscription, 'granted');
    expect(granted).toMatchObject({
      state: 'active',
      validation: { via: 'callback', allowedRatePerMinute: 7, grantedOrigin: ORIGIN },
    });
    const again = await callApi('GET', url);
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect((await view(subscription)).validation).toEqual(granted.validation);
  });

  test('is given up at the deadline, with an event that says so, and never gets anything (WH-16)', async () => {
    const watcher = await stage.sink();
    await client.subscribe({ sink: watcher.url, types: [EXPIRED_TYPE] });
    const { sink, subscription, type } = await subscribe({ mode: 'required', deadlineSeconds: 5 });
    const held = await publish(type);
    const expired = await eventually(
      async () => {
        const now = await view(subscription);
        return now.state === 'expired' && now;
      },
      { deadlineMs: 60_000 },
    );
    expect(expired).toMatchObject({ stateReason: 'validation_deadline', validation: { status: 'unsupported' } });
    const told = await eventually(() => watcher.received.find((one) => bodyOf(one).subject === subscription.id));
    expect(bodyOf(told)).toMatchObject({
      type: EXPIRED_TYPE,
      source: `/v1/subscriptions/${subscription.id}`,
      data: { subscription: subscription.id, reason: 'validation_deadline' },
    });
    await publish(type);
    const letters = await eventually(
      async () => {
        const found = await client.list<{ reason: string; event: { id: string } }>(
          `/v1/dead-letters?subscription=${subscription.id}`,
        );
        return found.length > 0 && found;
      },
      { deadlineMs: 60_000 },
    );
    expect(letters.map(({ event }) => event.id)).toEqual([held]);
    expect(sink.received).toEqual([]);
    expect((await verify(subscription)).status).toBe(409);
  });
});

const verify = ({ id }: CreatedSubscription): Promise<Answer> => client.call('POST', `/v1/subscriptions/${id}/verify`);

const bodyOf = ({ body }: Received) =>
  JSON.parse(new TextDecoder().decode(body)) as { type: string; source: string; subject?: string; data: object };

describe('a sink that is asked, and sent to meanwhile', () => {
  test.each(HANDSHAKE_ROWS.map((row) => [row.name, row] as const))('answers: %s', async (_name, row) => {
    const callback = row.request.callback === true ? 'always' : 'never';
    const { rate } = row.request;
    const { sink, subscription, type } = await subscribe(
      { mode: 'optional', callback, ...(rate === undefined ? {} : { requestedRate: rate }) },
      { handshake: () => row.response },
    );
    const status = HANDSHAKE_STATUSES[row.outcome] ?? '';
    const { state, validation } = await validated(subscription, status);
    expect(state).toBe('active');
    await fence(stage);
    if (status === 'granted') {
      expect(validation.allowedRatePerMinute).toBe(row.ratePerMinute === null ? '*' : (row.ratePerMinute ?? rate));
    }
    await publish(type);
    const [notification] = await sink.waitFor(1);
    const origin = notification && headerOf(notification, 'webhook-request-origin');
    expect(origin).toBe(status === 'granted' ? ORIGIN : undefined);
    expect(sink.handshakes[0]).toMatchObject({ method: 'OPTIONS', url: '/hook?key=1' });
  });

  test('is not asked at all when nobody wants to know', async () => {
    const { sink, subscription, type } = await subscribe({ mode: 'none' });
    await publish(type);
    await sink.waitFor(1);
    expect([(await view(subscription)).validation.status, sink.handshakes.length]).toEqual(['none', 0]);
    expect((await verify(subscription)).status).toBe(409);
  });

  test('gets what its tenant lets it have when it knows no handshake (WH-10)', async () => {
    const { apiUrl, adminToken } = stage.cluster;
    const url = `${apiUrl}/v1/tenants/${client.tenant}`;
    const headers = { authorization: `Bearer ${adminToken}` };
    const full = await subscribe({});
    expect((await validated(full.subscription, 'unsupported')).validation.allowedRatePerMinute).toBe('*');
    const put = await callApi('PUT', url, { headers, body: { policy: { unsupportedSinks: 'low' } } });
    expect(put.json<{ policy: object }>().policy).toMatchObject({ unsupportedSinks: 'low', publishOrigins: ['*'] });
    await eventually(async () => {
      const answer = await callApi('GET', `${apiUrl}/v1/tenants`, { headers });
      const { data } = answer.json<{ data: { id: string; policy: object }[] }>();
      expect(data.find(({ id }) => id === client.tenant)?.policy).toMatchObject({ unsupportedSinks: 'low' });
      return true;
    });
    const low = await subscribe({});
    expect((await validated(low.subscription, 'unsupported')).validation.allowedRatePerMinute).toBe(10);
    await callApi('PUT', url, { headers, body: { policy: {} } });
  });

  test('is another one after its URL has changed, and is asked anew (SA-7)', async () => {
    const { subscription } = await subscribe({ mode: 'required' }, { handshake: () => CONSENT });
    await validated(subscription, 'granted');
    const other = await stage.sink({ handshake: () => ({ headers: { 'WebHook-Allowed-Origin': 'other.example' } }) });
    const { validation: _validation, state: _state, ...body } = await view(subscription);
    const put = await client.call('PUT', `/v1/subscriptions/${subscription.id}`, {
      body: { ...body, sink: other.url },
    });
    expect([put.status, put.json<SubscriptionView>().state]).toEqual([200, 'pending']);
    const denied = await validated(subscription, 'denied');
    expect(denied).toMatchObject({ state: 'pending', validation: { attempts: 1 } });
    expect(denied.validation).not.toHaveProperty('grantedOrigin');
  });

  test('may not be asked on demand without pause', async () => {
    const { subscription, sink } = await subscribe({});
    await validated(subscription, 'unsupported');
    const tooSoon = await verify(subscription);
    expect([tooSoon.status, Number(tooSoon.headers.get('retry-after')) > 0]).toEqual([429, true]);
    expect((await client.call('POST', '/v1/subscriptions/sub_00000000000000000000000001/verify')).status).toBe(404);
    expect(sink.handshakes).toHaveLength(1);
  });
});

describe('a validation survives', () => {
  test('the death of the registry right after the subscription was made', async () => {
    const sink = await stage.sink({ handshake: () => CONSENT });
    const subscription = await client.subscribe({ sink: sink.url, config: { validation: { mode: 'required' } } });
    await stage.cluster.kill('registry');
    await stage.cluster.restart('registry');
    expect((await validated(subscription, 'granted')).state).toBe('active');
  });

  test('the death of delivery while it waits for the answer', async () => {
    const { sink, subscription } = await subscribe({ mode: 'required' }, { handshake: () => 'hang' });
    await eventually(() => sink.handshakes.length > 0);
    await stage.cluster.kill('delivery-1');
    sink.handshakeWith(() => CONSENT);
    await stage.cluster.restart('delivery-1');
    expect((await validated(subscription, 'granted')).state).toBe('active');
  });
});

describe('the gateway as somebody else’s sink', () => {
  const options = (headers: Record<string, string>, query = '') =>
    callApi('OPTIONS', `${stage.cluster.publishUrl}${query}`, { headers });
  const consentOf = ({ headers }: Answer) => [
    headers.get('webhook-allowed-origin'),
    headers.get('webhook-allowed-rate'),
  ];

  test('consents to a handshake by headers (WH-18)', async () => {
    const answer = await options({ 'webhook-request-origin': 'a.example', 'webhook-request-rate': '120' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([200, 'POST, OPTIONS']);
    expect(consentOf(answer)).toEqual(['a.example', '*']);
    expect(consentOf(await options({}))).toEqual([null, null]);
    expect(
      consentOf(await options({ origin: 'https://page.example', 'access-control-request-method': 'POST' })),
    ).toEqual([null, null]);
  });

  test('consents by the policy of the tenant whose credential it is', async () => {
    const { apiUrl, adminToken } = stage.cluster;
    const { tenant, key } = await stage.cluster.createTenantWithKey();
    const policy = { publishOrigins: ['events.example'], publishRatePerMinute: 60 };
    const headers = { authorization: `Bearer ${adminToken}` };
    await callApi('PUT', `${apiUrl}/v1/tenants/${tenant}`, { headers, body: { policy } });
    const ask = (origin: string) =>
      options({ 'webhook-request-origin': origin, 'webhook-request-rate': '120' }, `?access_token=${key}`);
    await eventually(async () => consentOf(await ask('events.example'))[1] === '60');
    expect(consentOf(await ask('events.example'))).toEqual(['events.example', '60']);
    expect(consentOf(await ask('events.example.evil.tld'))).toEqual([null, null]);
  });

  test('takes a token in the query as well, and nobody logs it (WH-7, WH-8)', async () => {
    const { sink, type } = await subscribe({});
    const event = { specversion: '1.0', id: randomUUID(), source: '/s', type };
    const post = (query: string, headers: Record<string, string> = {}) =>
      callApi('POST', `${stage.cluster.publishUrl}${query}`, {
        headers: { 'content-type': 'application/cloudevents+json', ...headers },
        body: JSON.stringify(event),
      });
    const answer = await post(`?access_token=${client.key}`, { 'webhook-request-origin': 'a.example' });
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([202, 'private']);
    await sink.waitFor(1);
    expect((await post(`?access_token=${client.key}`, { authorization: `Bearer ${client.key}` })).status).toBe(400);
    expect((await post('?access_token=wrong')).status).toBe(401);
    const logs = stage.cluster.services().flatMap(({ log }) => log());
    expect(logs.length).toBeGreaterThan(0);
    expect(logs.filter((line) => line.includes(client.key))).toEqual([]);
  });
});

describe('the built-in inbox', () => {
  test('consents to the real handshake, and gets what is signed for it', async () => {
    const alone = await startStage({ allInOne: true });
    try {
      const { cluster } = alone;
      const tenant = await cluster.createTenantWithKey();
      const subscription = await tenant.subscribe({
        sink: `${cluster.apiUrl}/inbox/validated`,
        types: ['t'],
        config: { validation: { mode: 'required', requestedRate: 60 } },
      });
      const granted = await eventually(async () => {
        const now = await tenant.get<SubscriptionView>(`/v1/subscriptions/${subscription.id}`);
        return now.validation.status === 'granted' && now;
      });
      expect(granted).toMatchObject({
        state: 'active',
        validation: { grantedOrigin: 'posthaste.local', allowedRatePerMinute: '*' },
      });
      await tenant.publishEvent({ specversion: '1.0', id: '1', source: '/s', type: 't' });
      await eventually(async () => {
        const { data } = (await callApi('GET', `${cluster.apiUrl}/inbox/validated/notifications`)).json<{
          data: readonly unknown[];
        }>();
        return data.length === 1;
      });
    } finally {
      await alone.stop();
    }
  }, 120_000);
});
