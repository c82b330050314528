import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { connect, headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import { jetstream } from '@nats-io/jetstream';
import { randomUUID } from 'node:crypto';
import { eventually } from '#testkit/eventually';
import { headerOf, type Sink } from '#testkit/sink-server';
import type { Page, TenantClient } from '#testkit/tenant-client';
import { CONTACT_DATA, contactEventJson, PUBLISH_FORMS } from './contact-event.ts';
import { deliveryInState, matchedEvent, type DeadLetterView, type DeliveryView, type EventView } from './look-up.ts';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

let stage: Stage;
let client: TenantClient;
let nc: NatsConnection;

beforeAll(async () => {
  stage = await startStage();
  client = await stage.cluster.createTenantWithKey();
  nc = await connect({ servers: stage.cluster.natsUrl, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
}, 90_000);

afterAll(async () => {
  await nc.close();
  await stage.stop();
}, 90_000);

const textEncoder = new TextEncoder();
const idsAt = ({ received }: Sink): (string | undefined)[] => received.map((one) => headerOf(one, 'ce-id'));

/** A subscription to one type of its own, delivered in binary mode. */
async function subscribed(respond: () => object = () => ({})) {
  const sink = await stage.sink({ respond });
  const type = `look.${randomUUID()}`;
  const subscription = await client.subscribe({ sink: sink.url, types: [type], config: { contentMode: 'binary' } });
  return { sink, type, subscription };
}

const anEvent = (type: string, changes: object = {}) => ({
  specversion: '1.0',
  id: randomUUID(),
  source: '/look-up',
  type,
  datacontenttype: 'application/json',
  data: { n: 1 },
  ...changes,
});

describe('an event', () => {
  test('is found with all its attributes, and its data byte for byte', async () => {
    const id = randomUUID();
    await client.publish(PUBLISH_FORMS.structured(id).headers, PUBLISH_FORMS.structured(id).body);
    const found = await matchedEvent(client, id);
    expect(found).toMatchObject({ id, source: 'voxie/core', type: 'com.voxie.contact.created' });
    expect(JSON.stringify(found)).toContain('"comvoxieteam":1');
    expect(JSON.stringify(found)).toContain('2021-08-03T15:21:35Z');
    const data = await client.call('GET', `/v1/events/${id}/data`);
    expect(data.status).toBe(200);
    expect(data.headers.get('content-type')).toBe('application/json');
    expect(data.text).toBe(CONTACT_DATA);
  });

  test('with binary data gives the same bytes back (JF-6)', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const id = randomUUID();
    await client.publish(
      { 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/bytes', 'ce-type': 'b', 'content-type': 'image/png' },
      bytes,
    );
    await matchedEvent(client, id);
    const data = await client.call('GET', `/v1/events/${id}/data`);
    expect(data.bytes).toEqual(bytes);
    expect(data.headers.get('content-type')).toBe('image/png');
  });

  test('larger than what travels by value reaches its sink unchanged', async () => {
    const { sink, type } = await subscribed();
    const text = JSON.stringify({ text: '€'.repeat(100_000), exact: 'yes' });
    const id = randomUUID();
    const answer = await client.publish(
      {
        'ce-specversion': '1.0',
        'ce-id': id,
        'ce-source': '/large',
        'ce-type': type,
        'content-type': 'application/json',
      },
      text,
    );
    expect(answer.status).toBe(202);
    const [received] = await sink.waitFor(1);
    expect(new TextDecoder().decode(received?.body)).toBe(text);
  });

  test('that nobody published is 404', async () => {
    for (const path of ['/v1/events/nothing', '/v1/events/nothing/data', '/v1/deliveries/dlv_nothing']) {
      expect((await client.call('GET', path)).status).toBe(404);
    }
  });
});

describe('deliveries', () => {
  test('are found by event, subscription and state', async () => {
    const good = await subscribed();
    const bad = await client.subscribe({
      sink: (await stage.sink({ respond: () => ({ status: 400, body: 'no <thanks>' }) })).url,
      types: [good.type],
    });
    const event = anEvent(good.type);
    await client.publishEvent(event);
    await deliveryInState(client, event.id, good.subscription.id, 'delivered');
    const dead = await deliveryInState(client, event.id, bad.id, 'dead');
    expect(dead.attempts).toMatchObject([{ number: 1, status: 400, responseBody: 'no <thanks>' }]);

    const list = (query: string) => client.list<DeliveryView>(`/v1/deliveries?${query}`);
    expect(await list(`event=${event.id}`)).toHaveLength(2);
    expect(await list(`event=${event.id}&source=%2Flook-up`)).toHaveLength(2);
    expect(await list(`event=${event.id}&source=%2Fother`)).toEqual([]);
    expect((await list(`event=${event.id}&state=dead`)).map(({ id }) => id)).toEqual([dead.id]);
    expect((await list(`subscription=${good.subscription.id}`)).map(({ event: of }) => of.id)).toEqual([event.id]);
  });

  test('come in pages that neither miss nor repeat one', async () => {
    const { type, subscription, sink } = await subscribed();
    const events = Array.from({ length: 7 }, () => anEvent(type));
    for (const event of events) await client.publishEvent(event);
    await sink.waitFor(events.length);
    for (const { id } of events) await deliveryInState(client, id, subscription.id, 'delivered');
    const path = `/v1/deliveries?subscription=${subscription.id}&limit=3`;
    const page = await client.get<Page<DeliveryView>>(path);
    expect(page.data).toHaveLength(3);
    expect(page.next).toEqual(expect.any(String));
    const all = await client.list<DeliveryView>(path);
    expect(all).toHaveLength(events.length);
    expect(new Set(all.map(({ event }) => event.id))).toEqual(new Set(events.map(({ id }) => id)));
  });

  test('refuse parameters that they do not understand, and say which', async () => {
    for (const query of ['state=lost', 'limit=0', 'after=nonsense']) {
      const answer = await client.call('GET', `/v1/deliveries?${query}`);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(query.split('=')[0]);
    }
  });
});

describe('a tenant', () => {
  test('never sees what is another one’s', async () => {
    const { type, subscription, sink } = await subscribed();
    const event = anEvent(type);
    await client.publishEvent(event);
    await sink.waitFor(1);
    const delivery = await deliveryInState(client, event.id, subscription.id, 'delivered');
    const stranger = await stage.cluster.createTenantWithKey();
    const paths = [
      `/v1/events/${event.id}`,
      `/v1/events/${event.id}/data`,
      `/v1/deliveries/${delivery.id}`,
      `/v1/subscriptions/${subscription.id}`,
    ];
    for (const path of paths) {
      expect((await client.call('GET', path)).status).toBe(200);
      expect((await stranger.call('GET', path)).status).toBe(404);
    }
    expect(await stranger.get('/v1/subscriptions')).toEqual([]);
    for (const list of ['/v1/deliveries', '/v1/dead-letters']) {
      expect(await stranger.list(list)).toEqual([]);
    }
    expect((await stranger.call('DELETE', `/v1/subscriptions/${subscription.id}`)).status).toBe(404);
    const asClient = { headers: { 'posthaste-tenant': client.tenant } };
    expect((await stranger.call('GET', '/v1/deliveries', asClient)).status).toBe(403);
  });

  test('gets no events of another one, even with a subscription to everything', async () => {
    const stranger = await stage.cluster.createTenantWithKey();
    const theirs = await stage.sink();
    await stranger.subscribe({ sink: theirs.url, config: { contentMode: 'binary' } });
    const { type, sink } = await subscribed();
    await client.publishEvent(anEvent(type));
    await sink.waitFor(1);
    const own = { specversion: '1.0', id: randomUUID(), source: '/own', type: 'own', data: 1 };
    await stranger.publishEvent({ ...own, datacontenttype: 'application/json' });
    await theirs.waitFor(1);
    expect(idsAt(theirs)).toEqual([own.id]);
  });
});

describe('an event published straight onto NATS', () => {
  test('in structured mode is delivered (NB-2)', async () => {
    const sink = await stage.sink();
    await client.subscribe({ sink: sink.url, source: 'voxie/core', config: { contentMode: 'binary' } });
    const id = randomUUID();
    const h = natsHeaders();
    h.set('Content-Type', 'application/cloudevents+json');
    await jetstream(nc).publish(`ce.${client.tenant}.contact`, textEncoder.encode(contactEventJson(id)), {
      headers: h,
    });
    const [received] = await sink.waitFor(1);
    expect(headerOf(received ?? fail(), 'ce-id')).toBe(id);
    expect(new TextDecoder().decode(received?.body)).toBe(CONTACT_DATA);
  });

  test('in binary mode is delivered (NB-3)', async () => {
    const { sink, type } = await subscribed();
    const id = randomUUID();
    const h = natsHeaders();
    const attributes = { specversion: '1.0', id, source: '/nats', type, datacontenttype: 'application/json' };
    for (const [name, value] of Object.entries(attributes)) {
      h.set(`ce-${name}`, value);
    }
    await jetstream(nc).publish(`ce.${client.tenant}.anything.at.all`, textEncoder.encode('1.10'), { headers: h });
    const [received] = await sink.waitFor(1);
    expect(headerOf(received ?? fail(), 'ce-id')).toBe(id);
    expect(new TextDecoder().decode(received?.body)).toBe('1.10');
  });

  test('that is none becomes a rejected entry with the reason, and the next good one is delivered', async () => {
    const own = await stage.cluster.createTenantWithKey();
    const sink = await stage.sink();
    await own.subscribe({ sink: sink.url });
    const js = jetstream(nc);
    const subject = `ce.${own.tenant}.garbage`;
    await js.publish(subject, textEncoder.encode('garbage'));
    await js.publish(subject, Uint8Array.of(0xff, 0xfe, 0x00));
    await js.publish(subject, textEncoder.encode(JSON.stringify({ specversion: '1.0', id: '1', type: 'x' })));
    await own.publishEvent({ specversion: '1.0', id: 'good', source: '/good', type: 'good' });
    await sink.waitFor(1);
    const entries = await eventually(async () => {
      const all = await own.list<DeadLetterView>('/v1/dead-letters');
      return all.length === 3 ? all : undefined;
    });
    expect(entries.every(({ kind, subject: of }) => kind === 'rejected' && of === subject)).toBe(true);
    expect(entries.flatMap(({ violations = [] }) => violations.map(({ pointer }) => pointer))).toContain('/source');
    expect(sink.received).toHaveLength(1);
  });
});

describe('while NATS is away', () => {
  test('publishing answers 503 with Retry-After, and everything goes on by itself afterwards', async () => {
    const { sink, type, subscription } = await subscribed();
    const before = stage.cluster.services().map(({ pid }) => pid);
    await stage.cluster.killNats();
    const event = anEvent(type);
    const body = JSON.stringify(event);
    const headers = { 'content-type': 'application/cloudevents+json' };
    const refused = await client.publish(headers, body);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    await stage.cluster.restartNats();
    await eventually(async () => (await client.publish(headers, body)).status === 202);
    await sink.waitFor(1);
    await deliveryInState(client, event.id, subscription.id, 'delivered');
    const found = await client.get<EventView>(`/v1/events/${event.id}`);
    expect(found.matchCount).toBe(1);
    expect(stage.cluster.services().map(({ pid }) => pid)).toEqual(before);
  });
});

function fail(): never {
  throw new Error('nothing was received');
}
