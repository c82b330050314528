import { describe, expect, test } from '@jest/globals';
import type { CloudEvent } from '#core/event/cloud-event';
import type { Exchange } from '#core/delivery/outcome';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { Subscription, SubscriptionSpec } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { SignRequest } from '#contracts/bus/sign';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { SignatureRefused } from './sign-client.ts';
import { makeAttemptDelivery, type AttemptPorts, type CompletedAttempt } from './attempt-delivery.ts';

const acme = 'acme' as TenantId;
const ACCEPTED_AT = 1_000_000;
const HOUR_MS = 3_600_000;

const event: CloudEvent = {
  attributes: new Map([
    ['specversion', '1.0'],
    ['id', 'e1'],
    ['source', '/s'],
    ['type', 't'],
  ]),
  data: { bytes: new TextEncoder().encode('{"n":1.10}'), form: 'json' },
};

const task: DeliveryTask = {
  delivery: 'dlv_1' as DeliveryId,
  tenant: acme,
  subscription: 'sub_1' as SubscriptionId,
  eventSeq: 7,
  acceptedAtMs: ACCEPTED_AT,
  attempt: 1,
  firstAttempt: 1,
  event: { kind: 'inline', value: event },
};

function subscription(config: Partial<SubscriptionSpec['config']> = {}): Subscription {
  const spec = aSpec({
    sink: 'https://sink.example/hook',
    config: { retry: { ...DEFAULT_RETRY_POLICY, jitter: 0 }, ...config },
  });
  return aSubscription({ id: task.subscription, tenant: acme, spec });
}

const refused: SignRequest = {
  subscription: task.subscription,
  tenant: acme,
  messageId: task.delivery,
  timestampSeconds: 0,
  body: new Uint8Array(),
};

const ok: Exchange = { kind: 'response', status: 204 };

function attempt(overrides: Partial<AttemptPorts> & { exchange?: Exchange; nowMs?: number } = {}) {
  const { exchange = ok, nowMs = ACCEPTED_AT, ...ports } = overrides;
  const reported: string[] = [];
  const posted: { url: string; headers: Map<string, string>; body: string }[] = [];
  const published: { server: string; subject: string; headers: Map<string, string>; payload: string }[] = [];
  const attemptDelivery = makeAttemptDelivery(
    {
      findSubscription: () => Promise.resolve(subscription()),
      readEvent: () => Promise.resolve(undefined),
      sign: ({ messageId, timestampSeconds }) =>
        Promise.resolve([
          ['webhook-id', messageId],
          ['webhook-timestamp', String(timestampSeconds)],
          ['webhook-signature', 'v1,x'],
        ]),
      post(url, headers, body) {
        posted.push({ url, headers: new Map(headers), body: new TextDecoder().decode(body) });
        return Promise.resolve(exchange);
      },
      publish(server, subject, headers, payload) {
        published.push({ server, subject, headers: new Map(headers), payload: new TextDecoder().decode(payload) });
        return Promise.resolve({ kind: 'published' });
      },
      childTraceparent: (parent) => `child of ${parent}`,
      now: () => nowMs,
      reportRefusal: ({ reason }) => {
        reported.push(reason);
      },
      random: () => 0.5,
      ...ports,
    },
    { userAgent: 'Posthaste/test', origin: 'posthaste.example' },
  );
  const completed = async (one: DeliveryTask): Promise<CompletedAttempt> => {
    const result = await attemptDelivery(one);
    if ('held' in result) throw new Error(`held until ${result.untilMs}`);
    return result;
  };
  return { posted, reported, published, attemptDelivery: completed, tryDelivery: attemptDelivery };
}

