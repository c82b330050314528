import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { headerOf, type Sink, type SinkAnswer } from '#testkit/sink-server';
import { startEngineStage, WORKERS, type EngineStage } from './engine-stage.ts';
import { idOf, numbered, RETRY_EACH_SECOND, type Trial } from './engine-trial.ts';

jest.setTimeout(150_000);

let stage: EngineStage;

beforeAll(async () => {
  stage = await startEngineStage();
}, 90_000);

afterAll(() => stage.stop(), 90_000);

const QUICK_CIRCUIT = { consecutiveFailures: 10, firstProbeSeconds: 1, longestProbeSeconds: 1 };

describe('one endpoint hangs to timeout while others are healthy; one is slow, one refuses, one fails, one throttles', () => {
  const BACKLOG = numbered(400);
  const HEALTHY_COUNT = 10;
  const SLOW_AT_ONCE = 4;
  let areWell = false;
  const bad: Record<string, Trial> = {};
  const healthy: Trial[] = [];

  const whileIll = (answer: SinkAnswer) => () => (areWell ? {} : answer);

  beforeAll(async () => {
    const ofOther = await stage.cluster.createTenantWithKey();
    const config = { circuit: QUICK_CIRCUIT };
    bad['hanging'] = await stage.trial({ config, respond: whileIll('hang') });
    bad['slow'] = await stage.trial({
      config: { ...config, maxInFlight: SLOW_AT_ONCE },
      respond: whileIll({ delayMs: 1500 }),
    });
    bad['failing'] = await stage.trial({ config, respond: whileIll({ status: 500 }) });
    bad['throttling'] = await stage.trial({
      config,
      respond: whileIll({ status: 429, headers: { 'retry-after': '2' } }),
    });
    bad['refusing'] = await stage.trial({ config });
    await bad['refusing'].sink.goAway();
    for (let i = 0; i < HEALTHY_COUNT; i++) {
      healthy.push(await stage.trial({ client: i % 2 === 0 ? stage.client : ofOther }));
    }
    await Promise.all(Object.values(bad).map((trial) => trial.publish(BACKLOG)));
  }, 120_000);

  test('healthy ones get everything at once, while nobody waits for those that are not', async () => {
    const events = numbered(30);
    await Promise.all(healthy.map((trial) => trial.publishInOrder(events)));
    await Promise.all(healthy.map((trial) => trial.arrived(events)));
    for (const trial of Object.values(bad)) {
      await eventually(async () => (await trial.health()).waiting > BACKLOG.length / 4);
    }
    // What was under way on the common roads of the workers when the lane was opened comes on top.
    expect(bad['slow']?.mostAtOnce()).toBeLessThanOrEqual(SLOW_AT_ONCE + WORKERS.length);
  });

  test('kill -9 worker: healthy ones go on, those that were ill get all of it when they are well, and nothing is left', async () => {
    const events = numbered(30, 'more-');
    const publishing = Promise.all(healthy.map((trial) => trial.publishInOrder(events)));
    await stage.crash('delivery-2');
    await publishing;
    await Promise.all(healthy.map((trial) => trial.arrived(events)));
    areWell = true;
    await bad['refusing']?.sink.comeBack();
    for (const trial of Object.values(bad)) await trial.arrived(BACKLOG);
    for (const trial of Object.values(bad)) await trial.leftNoTrace();
    expect(await stage.laneConsumers()).toBe(0);
  });
});

describe('fan-out of one event to 1 000 subscriptions', () => {
  const SUBSCRIPTIONS = 1000;
  const EVENTS = numbered(5);

  test("completes, and another tenant's single events do not wait for it", async () => {
    const [wide, other] = await Promise.all([stage.cluster.createTenantWithKey(), stage.cluster.createTenantWithKey()]);
    const burst = await stage.trial({ client: wide, config: { signature: { profile: 'none' } } });
    await Promise.all(
      numbered(20).map(async () => {
        for (let i = 1; i <= SUBSCRIPTIONS / 20; i++) await burst.oneMore();
      }),
    );
    const single = await stage.trial({ client: other });
    const wanted = (SUBSCRIPTIONS + 1) * EVENTS.length;
    await burst.publish(EVENTS);
    const ids = numbered(5);
    const countsThen: number[] = [];
    for (const id of ids) {
      await single.publish([id]);
      await single.arrived([id]);
      countsThen.push(burst.sink.received.length);
    }
    expect(Math.max(...countsThen)).toBeLessThan(wanted);
    const arrivals = () => new Set(burst.sink.received.map((received) => `${received.url} ${idOf(received)}`)).size;
    await eventually(() => arrivals() === wanted, { deadlineMs: 60_000, everyMs: 100 });
  });
});

