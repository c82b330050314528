import { createHmac } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import Stripe from 'stripe';
import { parseHmacTimestamp, prepareHmacTimestamp } from './hmac-timestamp.ts';
import { UnsignableMessage } from './unsignable-message.ts';

const NOW = Math.floor(Date.now() / 1000);

function headersFor(body: Uint8Array, secrets: readonly string[]) {
  const unsigned = prepareHmacTimestamp({ messageId: 'dlv_1', timestampSeconds: NOW, body });
  const hmacs = secrets.map((secret) => {
    const hmac = createHmac('sha256', secret);
    for (const piece of unsigned.pieces) hmac.update(piece);
    return hmac.digest(unsigned.encoding);
  });
  return Object.fromEntries(unsigned.headersWith(hmacs));
}

describe('hmac-timestamp', () => {
  test('is verified by the package of a payment service, with the text of the secret as it is (SW-4)', () => {
    const secrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'whsec_other'];
    fc.assert(
      fc.property(fc.json(), (payload) => {
        const { 'x-webhook-signature': header = '' } = headersFor(Buffer.from(payload), secrets);
        for (const secret of secrets) {
          expect(Stripe.webhooks.signature?.verifyHeader(payload, header, secret)).toBe(true);
          expect(() => Stripe.webhooks.signature?.verifyHeader(`${payload} `, header, secret)).toThrow('signature');
        }
      }),
      { numRuns: 50 },
    );
  });

  test('names its headers as it is told', () => {
    const message = { messageId: 'dlv_1', timestampSeconds: 7, body: new Uint8Array() };
    expect(prepareHmacTimestamp(message, { signature: 'x-acme', id: 'x-acme-id' }).headersWith(['ab', 'cd'])).toEqual([
      ['x-acme-id', 'dlv_1'],
      ['x-acme', 't=7,v1=ab,v1=cd'],
    ]);
    expect(() => prepareHmacTimestamp({ ...message, timestampSeconds: 1.5 })).toThrow(UnsignableMessage);
  });

  test('reads back what it wrote, other versions left out', () => {
    const { 'x-webhook-signature': header = '' } = headersFor(new Uint8Array(), ['a', 'b']);
    expect(parseHmacTimestamp(`${header},v0=00`)).toMatchObject({ timestampSeconds: NOW });
    expect(parseHmacTimestamp(header)?.signatures).toHaveLength(2);
  });

  test.each([
    '',
    't=1',
    `v1=${'0'.repeat(64)}`,
    `t=1,t=2,v1=${'0'.repeat(64)}`,
    `t=x,v1=${'0'.repeat(64)}`,
    't=1,v1=00',
    't=1,v1',
  ])('does not read "%s"', (value) => {
    expect(parseHmacTimestamp(value)).toBeUndefined();
  });
});
