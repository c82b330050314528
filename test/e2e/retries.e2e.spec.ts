import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { eventually } from '#testkit/eventually';
import { headerOf, type Received, type Sink, type SinkAnswer } from '#testkit/sink-server';
import type { CreatedSubscription, TenantClient } from '#testkit/tenant-client';
import { deliveryInState, type DeadLetterView, type DeliveryView } from './look-up.ts';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

let stage: Stage;
let client: TenantClient;

beforeAll(async () => {
  stage = await startStage();
  client = await stage.cluster.createTenantWithKey();
}, 90_000);

afterAll(() => stage.stop(), 90_000);

interface Trial {
  readonly sink: Sink;
  readonly subscription: CreatedSubscription;
  readonly eventId: string;
}

/** One subscription with this retry configuration, a sink that answers like this, and one event for it. */
async function publishTo(respond: (received: Received, count: number) => SinkAnswer, retry: object): Promise<Trial> {
  const sink = await stage.sink({ respond });
  const type = `trial.${randomUUID()}`;
  const subscription = await client.subscribe({ sink: sink.url, types: [type], config: { retry } });
  const eventId = randomUUID();
  await client.publishEvent({ specversion: '1.0', id: eventId, source: '/trial', type, data: { n: 1 } });
  return { sink, subscription, eventId };
}

function gapsMs({ received }: Sink): number[] {
  return received.slice(1).map((one, i) => one.atMs - (received[i]?.atMs ?? 0));
}

/** From the end of each attempt to the instant that the next one is due: how late that comes is this machine's affair. */
function waitsMs({ attempts = [] }: DeliveryView): number[] {
  return attempts.flatMap(({ at, durationMs, next }) =>
    next?.kind === 'retry' ? [Date.parse(next.at ?? '') - Date.parse(at) - durationMs] : [],
  );
}

const deadLettersOf = async ({ subscription }: Trial): Promise<readonly DeadLetterView[]> =>
  client.list<DeadLetterView>(`/v1/dead-letters?subscription=${subscription.id}`);

describe('a failing sink', () => {
  test('is tried again on its schedule, never early, with the same id and a new signature, until it succeeds (WH-5, SW-1)', async () => {
    const trial = await publishTo((_, count) => ({ status: count < 3 ? 500 : 204, body: count < 3 ? 'not yet' : '' }), {
      delaysSeconds: [1, 2],
      jitter: 0,
    });
    const { sink, subscription, eventId } = trial;
    await sink.waitFor(3);
    const [first = 0, second = 0] = gapsMs(sink);
    expect(first).toBeGreaterThanOrEqual(1000);
    expect(second).toBeGreaterThanOrEqual(2000);
    expect(new Set(sink.received.map((one) => headerOf(one, 'webhook-id'))).size).toBe(1);
    for (const one of sink.received) expectVerified(one, subscription);
    const signatures = sink.received.map((one) => headerOf(one, 'webhook-signature'));
    expect(new Set(signatures).size).toBe(3);

    const delivery = await deliveryInState(client, eventId, subscription.id, 'delivered');
    expect(delivery.attempts).toMatchObject([
      { number: 1, status: 500, outcome: 'retryable', responseBody: 'not yet' },
      { number: 2, status: 500, outcome: 'retryable' },
      { number: 3, status: 204, outcome: 'delivered' },
    ]);
    expect(waitsMs(delivery)).toEqual([1000, 2000]);
    expect(sink.received).toHaveLength(3);
    expect(await deadLettersOf(trial)).toEqual([]);
  });

  test('is left alone for as long as its Retry-After asks (WH-5, D8)', async () => {
    const { sink, subscription, eventId } = await publishTo(
      (_, count) => (count === 1 ? { status: 503, headers: { 'retry-after': '3' } } : {}),
      { delaysSeconds: [1], jitter: 0 },
    );
    await sink.waitFor(2);
    const [gap = 0] = gapsMs(sink);
    expect(gap).toBeGreaterThanOrEqual(3000);
    expect(waitsMs(await deliveryInState(client, eventId, subscription.id, 'delivered'))).toEqual([3000]);
  });

  test('becomes a dead letter with reason and attempts when it never succeeds (D7)', async () => {
    const trial = await publishTo(() => ({ status: 500 }), { delaysSeconds: [1, 1], jitter: 0 });
    const { subscription, eventId, sink } = trial;
    const delivery = await deliveryInState(client, eventId, subscription.id, 'dead');
    expect(delivery).toMatchObject({ reason: 'attempts_exhausted', attemptCount: 3 });
    const [letter, ...others] = await eventually(async () => {
      const letters = await deadLettersOf(trial);
      return letters.length > 0 ? letters : undefined;
    });
    expect(others).toEqual([]);
    expect(letter).toMatchObject({
      kind: 'delivery',
      delivery: delivery.id,
      subscription: subscription.id,
      reason: 'attempts_exhausted',
      attemptCount: 3,
      lastStatus: 500,
      event: { id: eventId },
    });
    expect(sink.received).toHaveLength(3);
  });

  test.each([
    [410, 'gone', 'gone'],
    [400, 'rejected_by_sink', 'permanent'],
    [302, 'rejected_by_sink', 'permanent'],
  ])('is not tried again after %i: a dead letter at once (D8, D9)', async (status, reason, outcome) => {
    const trial = await publishTo(() => ({ status, headers: { location: 'https://127.0.0.1:1/' } }), {
      delaysSeconds: [1],
      jitter: 0,
    });
    const delivery = await deliveryInState(client, trial.eventId, trial.subscription.id, 'dead');
    expect(delivery).toMatchObject({ reason, attempts: [{ number: 1, status, outcome }] });
    expect(trial.sink.received).toHaveLength(1);
  });

  test('may also hang up, and the attempt says how it ended', async () => {
    const trial = await publishTo((_, count) => (count === 1 ? 'reset' : {}), { delaysSeconds: [1], jitter: 0 });
    const delivery = await deliveryInState(client, trial.eventId, trial.subscription.id, 'delivered');
    expect(delivery.attempts).toMatchObject([
      { number: 1, outcome: 'retryable', error: 'reset' },
      { number: 2, outcome: 'delivered' },
    ]);
  });
});