describe('one attempt', () => {
  test('it posts the signed event to the sink, data untouched', async () => {
    const { posted, attemptDelivery } = attempt();
    const { fact, nextTask } = await attemptDelivery(task);
    expect(posted).toHaveLength(1);
    expect(posted[0]?.url).toBe('https://sink.example/hook');
    expect(posted[0]?.body).toContain('"data":{"n":1.10}');
    expect(posted[0]?.headers.get('content-type')).toBe('application/cloudevents+json; charset=UTF-8');
    expect(posted[0]?.headers.get('user-agent')).toBe('Posthaste/test');
    expect(posted[0]?.headers.get('webhook-id')).toBe('dlv_1');
    expect(fact).toMatchObject({
      attempt: 1,
      request: { outcome: 'delivered', status: 204 },
      next: { kind: 'delivered' },
    });
    expect(nextTask).toBeUndefined();
  });

  test('it sends attributes as headers and data as the body in binary mode (HB-3)', async () => {
    const { posted, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve(subscription({ contentMode: 'binary' })),
    });
    await attemptDelivery(task);
    expect(posted[0]?.body).toBe('{"n":1.10}');
    expect(posted[0]?.headers.get('ce-id')).toBe('e1');
  });

  test('it asks nobody to sign when the profile is none', async () => {
    const { posted, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve(subscription({ signature: { profile: 'none' } })),
      sign: () => Promise.reject(new Error('must not be asked')),
    });
    await attemptDelivery(task);
    expect(posted[0]?.headers.has('webhook-signature')).toBe(false);
  });

  test('it goes on with the trace of the event rather than that of the request', async () => {
    const traced: CloudEvent = {
      ...event,
      attributes: new Map([...event.attributes, ['traceparent', 'of the event']]),
    };
    const { posted, attemptDelivery } = attempt();
    await attemptDelivery({ ...task, traceparent: 'of the request', event: { kind: 'inline', value: traced } });
    expect(posted[0]?.headers.get('traceparent')).toBe('child of of the event');
  });

  test('it names the granted origin to a sink that has consented, on each notification (WH-4)', async () => {
    const validation = { status: 'granted', attempts: 1, grantedOrigin: 'granted.example' } as const;
    const { posted, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve({ ...subscription(), validation }),
    });
    await attemptDelivery(task);
    expect(posted[0]?.headers.get('webhook-request-origin')).toBe('granted.example');
  });

  test('it asks for a second attempt after a failure, with the deadline fixed', async () => {
    const { attemptDelivery } = attempt({ exchange: { kind: 'response', status: 500 } });
    const { fact, nextTask } = await attemptDelivery(task);
    expect(fact.next).toEqual({ kind: 'retry', atMs: ACCEPTED_AT + 10_000 });
    expect(nextTask).toMatchObject({ attempt: 2, firstAttempt: 1, deadlineAtMs: ACCEPTED_AT + 24 * HOUR_MS });
  });

  test('it records what went wrong without a response', async () => {
    const { attemptDelivery } = attempt({
      exchange: { kind: 'error', error: 'connect_refused', message: 'nobody listens' },
    });
    const { fact } = await attemptDelivery(task);
    expect(fact.request).toEqual({ outcome: 'retryable', error: 'connect_refused', message: 'nobody listens' });
  });

  test('it never waits less than Retry-After asks (WH-5)', async () => {
    const { attemptDelivery } = attempt({ exchange: { kind: 'response', status: 429, retryAfter: '120' } });
    const { fact } = await attemptDelivery(task);
    expect(fact.next).toMatchObject({ kind: 'retry' });
    expect(fact.next.kind === 'retry' ? fact.next.atMs : 0).toBeGreaterThanOrEqual(ACCEPTED_AT + 120_000);
  });

  test.each(['too_large', 'unsignable'] as const)('it ends for good what is %s for a signature', async (reason) => {
    const { posted, attemptDelivery } = attempt({ sign: () => Promise.reject(new SignatureRefused(reason, refused)) });
    expect(await attemptDelivery(task)).toMatchObject({ fact: { next: { kind: 'dead', reason: 'unsignable' } } });
    expect(posted).toEqual([]);
  });

  test('it waits, and tells the operator, while the signer has another master key', async () => {
    const sign = () => Promise.reject(new SignatureRefused('wrong_master_key', refused));
    const { posted, reported, tryDelivery } = attempt({ sign });
    expect(await tryDelivery(task)).toMatchObject({ held: { attempt: 1, holds: 1 } });
    expect(reported).toEqual(['wrong_master_key']);
    expect(posted).toEqual([]);
  });

  test.each([
    ['the deadline has passed', { nowMs: ACCEPTED_AT + 25 * HOUR_MS }, 'deadline_passed'],
    ['the subscription is deleted', { findSubscription: () => Promise.resolve(undefined) }, 'subscription_deleted'],
  ] as const)('it sends nothing when %s', async (_when, overrides, reason) => {
    const { posted, attemptDelivery } = attempt(overrides);
    const { fact } = await attemptDelivery(task);
    expect(posted).toEqual([]);
    expect(fact).toMatchObject({ next: { kind: 'dead', reason } });
    expect(fact.request).toBeUndefined();
  });

  test('it sends nothing when the event it refers to is no longer kept', async () => {
    const { posted, attemptDelivery } = attempt();
    const { fact } = await attemptDelivery({ ...task, event: { kind: 'reference' } });
    expect(posted).toEqual([]);
    expect(fact.next).toEqual({ kind: 'dead', reason: 'event_expired_from_store' });
  });
});

