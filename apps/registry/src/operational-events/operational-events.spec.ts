import { describe, expect, test } from '@jest/globals';
import type { CircuitChanged, DeadLetter } from '#contracts/bus/facts';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { parseNatsMessage, toNatsMessage } from '#core/event/nats-binding';
import type { SubscriptionId } from '#core/ids';
import { isOperationalType } from '#core/match/operational-event';
import type { Subscription, SubscriptionEvent } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { ACME, deliveryId, NOON, subscriptionId } from '#testkit/facts';
import { circuitEvent, deadEvent, isDeadDelivery } from './engine-events.ts';
import { lifeEvent } from './life-event.ts';
import { makeIsWatched } from './watchers.ts';

const id = subscriptionId(1);
const NOON_TEXT = '2026-11-22T12:00:00.000Z';
const told = { atMs: NOON, by: 'key_1' };
const sink = 'https://sink.example/hooks?code=hunter2#part';
const created: SubscriptionEvent = {
  kind: 'SubscriptionCreated',
  id,
  tenant: ACME,
  spec: aSpec({ sink }),
  sealedSecret: 'sealed:hunter2',
  ...told,
};

function dataOf(event: CloudEvent | undefined): unknown {
  return event?.data && JSON.parse(new TextDecoder().decode(event.data.bytes));
}

function nameOf(event: CloudEvent | undefined): unknown {
  return event && ['type', 'id', 'source', 'subject', 'time'].map((name) => attributeOf(event, name));
}

/** What is told of the last of these events, with others after it. */
function tell(...events: readonly SubscriptionEvent[]): CloudEvent | undefined {
  const later: SubscriptionEvent = { kind: 'SubscriptionDeleted', atMs: NOON + 60_000, by: 'admin' };
  const messages = [...events, later].map((event) => {
    const record: RegistryRecord = { aggregate: 'subscription', id, tenant: ACME, event };
    return new TextEncoder().encode(JSON.stringify(record));
  });
  const data = messages.at(-2) ?? new Uint8Array();
  return lifeEvent(messages, { data, seq: 4711 });
}

describe('a step in the life of a subscription', () => {
  test('is a CloudEvent about it, in which nothing is secret', () => {
    const event = tell(created);
    expect(nameOf(event)).toEqual([
      'io.posthaste.subscription.created',
      `${id}.created.4711`,
      `/v1/subscriptions/${id}`,
      id,
      NOON_TEXT,
    ]);
    expect(dataOf(event)).toEqual({
      subscription: id,
      sink: 'https://sink.example/hooks',
      state: 'active',
      by: 'key_1',
    });
  });

  test.each<[string, SubscriptionEvent, object]>([
    [
      'updated',
      { kind: 'SubscriptionReplaced', spec: aSpec({ sink: 'https://b.example/' }), ...told },
      { state: 'active', changed: 'specification', sink: 'https://b.example/' },
    ],
    [
      'updated',
      { kind: 'SecretRotated', sealedSecret: 'sealed:hunter2', graceUntilMs: NOON, ...told },
      { state: 'active', changed: 'secret' },
    ],
    ['paused', { kind: 'SubscriptionPaused', ...told }, { state: 'paused' }],
    [
      'paused',
      { kind: 'SubscriptionPaused', reason: 'r', cause: 'ordering_blocked', ...told },
      { state: 'paused', reason: 'r', cause: 'ordering_blocked' },
    ],
    ['resumed', { kind: 'SubscriptionResumed', ...told }, { state: 'active' }],
    [
      'disabled',
      { kind: 'SubscriptionDisabled', reason: 'r', cause: 'gone', ...told },
      { state: 'disabled', reason: 'r', cause: 'gone' },
    ],
    ['retired', { kind: 'SubscriptionRetired', reason: 'r', ...told }, { state: 'retired', reason: 'r' }],
    [
      'expired',
      { kind: 'SubscriptionExpired', reason: 'max_events', ...told },
      { state: 'expired', reason: 'max_events' },
    ],
    ['deleted', { kind: 'SubscriptionDeleted', ...told }, {}],
  ])('is told as %s', (step, event, data) => {
    const one = tell(created, event);
    expect(one && attributeOf(one, 'type')).toBe(`io.posthaste.subscription.${step}`);
    expect(dataOf(one)).toEqual({ subscription: id, sink: 'https://sink.example/hooks', by: 'key_1', ...data });
  });

  test('says what the sink answered when no consent came (WH-16)', () => {
    const policy = { mode: 'required', method: 'webhook', deadlineSeconds: 60, callback: 'never' } as const;
    const event = tell(
      { ...created, spec: aSpec({ config: { validation: policy } }) },
      { kind: 'ValidationRequested', codeHash: 'c', deadlineAtMs: NOON, ...told },
      { kind: 'ValidationRecorded', result: 'pending', via: 'options', detail: 'The sink answered 405.', ...told },
      { kind: 'SubscriptionExpired', reason: 'validation_deadline', ...told },
    );
    expect(dataOf(event)).toMatchObject({ reason: 'validation_deadline', detail: 'The sink answered 405.' });
  });

  test.each<SubscriptionEvent>([
    { kind: 'ValidationRequested', codeHash: 'c', deadlineAtMs: NOON, ...told },
    { kind: 'SecretsResealed', sealedSecret: 's', ...told },
  ])('is not $kind', (event) => {
    expect(tell(created, event)).toBeUndefined();
  });
});

