import { describe, expect, test } from '@jest/globals';
import type { CloudEvent } from '#core/event/cloud-event';
import type { Exchange } from '#core/delivery/outcome';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { Subscription, SubscriptionSpec } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { makeAttemptDelivery, type AttemptPorts } from './attempt-delivery.ts';

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
  return {
    id: task.subscription,
    tenant: acme,
    spec: {
      sink: 'https://sink.example/hook',
      protocol: 'HTTP',
      filters: [],
      config: {
        contentMode: 'structured',
        signature: { profile: 'standard-webhooks' },
        retry: { ...DEFAULT_RETRY_POLICY, jitter: 0 },
        ...config,
      },
    },
    createdAtMs: 0,
    updatedAtMs: 0,
  };
}

const ok: Exchange = { kind: 'response', status: 204 };

function attempt(overrides: Partial<AttemptPorts> & { exchange?: Exchange; nowMs?: number } = {}) {
  const { exchange = ok, nowMs = ACCEPTED_AT, ...ports } = overrides;
  const posted: { url: string; headers: Map<string, string>; body: string }[] = [];
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
      childTraceparent: (parent) => `child of ${parent}`,
      now: () => nowMs,
      random: () => 0.5,
      ...ports,
    },
    { userAgent: 'Posthaste/test' },
  );
  return { posted, attemptDelivery };
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
