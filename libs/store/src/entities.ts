import { defineEntity, p, type InferEntity } from '@mikro-orm/postgresql';
import type { DeadReason, ExchangeError, Outcome } from '#core/delivery/outcome';
import type { ApiKeyScope } from '#core/registry/api-key';
import type { StoredSpec } from '#core/registry/subscription';
import type { AttributeValue } from '#core/event/cloud-event';

/** `pending`: waits for its first attempt (or the first of a new round); `retrying`: waits for a later one. */
export const DELIVERY_STATES = ['pending', 'retrying', 'delivered', 'dead'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** What an event and what a filter said; in the order of arrival, values exact. */
export type StoredAttributes = readonly (readonly [name: string, value: AttributeValue])[];
export type StoredViolation = { readonly rule: string; readonly pointer: string; readonly detail: string };

// Tables are made by the migrations (they are partitioned, which no schema generator knows); these map their rows.

/** An accepted event without its data: that stays, once, in EVENTS. */
export const EventEntity = defineEntity({
  name: 'Event',
  tableName: 'events',
  properties: {
    acceptedAt: p.datetime().primary(),
    /** Sequence in EVENTS. */
    seq: p.bigint('number').primary(),
    tenant: p.text(),
    source: p.text(),
    id: p.text(),
    type: p.text(),
    /** Null while only the matcher has told of the event. */
    attributes: p.json<StoredAttributes>().columnType('json').nullable(),
    dataBytes: p.integer().nullable(),
    dataContentType: p.text().nullable(),
    /** Null until the matcher has looked at the event. */
    matchCount: p.integer().nullable(),
  },
});

export const DeliveryEntity = defineEntity({
  name: 'Delivery',
  tableName: 'deliveries',
  properties: {
    id: p.text().primary(),
    acceptedAt: p.datetime().primary(),
    tenant: p.text(),
    subscription: p.text(),
    eventSeq: p.bigint('number'),
    source: p.text().nullable(),
    eventId: p.text().nullable(),
    type: p.text().nullable(),
    state: p.text().$type<DeliveryState>(),
    nextAttemptAt: p.datetime().nullable(),
    reason: p.text().$type<DeadReason>().nullable(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
  },
});

export const AttemptEntity = defineEntity({
  name: 'Attempt',
  tableName: 'attempts',
  properties: {
    acceptedAt: p.datetime().primary(),
    delivery: p.text().primary(),
    number: p.integer().primary(),
    tenant: p.text(),
    at: p.datetime(),
    durationMs: p.integer(),
    /** Null when the delivery ended without a request. */
    outcome: p.text().$type<Outcome>().nullable(),
    status: p.integer().nullable(),
    error: p.text().$type<ExchangeError>().nullable(),
    message: p.text().nullable(),
    responseBody: p.text().nullable(),
    responseTruncated: p.boolean().nullable(),
    next: p.text().$type<'delivered' | 'retry' | 'dead'>(),
    nextAttemptAt: p.datetime().nullable(),
    reason: p.text().$type<DeadReason>().nullable(),
  },
});

export const DeadLetterEntity = defineEntity({
  name: 'DeadLetter',
  tableName: 'dead_letters',
  properties: {
    acceptedAt: p.datetime().primary(),
    id: p.text().primary(),
    kind: p.text().$type<'delivery' | 'rejected'>(),
    tenant: p.text(),
    at: p.datetime(),
    eventSeq: p.bigint('number'),
    delivery: p.text().nullable(),
    subscription: p.text().nullable(),
    source: p.text().nullable(),
    eventId: p.text().nullable(),
    type: p.text().nullable(),
    reason: p.text().$type<DeadReason>().nullable(),
    attempts: p.integer().nullable(),
    lastStatus: p.integer().nullable(),
    lastError: p.text().$type<ExchangeError>().nullable(),
    subject: p.text().nullable(),
    violations: p.json<readonly StoredViolation[]>().columnType('json').nullable(),
  },
});

export const TenantEntity = defineEntity({
  name: 'Tenant',
  tableName: 'tenants',
  properties: {
    id: p.text().primary(),
    name: p.text(),
    createdAt: p.datetime().nullable(),
    updatedAt: p.datetime(),
  },
});

export const SubscriptionEntity = defineEntity({
  name: 'Subscription',
  tableName: 'subscriptions',
  properties: {
    id: p.text().primary(),
    tenant: p.text(),
    spec: p.json<StoredSpec>().columnType('json').nullable(),
    /** Null while its creation has not been projected: records may arrive in any order. */
    createdAt: p.datetime().nullable(),
    updatedAt: p.datetime(),
    deletedAt: p.datetime().nullable(),
  },
});

export const ApiKeyEntity = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.text().primary(),
    tenant: p.text(),
    name: p.text().nullable(),
    scopes: p.json<readonly ApiKeyScope[]>().columnType('json').nullable(),
    createdAt: p.datetime().nullable(),
    revokedAt: p.datetime().nullable(),
  },
});

export type EventEntityRow = InferEntity<typeof EventEntity>;
export type DeliveryEntityRow = InferEntity<typeof DeliveryEntity>;
export type AttemptEntityRow = InferEntity<typeof AttemptEntity>;
export type DeadLetterEntityRow = InferEntity<typeof DeadLetterEntity>;

export const ENTITIES = [
  EventEntity,
  DeliveryEntity,
  AttemptEntity,
  DeadLetterEntity,
  TenantEntity,
  SubscriptionEntity,
  ApiKeyEntity,
];