describe('what delivery tells', () => {
  const subscription = aSubscription({ id, spec: aSpec({ sink }) });
  const opened: CircuitChanged = {
    kind: 'circuit',
    tenant: ACME,
    subscription: id,
    change: 'opened',
    sinceMs: NOON - 1000,
    cause: 'failures',
    failingSinceMs: NOON - 2000,
    lastStatus: 503,
    atMs: NOON,
  };
  const letter: DeadLetter = {
    kind: 'delivery',
    tenant: ACME,
    delivery: deliveryId(1),
    subscription: id,
    eventSeq: 7,
    acceptedAtMs: NOON - 5000,
    source: '/orders',
    id: 'event-1',
    type: 'com.example.order.placed',
    reason: 'attempts_exhausted',
    attempts: 3,
    lastError: 'timeout',
    atMs: NOON,
  };

  test('a circuit that opened, with since when and why', () => {
    const event = circuitEvent(opened, subscription);
    expect(nameOf(event)).toEqual([
      'io.posthaste.circuit.opened',
      `${id}.circuit-opened.${NOON - 1000}`,
      `/v1/subscriptions/${id}`,
      id,
      NOON_TEXT,
    ]);
    expect(dataOf(event)).toEqual({
      subscription: id,
      sink: 'https://sink.example/hooks',
      since: '2026-11-22T11:59:59.000Z',
      cause: 'failures',
      failingSince: '2026-11-22T11:59:58.000Z',
      lastStatus: 503,
    });
  });

  test('a circuit that is closed again, of a subscription that is gone by now, too', () => {
    const { cause: _cause, failingSinceMs: _since, lastStatus: _status, ...rest } = opened;
    const event = circuitEvent({ ...rest, change: 'closed' }, undefined);
    expect(attributeOf(event, 'type')).toBe('io.posthaste.circuit.closed');
    expect(dataOf(event)).toEqual({ subscription: id, since: '2026-11-22T11:59:59.000Z' });
  });

  test('a delivery that was given up, with the name of its event and not its data', () => {
    const event = deadEvent(letter, subscription);
    expect(nameOf(event)).toEqual([
      'io.posthaste.delivery.dead',
      `${deliveryId(1)}.dead.7-3`,
      `/v1/subscriptions/${id}`,
      id,
      NOON_TEXT,
    ]);
    expect(dataOf(event)).toEqual({
      subscription: id,
      sink: 'https://sink.example/hooks',
      delivery: deliveryId(1),
      reason: 'attempts_exhausted',
      attempts: 3,
      lastError: 'timeout',
      event: { source: '/orders', id: 'event-1', type: 'com.example.order.placed' },
      acceptedAt: '2026-11-22T11:59:55.000Z',
    });
  });

  test('nothing about a delivery of an operational event, so that it ends', () => {
    const about = (event: CloudEvent): DeadLetter => ({ ...letter, type: attributeOf(event, 'type') ?? '' });
    expect(isDeadDelivery(letter)).toBe(true);
    expect(isDeadDelivery(about(deadEvent(letter, subscription)))).toBe(false);
    expect(isDeadDelivery(about(circuitEvent(opened, subscription)))).toBe(false);
  });

  test.each([
    ['life', tell(created)],
    ['circuit', circuitEvent(opened, subscription)],
    ['dead', deadEvent(letter, subscription)],
  ])('%s: an event that every reader takes, of a reserved type', (_what, event) => {
    if (event === undefined) throw new Error('nothing is told');
    const { headers, payload } = toNatsMessage(event);
    const parsed = parseNatsMessage(headers, payload);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
    expect(parsed.event).toEqual(event);
    expect(isOperationalType(attributeOf(event, 'type') ?? '')).toBe(true);
  });
});

describe('a tenant', () => {
  const watching = aSubscription({ spec: aSpec({ types: ['io.posthaste.delivery.dead'] }) });
  const other = aSubscription({ id: subscriptionId(2), spec: aSpec() });

  test('is watched while one of its subscriptions asks, and is matched', () => {
    let change: (id: SubscriptionId, now: Subscription | undefined) => void = () => undefined;
    const isWatched = makeIsWatched({
      subscriptions: () => [other],
      onSubscriptionChange: (listener) => {
        change = listener;
      },
    });
    const after = (now: Subscription | undefined): boolean => {
      change(watching.id, now);
      return isWatched(ACME);
    };
    expect(isWatched(ACME)).toBe(false);
    expect(after({ ...watching, tenant: 'other' as typeof ACME })).toBe(false);
    expect(after(watching)).toBe(true);
    expect(after({ ...watching, state: 'disabled' })).toBe(false);
    expect(after(watching)).toBe(true);
    expect(after(undefined)).toBe(false);
  });
});
