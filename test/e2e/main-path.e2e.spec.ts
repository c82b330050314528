import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { productVersion } from '#platform/version';
import { eventually } from '#testkit/eventually';
import { headerOf, type Received, type Sink } from '#testkit/sink-server';
import type { CreatedSubscription, PublishAnswer, TenantClient } from '#testkit/tenant-client';
import { CONTACT_DATA, CONTACT_TYPE, contactAttributes, PUBLISH_FORMS } from './contact-event.ts';
import { deliveryInState, matchedEvent } from './look-up.ts';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

interface Receiver {
  readonly sink: Sink;
  readonly subscription: CreatedSubscription;
  readonly contentMode: 'structured' | 'binary';
}

let stage: Stage;
let client: TenantClient;
let receivers: readonly Receiver[];

beforeAll(async () => {
  stage = await startStage();
  client = await stage.cluster.createTenantWithKey();
  receivers = await Promise.all([
    receiver('structured', { types: [CONTACT_TYPE] }),
    receiver('binary', { source: 'voxie/core' }),
    receiver('structured', { filters: [{ prefix: { type: 'com.voxie.' } }, { exact: { comvoxieteam: '1' } }] }),
  ]);
}, 90_000);

afterAll(() => stage.stop(), 90_000);

async function receiver(contentMode: Receiver['contentMode'], interest: object): Promise<Receiver> {
  const sink = await stage.sink();
  const subscription = await client.subscribe({ sink: `${sink.url}/hooks`, ...interest, config: { contentMode } });
  return { sink, subscription, contentMode };
}

/** The notification of this event at this sink; the sink has exactly one of it. */
async function notificationOf(sink: Sink, eventId: string): Promise<Received> {
  const ofEvent = () => sink.received.filter((one) => idOf(one) === eventId);
  await eventually(() => ofEvent().length > 0);
  const [only, ...others] = ofEvent();
  if (only === undefined || others.length > 0) throw new Error(`${others.length + 1} notifications of ${eventId}`);
  return only;
}

function idOf(received: Received): string | undefined {
  return headerOf(received, 'ce-id') ?? (JSON.parse(textOf(received)) as { id?: string }).id;
}

const textOf = ({ body }: Received): string => new TextDecoder().decode(body);
const headersOf = ({ headers }: Received): Record<string, string> =>
  Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));

