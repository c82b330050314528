import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { eventually } from '#testkit/eventually';
import { headerOf, type Sink } from '#testkit/sink-server';
import { startNatsSink, type NatsSinkServer } from '#testkit/sink-nats';
import { expectStatus, type CreatedSubscription, type TenantClient } from '#testkit/tenant-client';
import { fence } from './fence.ts';
import { startLoad } from './load.ts';
import { deliveryInState, matchedEvent, type DeliveryView } from './look-up.ts';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(240_000);

const unasked = { validation: { mode: 'none' } };

let stage: Stage;
let client: TenantClient;
let natsSink: NatsSinkServer;

beforeAll(async () => {
  natsSink = await startNatsSink();
  stage = await startStage({ matcher: 2, env: { POSTHASTE_ACK_WAIT_SECONDS: '5' } });
  client = await stage.cluster.createTenantWithKey();
}, 120_000);

afterAll(async () => {
  await stage.stop();
  await natsSink.stop();
}, 90_000);

interface View extends CreatedSubscription {
  readonly state: string;
  readonly stateReason?: string;
}

const view = (id: string): Promise<View> => client.get<View>(`/v1/subscriptions/${id}`);
const idsAt = ({ received }: Sink): string[] => received.map((one) => headerOf(one, 'ce-id') ?? '');

async function change(method: string, path: string, body?: unknown): Promise<void> {
  expectStatus(200, `${method} ${path}`, await client.call(method, `/v1/subscriptions/${path}`, { body }));
}

async function publish(type: string): Promise<string> {
  const id = randomUUID();
  await client.publishEvent({ specversion: '1.0', id, source: '/s', type, data: { n: 1 } });
  return id;
}

describe('a NATS sink', () => {
  test.each(['binary', 'structured'] as const)('gets signed events in %s mode (NB-1, NB-3)', async (contentMode) => {
    const type = `nats.${randomUUID()}`;
    const body = {
      sink: natsSink.url,
      protocol: 'NATS',
      protocolsettings: { subject: `events.${contentMode}` },
      types: [type],
      config: { contentMode },
    };
    const made = await client.call('POST', '/v1/subscriptions', { body });
    const subscription = expectStatus(201, 'POST', made).json<CreatedSubscription>();
    const id = await publish(type);
    const message = await eventually(() => natsSink.received.find(({ subject }) => subject.endsWith(contentMode)));
    const headers = Object.fromEntries(
      (message.headers?.keys() ?? []).map((name) => [name, message.headers?.get(name)]),
    );
    const isBinary = contentMode === 'binary';
    expect(isBinary ? headers['ce-id'] : message.json<{ id: string }>().id).toBe(id);
    expect(isBinary ? message.json() : message.json<{ data: unknown }>().data).toEqual({ n: 1 });
    const secret = subscription.config.signature.secret ?? '';
    expect(() => new StandardWebhook(secret).verify(message.string(), headers as Record<string, string>)).not.toThrow();
    const delivery = await deliveryInState(client, id, subscription.id, 'delivered');
    expect(delivery.attempts).toEqual([expect.objectContaining({ number: 1, outcome: 'delivered' })]);
  });

  test('that is away gets its events later', async () => {
    const server = await startNatsSink();
    const type = `nats.${randomUUID()}`;
    await server.kill();
    const config = { retry: { delaysSeconds: [1], whenExhausted: 'repeat-last' } };
    const body = { sink: server.url, protocol: 'NATS', protocolsettings: { subject: 'a' }, types: [type], config };
    const made = await client.call('POST', '/v1/subscriptions', { body });
    const id = await publish(type);
    const subscription = made.json<CreatedSubscription>().id;
    const waiting = await deliveryInState(client, id, subscription, 'retrying');
    expect(waiting.attempts?.[0]).toMatchObject({ outcome: 'retryable', error: 'connect_refused' });
    await server.restart();
    await deliveryInState(client, id, subscription, 'delivered');
    expect(server.received).toHaveLength(1);
    await server.stop();
  });
});