describe('a delivery over NATS', () => {
  const onNats = (contentMode: 'structured' | 'binary'): Subscription => {
    const {
      sink: _sink,
      protocol: _protocol,
      protocolsettings: _settings,
      ...spec
    } = subscription({ contentMode }).spec;
    const transmission = { protocol: 'NATS', protocolsettings: { subject: 'orders.created' } } as const;
    return { ...subscription(), spec: { ...spec, sink: 'nats://nats.example:4222', ...transmission } };
  };

  test('it publishes in binary mode: the data as payload, attributes and signature as headers (NB-3)', async () => {
    const { posted, published, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve(onNats('binary')),
    });
    const { fact } = await attemptDelivery(task);
    expect(fact).toMatchObject({ request: { outcome: 'delivered' }, next: { kind: 'delivered' } });
    expect([posted.length, published.length]).toEqual([0, 1]);
    expect(published[0]).toMatchObject({ server: 'nats://nats.example:4222', subject: 'orders.created' });
    expect(published[0]?.payload).toBe('{"n":1.10}');
    expect([...(published[0]?.headers.keys() ?? [])]).toEqual([
      'ce-specversion',
      'ce-id',
      'ce-source',
      'ce-type',
      'webhook-id',
      'webhook-timestamp',
      'webhook-signature',
      'traceparent',
    ]);
  });

  test('it publishes structured with the content type as the only header of the binding (NB-2)', async () => {
    const { published, attemptDelivery } = attempt({ findSubscription: () => Promise.resolve(onNats('structured')) });
    await attemptDelivery(task);
    expect(published[0]?.headers.get('Content-Type')).toBe('application/cloudevents+json; charset=UTF-8');
    expect(published[0]?.payload).toContain('"data":{"n":1.10}');
  });

  test('it ends at once when the server refuses for good, and goes on when it is away', async () => {
    const answering = (error: 'permission_denied' | 'connect_refused') =>
      attempt({
        findSubscription: () => Promise.resolve(onNats('binary')),
        publish: () => Promise.resolve({ kind: 'error', error, message: 'no' }),
      }).attemptDelivery(task);
    expect((await answering('permission_denied')).fact.next).toEqual({ kind: 'dead', reason: 'rejected_by_sink' });
    expect((await answering('connect_refused')).fact.next.kind).toBe('retry');
  });
});

describe('the state of the subscription', () => {
  const inState = (state: Subscription['state'], stateReason = '') => ({
    findSubscription: () => Promise.resolve({ ...subscription(), state, stateReason }),
  });

  test.each(['paused', 'pending'] as const)('it waits while that is %s, and uses up no attempt', async (state) => {
    const { posted, tryDelivery } = attempt(inState(state));
    const deadlineAtMs = ACCEPTED_AT + 24 * HOUR_MS;
    const first = await tryDelivery(task);
    expect(first).toEqual({ held: { ...task, deadlineAtMs, holds: 1 }, untilMs: ACCEPTED_AT + 5_000 });
    const again = await tryDelivery('held' in first ? first.held : task);
    expect(again).toEqual({ held: { ...task, deadlineAtMs, holds: 2 }, untilMs: ACCEPTED_AT + 10_000 });
    expect(posted).toEqual([]);
  });

  test('it is sent with its first attempt once it may, and forgets that it waited', async () => {
    const { posted, attemptDelivery } = attempt({ exchange: { kind: 'response', status: 500 } });
    const { fact, nextTask } = await attemptDelivery({ ...task, holds: 7 });
    expect([fact.attempt, posted.length]).toEqual([1, 1]);
    expect(nextTask).not.toHaveProperty('holds');
  });

  test('it waits no longer than to its deadline', async () => {
    const deadlineAtMs = ACCEPTED_AT + 1_000;
    const { tryDelivery } = attempt(inState('paused'));
    expect(await tryDelivery({ ...task, deadlineAtMs })).toMatchObject({ untilMs: deadlineAtMs + 1 });
    const late = attempt({ ...inState('paused'), nowMs: deadlineAtMs + 1 });
    const { fact } = await late.attemptDelivery({ ...task, deadlineAtMs, holds: 1 });
    expect(fact.next).toEqual({ kind: 'dead', reason: 'deadline_passed' });
  });

  test.each<[Subscription['state'], string]>([
    ['disabled', 'the sink fails'],
    ['retired', 'gone'],
    ['expired', 'validation_deadline'],
  ])('it ends when that is %s (%s), without a request', async (state, reason) => {
    const { posted, attemptDelivery } = attempt(inState(state, reason));
    const { fact } = await attemptDelivery(task);
    expect(fact.next).toEqual({ kind: 'dead', reason: 'subscription_disabled' });
    expect(posted).toEqual([]);
  });

  test('it is sent to a subscription that has got all it asked for: this is a part of that', async () => {
    const { posted, attemptDelivery } = attempt(inState('expired', 'max_events'));
    await attemptDelivery(task);
    expect(posted).toHaveLength(1);
  });

  test('it is sent with the headers that the subscriber set (SA-9)', async () => {
    const { spec } = subscription();
    const protocolsettings = { method: 'POST', headers: { 'X-Team': 'blue' } } as const;
    const { posted, attemptDelivery } = attempt({
      findSubscription: () =>
        Promise.resolve({
          ...subscription(),
          spec: { ...spec, protocol: 'HTTP', protocolsettings } as SubscriptionSpec,
        }),
    });
    await attemptDelivery(task);
    expect(posted[0]?.headers.get('X-Team')).toBe('blue');
  });
});