describe('the life of an event, through separate processes', () => {
  test.each(Object.keys(PUBLISH_FORMS) as (keyof typeof PUBLISH_FORMS)[])(
    'carries a contact event published in %s mode to three sinks in both content modes, data byte for byte (HB-1, S-1, S-5)',
    async (mode) => {
      const id = randomUUID();
      const { headers, body } = PUBLISH_FORMS[mode](id);
      const answer = await client.publish({ ...headers, traceparent: TRACEPARENT }, body);
      expect(answer.status).toBe(202);
      expect(answer.json<PublishAnswer>()).toEqual({ events: [{ id, source: 'voxie/core', duplicate: false }] });

      for (const { sink, subscription, contentMode } of receivers) {
        const notification = await notificationOf(sink, id);
        expect(notification.method).toBe('POST');
        expect(notification.url).toBe('/hooks');
        if (contentMode === 'binary') expectBinaryContact(notification, id);
        else expectStructuredContact(notification, id);
        expectVerified(notification, subscription);
        expectTraced(notification);
        expect(headerOf(notification, 'user-agent')).toBe(`Posthaste/${productVersion()}`);
      }
    },
  );

  test('gives every notification an id of its own, which is the id of its delivery (SW-1, SW-2)', async () => {
    const id = randomUUID();
    const { headers, body } = PUBLISH_FORMS.structured(id);
    await client.publish(headers, body);
    const webhookIds = new Set<string>();
    for (const { sink, subscription } of receivers) {
      const webhookId = headerOf(await notificationOf(sink, id), 'webhook-id') ?? '';
      const delivery = await deliveryInState(client, id, subscription.id, 'delivered');
      expect(delivery.id).toBe(webhookId);
      expect(webhookId).not.toContain('.');
      webhookIds.add(webhookId);
    }
    expect(webhookIds.size).toBe(receivers.length);
  });

  test('keeps extension attributes, unusual characters and a text as data (HB-7, JF-6)', async () => {
    const id = randomUUID();
    const event = {
      specversion: '1.0',
      id,
      source: 'voxie/core',
      type: 'com.voxie.note',
      subject: 'Größe € "quoted" 100 %',
      datacontenttype: 'text/plain',
      comvoxieteam: 1,
      data: 'Grüße, Welt\n',
    };
    await client.publishEvent(event);
    const [, binary, structured] = receivers;
    if (binary === undefined || structured === undefined) throw new Error('no receivers');
    const asBinary = await notificationOf(binary.sink, id);
    expect(headerOf(asBinary, 'ce-subject')).toBe('Gr%C3%B6%C3%9Fe%20%E2%82%AC%20%22quoted%22%20100%20%25');
    expect(headerOf(asBinary, 'content-type')).toBe('text/plain');
    expect(textOf(asBinary)).toBe('Grüße, Welt\n');
    expect(JSON.parse(textOf(await notificationOf(structured.sink, id)))).toEqual(event);
  });

  test('delivers an event that is published twice once, and says so (CE-2)', async () => {
    const id = randomUUID();
    const { headers, body } = PUBLISH_FORMS.structured(id);
    const first = await client.publish(headers, body);
    const second = await client.publish(headers, body);
    expect(first.json<PublishAnswer>().events[0]?.duplicate).toBe(false);
    expect(second.status).toBe(202);
    expect(second.json<PublishAnswer>().events[0]?.duplicate).toBe(true);
    // What follows in the stream has arrived: a second notification would have come before it.
    const later = randomUUID();
    await client.publish(PUBLISH_FORMS.structured(later).headers, PUBLISH_FORMS.structured(later).body);
    for (const { sink } of receivers) {
      await notificationOf(sink, later);
      await notificationOf(sink, id);
    }
    expect((await matchedEvent(client, id)).matchCount).toBe(receivers.length);
  });

  test('tells events with the same id from two sources apart (CE-2)', async () => {
    const id = randomUUID();
    const sink = await stage.sink();
    await client.subscribe({ sink: sink.url, types: ['pair'] });
    const sources = ['/one', '/two'];
    for (const source of sources) await client.publishEvent({ specversion: '1.0', id, source, type: 'pair' });
    await sink.waitFor(2);
    for (const source of sources) {
      await eventually(async () => {
        const path = `/v1/events/${id}?source=${encodeURIComponent(source)}`;
        expect(await client.get(path)).toMatchObject({ id, source });
        return true;
      });
    }
  });

  test('records that nobody wanted an event', async () => {
    const id = randomUUID();
    await client.publishEvent({ specversion: '1.0', id, source: '/nobody', type: 'nobody.wants' });
    expect((await matchedEvent(client, id)).matchCount).toBe(0);
    expect(await client.list(`/v1/deliveries?event=${id}`)).toEqual([]);
  });

  test('keeps to the filters of a subscription (SA-3, SA-4, FD-1)', async () => {
    const sink = await stage.sink();
    await client.subscribe({
      sink: sink.url,
      types: ['order.paid', 'order.sent'],
      source: '/shop',
      filters: [{ suffix: { subject: '-eu' } }],
    });
    const publish = (subject: string, type: string, source: string) =>
      client.publishEvent({ specversion: '1.0', id: randomUUID(), source, type, subject });
    await publish('1-eu', 'order.paid', '/shop');
    await publish('2-us', 'order.paid', '/shop');
    await publish('3-eu', 'order.lost', '/shop');
    await publish('4-eu', 'order.sent', '/elsewhere');
    await publish('5-eu', 'order.sent', '/shop');
    await sink.waitFor(2);
    const subjects = sink.received.map((one) => (JSON.parse(textOf(one)) as { subject: string }).subject);
    expect(subjects.toSorted()).toEqual(['1-eu', '5-eu']);
  });

  test('sends nothing to a subscription that was deleted', async () => {
    const [gone, kept] = [await stage.sink(), await stage.sink()];
    const subscription = await client.subscribe({ sink: gone.url, types: ['after.delete'] });
    await client.subscribe({ sink: kept.url, types: ['after.delete'] });
    const deleted = await client.call('DELETE', `/v1/subscriptions/${subscription.id}`);
    expect(deleted.status).toBe(200);
    await client.publishEvent({ specversion: '1.0', id: randomUUID(), source: '/x', type: 'after.delete' });
    await kept.waitFor(1);
    expect(gone.received).toHaveLength(0);
  });
});

function expectStructuredContact(notification: Received, id: string): void {
  expect(headerOf(notification, 'content-type')).toBe('application/cloudevents+json; charset=UTF-8');
  expect(headerOf(notification, 'content-length')).toBe(String(notification.body.length));
  const text = textOf(notification);
  expect(text).toContain(`"data":${CONTACT_DATA}`);
  const { data, datacontenttype, ...attributes } = JSON.parse(text) as Record<string, unknown>;
  expect(data).toBeDefined();
  expect(datacontenttype).toBe('application/json');
  const asTexts = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, String(value)]));
  expect(asTexts).toEqual(contactAttributes(id));
}

function expectBinaryContact(notification: Received, id: string): void {
  expect(headerOf(notification, 'content-type')).toBe('application/json');
  expect(textOf(notification)).toBe(CONTACT_DATA);
  const attributes = notification.headers
    .filter(([name]) => name.startsWith('ce-'))
    .map(([name, value]) => [name.slice('ce-'.length), decodeURIComponent(value)]);
  expect(Object.fromEntries(attributes)).toEqual(contactAttributes(id));
}

/** With the libraries that subscribers use: they throw when the signature is not the secret's (SW-1 … SW-5). */
function expectVerified(notification: Received, { config }: CreatedSubscription): void {
  const secret = config.signature.secret ?? '';
  expect(secret).toMatch(/^whsec_/);
  const body = Buffer.from(notification.body);
  const headers = headersOf(notification);
  new StandardWebhook(secret).verify(body, headers);
  new SvixWebhook(secret).verify(body, headers);
  const tampered = Buffer.concat([body, Buffer.from(' ')]);
  expect(() => new StandardWebhook(secret).verify(tampered, headers)).toThrow('No matching signature found');
}

/** The same trace, another span. */
function expectTraced(notification: Received): void {
  const [, trace, parent] = (headerOf(notification, 'traceparent') ?? '').split('-');
  expect(trace).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
  expect(parent).toMatch(/^[0-9a-f]{16}$/);
  expect(parent).not.toBe('00f067aa0ba902b7');
}
