import type { Delivered } from '#bus/delivered';
import { headerPairs } from '#bus/header-pairs';
import type { DeadLetter, Fact, SubscriptionFact } from '#contracts/bus/facts';
import { attributeOf } from '#core/event/cloud-event';
import { parseNatsMessage } from '#core/event/nats-binding';
import { isTenantId } from '#core/ids';
import type { SequencedFact } from '#store/fold-facts';
import type { SequencedDeadLetter } from '#store/write-dead-letters';
import type { AcceptedEvent } from '#store/write-events';

/**
 * A message of EVENTS. What is no valid event is left out: the matcher makes a rejected entry of it, with the reasons.
 *
 * @param tenantOf the tenant token of a subject
 */
export function readEvent(
  message: Delivered,
  tenantOf: (subject: string) => string | undefined,
): AcceptedEvent | undefined {
  const tenant = tenantOf(message.subject);
  const parsed = parseNatsMessage(headerPairs(message.headers), message.data);
  if (tenant === undefined || !isTenantId(tenant) || !parsed.ok) return undefined;
  const { event } = parsed;
  const dataContentType = attributeOf(event, 'datacontenttype');
  return {
    seq: message.seq,
    acceptedAtMs: message.timestampMs,
    tenant,
    source: attributeOf(event, 'source') ?? '',
    id: attributeOf(event, 'id') ?? '',
    type: attributeOf(event, 'type') ?? '',
    attributes: event.attributes,
    ...(event.data === undefined ? {} : { dataBytes: event.data.bytes.length }),
    ...(dataContentType === undefined ? {} : { dataContentType }),
  };
}

/** The readers below throw SyntaxError for what is not JSON; whether it has the right members, the writers find out. */
export function readFact(message: Delivered): SequencedFact | undefined {
  const fact = readJson(message) as Fact | SubscriptionFact;
  return fact.kind === 'circuit' || fact.kind === 'verdict' ? undefined : { seq: message.seq, fact };
}

export function readDeadLetter(message: Delivered): SequencedDeadLetter {
  return { seq: message.seq, letter: readJson(message) as DeadLetter };
}

function readJson({ data }: Delivered): object {
  const value: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString());
  if (typeof value !== 'object' || value === null) throw new SyntaxError('the message is not a JSON object');
  return value;
}