describe('outcome table', () => {
  test('maxAttempts ends a delivery, and the dead letter sink is told, once, of the original event', async () => {
    const letters = await stage.sink({ respond: () => ({ status: 422 }) });
    const trial = await stage.trial({
      config: {
        contentMode: 'structured',
        retry: { ...RETRY_EACH_SECOND, maxAttempts: 2 },
        deadLetterSink: letters.url,
      },
      respond: (received) => ({ status: idOf(received) === 'later' ? 204 : 503 }),
    });
    await trial.publish(['never']);
    await letters.waitFor(1);
    const event = JSON.parse(new TextDecoder().decode(letters.received[0]?.body)) as object;
    expect(event).toMatchObject({
      id: 'never',
      type: trial.type,
      data: { id: 'never' },
      deadletterreason: 'attempts_exhausted',
      deadletterstatus: 503,
      deadletterattempts: 2,
      deadlettersubscription: trial.subscription,
    });
    expect(trial.ids()).toEqual(['never', 'never']);
    await trial.publish(['later']);
    await eventually(async () => (await trial.deliveries('delivered')).length === 1);
    // What the dead letter sink refuses is no dead letter of the subscription, nor told to it again.
    expect(letters.received).toHaveLength(1);
    await eventually(async () => {
      expect(await trial.deadLetters()).toMatchObject([{ reason: 'attempts_exhausted', attemptCount: 2 }]);
      return true;
    });
  });

  test('415 falls back once to the other content mode, at once', async () => {
    const trial = await stage.trial({
      config: { contentMode: 'structured' },
      respond: (received) => ({ status: headerOf(received, 'ce-id') === undefined ? 415 : 204 }),
    });
    await trial.publish(['e1']);
    const [delivery] = await eventually(async () => {
      const found = await trial.deliveries('delivered');
      return found.length > 0 ? found : undefined;
    });
    expect(delivery?.attemptCount).toBe(2);
    expect(trial.sink.received.map((received) => headerOf(received, 'content-type'))).toEqual([
      expect.stringContaining('application/cloudevents+json'),
      'application/json',
    ]);
  });

  test('expirytime is honoured before each attempt: no attempt is made that would be after it', async () => {
    const trial = await stage.trial({
      respond: () => ({ status: 500 }),
      config: { retry: { ...RETRY_EACH_SECOND, delaysSeconds: [60] } },
    });
    const inMs = (ms: number) => ({ expirytime: new Date(Date.now() + ms).toISOString() });
    await trial.publishInOrder(['past'], () => inMs(-1000));
    await trial.publishInOrder(['soon'], () => inMs(30_000));
    const letters = await eventually(async () => {
      const found = await trial.deadLetters();
      return found.length === 2 ? found : undefined;
    });
    const reasons = Object.fromEntries(letters.map(({ event, reason }) => [event?.id, reason]));
    expect(reasons).toEqual({ past: 'event_expired', soon: 'event_expired' });
    expect(trial.ids()).toEqual(['soon']);
  });
});

describe('operational events', () => {
  test('reach who asks for them, and never loop: what two failing watchers miss is told to nobody', async () => {
    const client = await stage.cluster.createTenantWithKey();
    const config = { contentMode: 'structured', validation: { mode: 'none' } };
    const watch = async (status: number) => {
      const sink = await stage.sink({ respond: () => ({ status }) });
      await client.subscribe({ sink: sink.url, filters: [{ prefix: { type: 'io.posthaste.' } }], config });
      return sink;
    };
    const deaf = [await watch(400), await watch(400)];
    const attentive = await watch(204);
    const trial = await stage.trial({ client, respond: () => ({ status: 400 }) });
    const toldTo = ({ received }: Sink) =>
      received.map(({ body }) => JSON.parse(new TextDecoder().decode(body)) as { type: string; subject: string });
    const deathsToldTo = (sink: Sink) => toldTo(sink).filter(({ type }) => type === 'io.posthaste.delivery.dead');
    const watchers = [...deaf, attentive];
    for (const count of [1, 2, 3]) {
      await trial.publish([String(count)]);
      // Each dead letter of the trial, and none of what the deaf ones missed: told on and on, it would be here by the next one.
      await eventually(() => watchers.every((sink) => deathsToldTo(sink).length === count));
    }
    for (const sink of watchers) {
      expect(new Set(deathsToldTo(sink).map(({ subject }) => subject))).toEqual(new Set([trial.subscription]));
    }
    // That comes from another stream, so whether it is before those is open.
    const createdType = 'io.posthaste.subscription.created';
    const isCreated = ({ type, subject }: { type: string; subject: string }) =>
      type === createdType && subject === trial.subscription;
    await eventually(() => toldTo(attentive).filter(isCreated).length === 1);
  });
});
