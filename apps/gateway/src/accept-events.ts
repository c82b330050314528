import type { CloudEvent, EventViolation } from '#core/event/cloud-event';
import { attributeOf } from '#core/event/cloud-event';
import { eventSizeViolation } from '#core/event/event-size';
import { parseHttpRequest } from '#core/event/http-binding';
import { natsHeaderBytes, toNatsMessage } from '#core/event/nats-binding';
import { MAX_VIOLATIONS, toStructuredJson } from '#core/event/structured-json';
import { isTraceparent } from '#core/event/traceparent';
import type { TenantId } from '#core/ids';
import { isOperationalType, reservedType } from '#core/match/operational-event';
import type { DeduplicationIdOf } from '#platform/deduplication-id';

/** What the use case needs from outside. */
export interface AcceptPorts {
  /** Resolves when JetStream has stored the message. @throws BusUnavailable when it can not be reached */
  publish(
    subject: string,
    payload: Uint8Array,
    options: { msgId: string; headers: readonly (readonly [string, string])[] },
  ): Promise<{ seq: number; duplicate: boolean }>;
  eventSubject(tenant: TenantId, type: string): string;
  readonly deduplicationIdOf: DeduplicationIdOf;
}

export interface AcceptedEvent {
  readonly id: string;
  readonly source: string;
  /** True when an event with this source and id was accepted before, within the deduplication window (CE-2). */
  readonly duplicate: boolean;
}

export type Acceptance =
  | { readonly kind: 'accepted'; readonly events: readonly AcceptedEvent[] }
  | {
      readonly kind: 'invalid' | 'unsupported_media_type' | 'too_large';
      readonly violations: readonly EventViolation[];
    };

export interface PublishRequest {
  readonly tenant: TenantId;
  /** Raw headers in the order of arrival. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  /** W3C trace context of the request, carried beside the event, never inside it; left out when it is none. */
  readonly traceparent?: string;
}

/**
 * Accepts the event or events of one request: all of them or none (guarantee 1: answered only after JetStream has
 * acknowledged every one). A failure in the middle of a batch rejects the request; sending the same batch again is
 * harmless, because the part that was stored is recognised by its deduplication ids.
 *
 * The atomic publish of JetStream was rejected: one duplicate id refuses the whole batch there (measured).
 */
export function makeAcceptEvents(ports: AcceptPorts, { maxEventBytes }: { maxEventBytes: number }) {
  return async function acceptEvents(request: PublishRequest): Promise<Acceptance> {
    const parsed = parseHttpRequest(request.headers, request.body);
    if (!parsed.ok) return { kind: parsed.kind, violations: parsed.violations };
    const reserved = findReserved(parsed.events, parsed.mode);
    if (reserved.length > 0) return { kind: 'invalid', violations: reserved };
    const tooLarge = findTooLarge(parsed.events, maxEventBytes, parsed.mode === 'batch');
    if (tooLarge.length > 0) return { kind: 'too_large', violations: tooLarge };
    return { kind: 'accepted', events: await storeAll(parsed.events, request) };
  };

  /** In the order of the batch; after a failure no more are begun. */
  async function storeAll(events: readonly CloudEvent[], request: PublishRequest): Promise<readonly AcceptedEvent[]> {
    const accepted: AcceptedEvent[] = [];
    const left = events.entries();
    let hasFailed = false;
    async function storeOneByOne(): Promise<void> {
      for (const [index, event] of left) {
        if (hasFailed) return;
        accepted[index] = await store(event, request).catch((error: unknown) => {
          hasFailed = true;
          throw error;
        });
      }
    }
    await Promise.all(Array.from({ length: Math.min(events.length, STORED_AT_ONCE) }, storeOneByOne));
    return accepted;
  }

  async function store(event: CloudEvent, { tenant, traceparent }: PublishRequest): Promise<AcceptedEvent> {
    const id = attributeOf(event, 'id') ?? '';
    const source = attributeOf(event, 'source') ?? '';
    const type = attributeOf(event, 'type') ?? '';
    const { headers, payload } = toStoredMessage(event);
    const { duplicate } = await ports.publish(ports.eventSubject(tenant, type), payload, {
      msgId: ports.deduplicationIdOf(tenant, source, id),
      headers: isTraceparent(traceparent) ? [...headers, ['traceparent', traceparent]] : headers,
    });
    return { id, source, duplicate };
  }
}

/**
 * Of one request. A batch may hold a hundred thousand: all at once, what others publish would wait behind them, and the last
 * of them longer than an event may wait.
 */
const STORED_AT_ONCE = 256;

/** JetStream refuses a block of headers of 64 KiB (error 10097, measured); some of it is for the bus's own. */
const STORED_HEADERS_MAX_BYTES = 60_000;

/** Binary mode (NB-3); structured when the attributes do not fit into headers, which is read back just the same. */
function toStoredMessage(event: CloudEvent): ReturnType<typeof toNatsMessage> {
  const binary = toNatsMessage(event);
  if (natsHeaderBytes(binary.headers) <= STORED_HEADERS_MAX_BYTES) return binary;
  return { headers: [['content-type', 'application/cloudevents+json']], payload: toStructuredJson(event) };
}

const TYPE_POINTERS = {
  binary: () => 'ce-type',
  structured: () => '/type',
  batch: (index: number) => `/${index}/type`,
};

/** Only Posthaste itself publishes its operational events, and not through here. */
function findReserved(events: readonly CloudEvent[], mode: keyof typeof TYPE_POINTERS): EventViolation[] {
  const violations: EventViolation[] = [];
  for (const [index, event] of events.entries()) {
    const type = attributeOf(event, 'type') ?? '';
    if (isOperationalType(type)) violations.push({ ...reservedType(type), pointer: TYPE_POINTERS[mode](index) });
    if (violations.length === MAX_VIOLATIONS) break;
  }
  return violations;
}

function findTooLarge(events: readonly CloudEvent[], maxEventBytes: number, isBatch: boolean): EventViolation[] {
  return events
    .map((event, index) => eventSizeViolation(event, { maxEventBytes, pointer: isBatch ? `/${index}` : '' }))
    .filter((violation) => violation !== undefined);
}