describe('a paused subscription', () => {
  test('keeps what is for it, shows it as pending, and gets each once with its first attempt when it is resumed', async () => {
    const type = `paused.${randomUUID()}`;
    const sink = await stage.sink();
    const { id } = await client.subscribe({
      sink: sink.url,
      types: [type],
      config: { ...unasked, contentMode: 'binary' },
    });
    await change('POST', `${id}/pause`, { reason: 'maintenance' });
    await fence(stage);
    const events = await Promise.all(Array.from({ length: 5 }, () => publish(type)));
    for (const event of events) expect((await matchedEvent(client, event)).matchCount).toBe(1);
    const pending = await deliveryInState(client, events[0] ?? '', id, 'pending');
    expect([pending.attemptCount, sink.received.length]).toEqual([0, 0]);
    await change('POST', `${id}/resume`);
    await sink.waitFor(5, { deadlineMs: 60_000 });
    expect(idsAt(sink).sort()).toEqual(events.sort());
    for (const event of events) {
      const { attempts } = await deliveryInState(client, event, id, 'delivered');
      expect(attempts?.map(({ number }) => number)).toEqual([1]);
    }
  });

  test('that is deleted lets go of what it kept, as dead letters', async () => {
    const type = `paused.${randomUUID()}`;
    const sink = await stage.sink();
    const { id } = await client.subscribe({ sink: sink.url, types: [type], config: unasked });
    await change('POST', `${id}/pause`);
    await fence(stage);
    const event = await publish(type);
    await deliveryInState(client, event, id, 'pending');
    await change('DELETE', id);
    expect((await deliveryInState(client, event, id, 'dead')).reason).toBe('subscription_deleted');
    expect(sink.received).toEqual([]);
  });
});

describe('a subscription with limits', () => {
  test('gets exactly as many events as it asked for from two matchers, one of which is killed', async () => {
    const type = `limited.${randomUUID()}`;
    const sink = await stage.sink();
    const config = { ...unasked, contentMode: 'binary', maxEvents: 150 };
    const { id } = await client.subscribe({ sink: sink.url, types: [type], config });
    const { publishUrl } = stage.cluster;
    const load = startLoad({ client, publishUrl, type, count: 400, ratePerSecond: 400 });
    await sink.waitFor(50);
    await stage.cluster.kill('matcher-1', 'SIGKILL');
    await load.done;
    await stage.cluster.restart('matcher-1');
    await eventually(async () => (await view(id)).state === 'expired', { deadlineMs: 60_000 });
    expect((await view(id)).stateReason).toBe('max_events');
    await eventually(() => new Set(idsAt(sink)).size === 150, { deadlineMs: 60_000 });
    // Everything that was published is matched by now: nothing is under way any more.
    await eventually(
      async () => {
        const last = await matchedEvent(client, '399');
        return last.matchCount === 0;
      },
      { deadlineMs: 60_000 },
    );
    // The row of a delivery comes a moment after the sink has it.
    await eventually(async () => {
      const deliveries = await client.list<DeliveryView>(`/v1/deliveries?subscription=${id}&limit=250`);
      return new Set(deliveries.map(({ id: delivery }) => delivery)).size === 150;
    });
    expect(new Set(idsAt(sink)).size).toBe(150);
  });

  test('gets nothing that was accepted after its end, with or without a registry', async () => {
    const type = `limited.${randomUUID()}`;
    const [sink, witness] = [await stage.sink(), await stage.sink()];
    const expiresAtMs = Date.now() + 10_000;
    const config = { ...unasked, contentMode: 'binary', expiresAt: new Date(expiresAtMs).toISOString() };
    const { id } = await client.subscribe({ sink: sink.url, types: [type], config });
    await client.subscribe({ sink: witness.url, types: [type], config: { ...unasked, contentMode: 'binary' } });
    const before = await publish(type);
    await sink.waitFor(1);
    await stage.cluster.kill('registry', 'SIGKILL');
    await eventually(() => Date.now() > expiresAtMs + 100);
    const after = await publish(type);
    await witness.waitFor(2);
    expect([idsAt(sink), idsAt(witness).sort()]).toEqual([[before], [before, after].sort()]);
    await stage.cluster.restart('registry');
    await eventually(async () => (await view(id)).state === 'expired');
    const { data } = await client.get<{ data: { what: string; by: string }[] }>(`/v1/subscriptions/${id}/history`);
    expect(data.at(-1)).toMatchObject({ what: 'expired', by: 'limits', reason: 'expires_at' });
    expect(idsAt(sink)).toEqual([before]);
  });
});
