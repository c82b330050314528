import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { SubscriptionHealthResource } from '#contracts/http/health-resource';
import { eventually } from '#testkit/eventually';
import type { Sink, SinkAnswer } from '#testkit/sink-server';
import type { CreatedSubscription, TenantClient } from '#testkit/tenant-client';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(150_000);

interface SubscriptionView {
  readonly state: string;
  readonly stateReason?: string;
}

interface Published {
  readonly data: { readonly n: number };
}

interface Told {
  readonly type: string;
  readonly id: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

let stage: Stage;
let client: TenantClient;
/** A sink of the tenant that asks for everything that Posthaste itself tells. */
let watcher: Sink;

beforeAll(async () => {
  stage = await startStage();
  client = await stage.cluster.createTenantWithKey();
  watcher = await stage.sink();
  await client.subscribe({
    sink: watcher.url,
    filters: [{ prefix: { type: 'io.posthaste.' } }],
    config: { validation: { mode: 'none' } },
  });
}, 90_000);

afterAll(() => stage.stop(), 90_000);

interface Trial {
  readonly subscription: CreatedSubscription;
  publish(): Promise<void>;
  answerWith(answer: SinkAnswer): void;
  /** Numbers of the events that the sink got, in order of arrival. */
  received(): readonly number[];
}

async function aTrial(first: SinkAnswer, config: object = {}): Promise<Trial> {
  let now = first;
  let published = 0;
  const sink = await stage.sink({ respond: () => now });
  const type = `trial.${randomUUID()}`;
  const body = {
    sink: `${sink.url}/hook?code=hunter2`,
    types: [type],
    config: { validation: { mode: 'none' }, ...config },
  };
  const subscription = await client.subscribe(body);
  return {
    subscription,
    async publish() {
      await client.publishEvent({
        specversion: '1.0',
        id: randomUUID(),
        source: '/trial',
        type,
        data: { n: published++ },
      });
    },
    answerWith(answer) {
      now = answer;
    },
    received: () => sink.received.map(({ body }) => (JSON.parse(new TextDecoder().decode(body)) as Published).data.n),
  };
}

const view = ({ id }: CreatedSubscription): Promise<SubscriptionView> =>
  client.get<SubscriptionView>(`/v1/subscriptions/${id}`);

const healthOf = ({ id }: CreatedSubscription): Promise<SubscriptionHealthResource> =>
  client.get<SubscriptionHealthResource>(`/v1/subscriptions/${id}/health`);

async function resume({ id }: CreatedSubscription): Promise<void> {
  expect((await client.call('POST', `/v1/subscriptions/${id}/resume`)).status).toBe(200);
}

/** What the watcher was told of a subscription, each once, in the order of arrival. */
function toldOf({ id }: CreatedSubscription): readonly Told[] {
  const all = watcher.received.map(({ body }) => JSON.parse(new TextDecoder().decode(body)) as Told);
  return [...new Map(all.filter(({ subject }) => subject === id).map((told) => [told.id, told])).values()];
}

function told(subscription: CreatedSubscription, type: string): Promise<Told> {
  return eventually(() => {
    const found = toldOf(subscription).find((one) => one.type === `io.posthaste.${type}`);
    if (found === undefined)
      throw new Error(
        `told are ${toldOf(subscription)
          .map((one) => one.type)
          .join(', ')}`,
      );
    return found;
  });
}

describe('a sink that answers 410', () => {
  test('is left alone, its tenant is told, and a resume tries it again (D9)', async () => {
    const trial = await aTrial({ status: 410 });
    const { subscription } = trial;
    await trial.publish();
    const disabled = await eventually(async () => {
      const now = await view(subscription);
      return now.state === 'disabled' && now;
    });
    expect(disabled.stateReason).toMatch(/^The sink answered 410 Gone at \d{4}-.*Z\.$/);
    expect(await healthOf(subscription)).toMatchObject({ state: 'disabled', stateReason: disabled.stateReason });
    expect((await told(subscription, 'subscription.disabled')).data).toMatchObject({ cause: 'gone', by: 'delivery' });
    expect((await told(subscription, 'circuit.opened')).data).toMatchObject({ cause: 'gone', lastStatus: 410 });
    expect((await told(subscription, 'delivery.dead')).data).toMatchObject({ reason: 'gone', attempts: 1 });

    trial.answerWith({ status: 204 });
    await resume(subscription);
    await trial.publish();
    await eventually(() => trial.received().length === 2);
    await eventually(async () => {
      const { state, circuit, waiting } = await healthOf(subscription);
      return state === 'active' && circuit.state === 'closed' && waiting === 0;
    });
    await told(subscription, 'subscription.created');
    await told(subscription, 'subscription.resumed');
    // Told after all that the disabling could have caused.
    const types = toldOf(subscription).map(({ type }) => type.replace('io.posthaste.', ''));
    expect(types.toSorted()).toEqual([
      'circuit.opened',
      'delivery.dead',
      'subscription.created',
      'subscription.disabled',
      'subscription.resumed',
    ]);
    expect(JSON.stringify(toldOf(subscription))).not.toContain('hunter2');
  });
});

describe('a sink that fails', () => {
  test('has a circuit that opens and closes again, which its health and its tenant are told', async () => {
    const trial = await aTrial(
      { status: 500 },
      { circuit: { consecutiveFailures: 3, firstProbeSeconds: 2, longestProbeSeconds: 2 } },
    );
    const { subscription } = trial;
    for (let i = 0; i < 6; i++) await trial.publish();
    const open = await eventually(async () => {
      const health = await healthOf(subscription);
      // A worker that is busy for a moment counts as silent.
      return health.circuit.state === 'open' && health.waiting === 6 && health.silentWorkers === 0 && health;
    });
    expect(open).toMatchObject({
      state: 'active',
      circuit: { cause: 'failures', lastStatus: 500 },
      oldestWaitingAt: expect.any(String),
      nextProbeAt: expect.any(String),
      workers: 1,
      silentWorkers: 0,
    });
    const { data } = await told(subscription, 'circuit.opened');
    expect(data).toMatchObject({ cause: 'failures', lastStatus: 500 });

    trial.answerWith({ status: 204 });
    expect((await told(subscription, 'circuit.closed')).data['since']).toBe(data['since']);
    await eventually(
      async () => {
        const { circuit, waiting, oldestWaitingAt } = await healthOf(subscription);
        return circuit.state === 'closed' && waiting === 0 && oldestWaitingAt === null;
      },
      { deadlineMs: 45_000 },
    );
    await told(subscription, 'subscription.created');
    const types = toldOf(subscription).map(({ type }) => type.replace('io.posthaste.', ''));
    expect(types.toSorted()).toEqual(['circuit.closed', 'circuit.opened', 'subscription.created']);
  });
});

describe('an ordered subscription that is to stop at a dead letter', () => {
  test('is paused, and a resume lets the next ones go on in order', async () => {
    const config = { ordering: 'subscription', onDeadLetter: 'block' };
    const trial = await aTrial({ status: 400 }, config);
    const { subscription } = trial;
    for (let i = 0; i < 3; i++) await trial.publish();
    const paused = await eventually(async () => {
      const now = await view(subscription);
      return now.state === 'paused' && now;
    });
    expect(paused.stateReason).toBe('A delivery was given up, and those behind it wait (onDeadLetter: block).');
    expect((await told(subscription, 'subscription.paused')).data).toMatchObject({ cause: 'ordering_blocked' });
    await eventually(async () => {
      expect(await healthOf(subscription)).toMatchObject({ state: 'paused', waiting: 2, inFlight: 0 });
      return true;
    });
    expect(trial.received()).toEqual([0]);

    trial.answerWith({ status: 204 });
    await resume(subscription);
    await eventually(() => trial.received().length === 3);
    expect(trial.received()).toEqual([0, 1, 2]);
    await eventually(async () => (await healthOf(subscription)).waiting === 0);
    expect((await view(subscription)).state).toBe('active');
  });
});
