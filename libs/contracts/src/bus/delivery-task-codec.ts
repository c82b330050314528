import type { AttributeValue, CloudEvent, DataForm } from '#core/event/cloud-event';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { ContentMode } from '#core/registry/subscription';
import { INLINE_EVENT_MAX_BYTES, type DeadLetterNote, type DeliveryTask } from './delivery-task.ts';

/*
 * The bytes of a task:
 *
 *   ┌──────────────┬────────────────────────┬───────────────────────┐
 *   │ u32 big end. │ head: JSON, `n` bytes  │ data bytes, as they   │
 *   │ n            │ (ids, times, event     │ came in; absent when  │
 *   │              │ attributes)            │ by reference          │
 *   └──────────────┴────────────────────────┴───────────────────────┘
 *
 * The data is never parsed or escaped on its way through the bus, and one encoding serves DELIVERIES and RETRIES.
 * JetStream headers were the alternative: encoding and decoding 12 of them costs more than this JSON head.
 */

interface Head {
  readonly v: 1;
  readonly d: string;
  readonly t: string;
  readonly s: string;
  readonly q: number;
  readonly at: number;
  readonly until?: number;
  readonly n: number;
  readonly first: number;
  readonly due?: number;
  readonly h?: number;
  readonly tp?: string;
  readonly dl?: DeadLetterNote;
  readonly cm?: ContentMode;
  readonly cr?: number;
  /** Attributes of an inline event, in order. */
  readonly a?: readonly (readonly [string, AttributeValue])[];
  /** Form of the inline data; absent when the event has none. */
  readonly f?: DataForm;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

export function encodeDeliveryTask(task: DeliveryTask): Uint8Array {
  const event = task.event.kind === 'inline' ? task.event.value : undefined;
  const head: Head = {
    v: 1,
    d: task.delivery,
    t: task.tenant,
    s: task.subscription,
    q: task.eventSeq,
    at: task.acceptedAtMs,
    ...(task.deadlineAtMs === undefined ? {} : { until: task.deadlineAtMs }),
    n: task.attempt,
    first: task.firstAttempt,
    ...(task.dueAtMs === undefined ? {} : { due: task.dueAtMs }),
    ...(task.holds === undefined ? {} : { h: task.holds }),
    ...(task.traceparent === undefined ? {} : { tp: task.traceparent }),
    ...(task.deadLetter === undefined ? {} : { dl: task.deadLetter }),
    ...(task.contentModeFallback === undefined ? {} : { cm: task.contentModeFallback }),
    ...(task.credentialRefusedAtMs === undefined ? {} : { cr: task.credentialRefusedAtMs }),
    ...(event === undefined ? {} : { a: [...event.attributes] }),
    ...(event?.data === undefined ? {} : { f: event.data.form }),
  };
  return frame(encoder.encode(JSON.stringify(head)), event?.data?.bytes);
}

function frame(head: Uint8Array, data: Uint8Array | undefined): Uint8Array {
  const out = new Uint8Array(4 + head.length + (data?.length ?? 0));
  new DataView(out.buffer).setUint32(0, head.length);
  out.set(head, 4);
  if (data !== undefined) out.set(data, 4 + head.length);
  return out;
}

/** @throws UnreadableTask when the bytes are not a task: whoever reads it must set it aside, not crash. */
export function decodeDeliveryTask(bytes: Uint8Array): DeliveryTask {
  const { head, data } = unframe(bytes);
  return {
    delivery: head.d as DeliveryId,
    tenant: head.t as TenantId,
    subscription: head.s as SubscriptionId,
    eventSeq: head.q,
    acceptedAtMs: head.at,
    ...(head.until === undefined ? {} : { deadlineAtMs: head.until }),
    attempt: head.n,
    firstAttempt: head.first,
    ...(head.due === undefined ? {} : { dueAtMs: head.due }),
    ...(head.h === undefined ? {} : { holds: head.h }),
    ...(head.tp === undefined ? {} : { traceparent: head.tp }),
    ...(head.dl === undefined ? {} : { deadLetter: head.dl }),
    ...(head.cm === undefined ? {} : { contentModeFallback: head.cm }),
    ...(head.cr === undefined ? {} : { credentialRefusedAtMs: head.cr }),
    event: head.a === undefined ? { kind: 'reference' } : { kind: 'inline', value: inlineEvent(head.a, head.f, data) },
  };
}

function inlineEvent(
  attributes: readonly (readonly [string, AttributeValue])[],
  form: DataForm | undefined,
  bytes: Uint8Array,
): CloudEvent {
  return { attributes: new Map(attributes), ...(form === undefined ? {} : { data: { bytes, form } }) };
}

function unframe(bytes: Uint8Array): { head: Head; data: Uint8Array } {
  if (bytes.length < 4) throw new UnreadableTask('shorter than its length field');
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  if (bytes.length < 4 + length) throw new UnreadableTask('shorter than its head');
  const head = parseHead(bytes.subarray(4, 4 + length));
  if (!isHead(head)) throw new UnreadableTask('its head is of another version or lacks a member');
  return { head, data: bytes.subarray(4 + length) };
}

function parseHead(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new UnreadableTask('its head is not JSON', { cause: error });
  }
}

/** Enough to tell a task from anything else: who writes one, writes it with {@link encodeDeliveryTask}. */
function isHead(value: unknown): value is Head {
  const head = value as Partial<Record<keyof Head, unknown>> | null;
  return head?.v === 1 && typeof head.d === 'string' && typeof head.s === 'string' && typeof head.q === 'number';
}

export class UnreadableTask extends Error {
  readonly code = 'task.unreadable';

  constructor(why: string, options?: ErrorOptions) {
    super(`This is not a delivery task: ${why}.`, options);
  }
}

/** How a task carries its event: a small one travels with every delivery, a larger one is read from EVENTS. */
export function carriedEvent(event: CloudEvent): DeliveryTask['event'] {
  return travelsInline(event) ? { kind: 'inline', value: event } : { kind: 'reference' };
}

function travelsInline(event: CloudEvent): boolean {
  let size = event.data?.bytes.length ?? 0;
  for (const [name, value] of event.attributes) size += name.length + String(value).length;
  return size <= INLINE_EVENT_MAX_BYTES;
}
