import { describe, expect, test } from '@jest/globals';
import type { Delivered } from '#bus/delivered';
import { anAttempt } from '#testkit/facts';
import { readFact } from './read-messages.ts';

function messageOf(value: unknown): Delivered {
  return {
    subject: 'journal.acme.any',
    seq: 7,
    timestampMs: 0,
    data: Buffer.from(JSON.stringify(value)),
    headers: undefined,
    deliveryCount: 1,
    ack: () => undefined,
    nak: () => undefined,
    working: () => undefined,
  };
}

describe('a fact on JOURNAL', () => {
  test('about a delivery becomes rows', () => {
    const fact = anAttempt();
    expect(readFact(messageOf(fact))).toEqual({ seq: 7, fact });
  });

  test.each(['circuit', 'verdict'])(
    'of kind %s is about a subscription: there are no rows of it, and it is no fault',
    (kind) => {
      expect(readFact(messageOf({ kind, tenant: 'acme', subscription: 'sub_1' }))).toBeUndefined();
    },
  );
});