describe('a dead letter', () => {
  test('is delivered after all when somebody asks for it again: same id, attempts counted on', async () => {
    const trial = await publishTo(() => ({ status: 400 }), { delaysSeconds: [1], jitter: 0 });
    const { sink, subscription, eventId } = trial;
    const dead = await deliveryInState(client, eventId, subscription.id, 'dead');
    sink.respondWith(() => ({ status: 200, body: 'thanks' }));
    const asked = await client.call('POST', `/v1/deliveries/${dead.id}/redeliver`);
    expect(asked.status).toBe(202);
    await sink.waitFor(2);
    expect(new Set(sink.received.map((one) => headerOf(one, 'webhook-id')))).toEqual(new Set([dead.id]));
    const delivered = await deliveryInState(client, eventId, subscription.id, 'delivered');
    expect(delivered.attempts).toMatchObject([
      { number: 1, status: 400 },
      { number: 2, status: 200, outcome: 'delivered' },
    ]);
  });

  test('of another tenant can not be asked for', async () => {
    const trial = await publishTo(() => ({ status: 400 }), { delaysSeconds: [1], jitter: 0 });
    const dead = await deliveryInState(client, trial.eventId, trial.subscription.id, 'dead');
    const stranger = await stage.cluster.createTenantWithKey();
    const asked = await stranger.call('POST', `/v1/deliveries/${dead.id}/redeliver`);
    expect(asked.status).toBe(404);
  });
});

describe('a delivery service that is told to stop', () => {
  test('ends the request that is under way, counts it once, and exits 0', async () => {
    const trial = await publishTo(() => ({ delayMs: 2500 }), { delaysSeconds: [1], jitter: 0 });
    const { sink, subscription, eventId } = trial;
    await sink.waitFor(1);
    expect(await stage.cluster.kill('delivery-1', 'SIGTERM')).toBe(0);
    await stage.cluster.restart('delivery-1');
    const delivery = await deliveryInState(client, eventId, subscription.id, 'delivered');
    expect(delivery.attempts).toMatchObject([{ number: 1, outcome: 'delivered' }]);
    // Had the message not been acknowledged, it would have come back by the time of a later one.
    const later = await publishTo(() => ({}), {});
    await later.sink.waitFor(1);
    expect(sink.received).toHaveLength(1);
  });
});

function expectVerified(notification: Received, { config }: CreatedSubscription): void {
  const headers = Object.fromEntries(notification.headers.map(([name, value]) => [name.toLowerCase(), value]));
  expect(() =>
    new Webhook(config.signature.secret ?? '').verify(Buffer.from(notification.body), headers),
  ).not.toThrow();
}
