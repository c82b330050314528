import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CloudEvent } from '#core/event/cloud-event';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { DeliveryTask } from './delivery-task.ts';
import { INLINE_EVENT_MAX_BYTES } from './delivery-task.ts';
import { carriedEvent, decodeDeliveryTask, encodeDeliveryTask, UnreadableTask } from './delivery-task-codec.ts';

const attributeValue = fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer(), fc.boolean());
const events: fc.Arbitrary<CloudEvent> = fc.record(
  {
    attributes: fc
      .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z0-9]{1,10}$/), attributeValue), { selector: ([name]) => name })
      .map((pairs) => new Map(pairs)),
    data: fc.record({ bytes: fc.uint8Array(), form: fc.constantFrom('json', 'text', 'bytes') }),
  },
  { requiredKeys: ['attributes'] },
);
const tasks: fc.Arbitrary<DeliveryTask> = fc.record(
  {
    delivery: fc.string().map((id) => id as DeliveryId),
    tenant: fc.string().map((id) => id as TenantId),
    subscription: fc.string().map((id) => id as SubscriptionId),
    eventSeq: fc.nat(),
    acceptedAtMs: fc.nat(),
    deadlineAtMs: fc.nat(),
    attempt: fc.nat(),
    firstAttempt: fc.nat(),
    dueAtMs: fc.nat(),
    holds: fc.nat(),
    traceparent: fc.string(),
    deadLetter: fc.record(
      { reason: fc.constantFrom('gone' as const, 'deadline_passed' as const), attempts: fc.nat(), status: fc.nat() },
      { requiredKeys: ['reason', 'attempts'] },
    ),
    contentModeFallback: fc.constantFrom('structured' as const, 'binary' as const),
    credentialRefusedAtMs: fc.nat(),
    event: fc.oneof(
      fc.constant({ kind: 'reference' as const }),
      events.map((value) => ({ kind: 'inline' as const, value })),
    ),
  },
  {
    requiredKeys: [
      'delivery',
      'tenant',
      'subscription',
      'eventSeq',
      'acceptedAtMs',
      'attempt',
      'firstAttempt',
      'event',
    ],
  },
);

describe('the delivery task on the bus', () => {
  test('it decodes to what was encoded, data bytes and attribute order included', () => {
    fc.assert(
      fc.property(tasks, (task) => {
        expect(comparable(decodeDeliveryTask(encodeDeliveryTask(task)))).toEqual(comparable(task));
      }),
    );
  });

  test('it is refused as unreadable, whatever the bytes, never with another error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(() => decodeDeliveryTask(bytes)).toThrow(UnreadableTask);
      }),
    );
  });

  test('it carries an event by value up to the limit and not beyond', () => {
    const ofSize = (bytes: number): CloudEvent => ({
      attributes: new Map(),
      data: { bytes: new Uint8Array(bytes), form: 'bytes' },
    });
    const largest = ofSize(INLINE_EVENT_MAX_BYTES);
    expect(carriedEvent(largest)).toEqual({ kind: 'inline', value: largest });
    expect(carriedEvent(ofSize(INLINE_EVENT_MAX_BYTES + 1))).toEqual({ kind: 'reference' });
  });
});

/** Maps and byte views as plain values: order of attributes matters, the kind of view does not. */
function comparable(task: DeliveryTask): unknown {
  if (task.event.kind === 'reference') return task;
  const { attributes, data } = task.event.value;
  return {
    ...task,
    event: { attributes: [...attributes], data: data && { form: data.form, bytes: [...data.bytes] } },
  };
}
