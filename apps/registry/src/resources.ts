import type {
  AttemptResource,
  DeadLetterResource,
  DeliveryResource,
  DeliveryWithAttemptsResource,
  EventNameResource,
  EventResource,
  PageResource,
} from '#contracts/http/lookup-resources';
import type { AttemptRecord, DeliveryRecord, DeliveryWithAttempts } from '#store/delivery-record';
import type { EventRecord } from '#store/find-event';
import type { DeadLetterRecord } from '#store/list-dead-letters';
import type { Page } from '#store/page';

// Rows of the read side → what the API shows: no tenant (the caller knows its own), no sequences of the bus, instants as RFC 3339.

export function pageToResource<Entry, Resource>(
  page: Page<Entry>,
  toResource: (entry: Entry) => Resource,
): PageResource<Resource> {
  return { data: page.data.map((entry) => toResource(entry)), ...(page.next === undefined ? {} : { next: page.next }) };
}

export function eventToResource(event: EventRecord): EventResource {
  const { id, source, type, dataBytes, dataContentType, matchCount } = event;
  return {
    id,
    source,
    type,
    acceptedAt: instant(event.acceptedAtMs),
    ...(event.attributes === undefined ? {} : { attributes: Object.fromEntries(event.attributes) }),
    ...(dataBytes === undefined ? {} : { dataBytes }),
    ...(dataContentType === undefined ? {} : { dataContentType }),
    ...(matchCount === undefined ? {} : { matchCount }),
  };
}

export function deliveryToResource(delivery: DeliveryRecord): DeliveryResource {
  const { id, subscription, state, attemptCount, lastStatus, lastOutcome, lastError, reason } = delivery;
  return {
    id,
    subscription,
    event: eventNameOf(delivery.event),
    state,
    acceptedAt: instant(delivery.acceptedAtMs),
    attemptCount,
    ...(lastStatus === undefined ? {} : { lastStatus }),
    ...(lastOutcome === undefined ? {} : { lastOutcome }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(delivery.nextAttemptAtMs === undefined ? {} : { nextAttemptAt: instant(delivery.nextAttemptAtMs) }),
    ...(reason === undefined ? {} : { reason }),
    createdAt: instant(delivery.createdAtMs),
    updatedAt: instant(delivery.updatedAtMs),
  };
}

export function deliveryWithAttemptsToResource(delivery: DeliveryWithAttempts): DeliveryWithAttemptsResource {
  return { ...deliveryToResource(delivery), attempts: delivery.attempts.map(attemptToResource) };
}

function attemptToResource({ atMs, next, ...attempt }: AttemptRecord): AttemptResource {
  return {
    ...attempt,
    at: instant(atMs),
    next: next.kind === 'retry' ? { kind: 'retry', at: instant(next.atMs) } : next,
  };
}

export function deadLetterToResource(letter: DeadLetterRecord): DeadLetterResource {
  const shared = { id: letter.id, at: instant(letter.atMs), acceptedAt: instant(letter.acceptedAtMs) };
  if (letter.kind === 'rejected') {
    const { kind, subject, violations, event } = letter;
    return { kind, ...shared, subject, seq: event.seq, violations };
  }
  const { kind, delivery, subscription, event, reason, attemptCount, lastStatus, lastError } = letter;
  return {
    kind,
    ...shared,
    delivery,
    subscription,
    event: eventNameOf(event),
    reason,
    attemptCount,
    ...(lastStatus === undefined ? {} : { lastStatus }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

function eventNameOf({ seq: _seq, ...name }: DeliveryRecord['event']): EventNameResource {
  return name;
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
