import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SubscriptionId, TenantId } from '#core/ids';
import {
  decodeSignReplies,
  decodeSignRequests,
  encodeSignReplies,
  encodeSignRequests,
  MalformedSignMessage,
  SIGN_BATCH_HEAD_BYTES,
  signRequestBytes,
  type SignReply,
  type SignRequest,
} from './sign.ts';

const asciiId = fc.stringMatching(/^[a-z0-9_]{0,40}$/);
const ascii = fc.string({ unit: 'grapheme-ascii' });
const requests: fc.Arbitrary<SignRequest[]> = fc.array(
  fc.record(
    {
      subscription: asciiId.map((id) => id as SubscriptionId),
      tenant: asciiId.map((id) => id as TenantId),
      messageId: asciiId,
      timestampSeconds: fc.nat(),
      body: fc.uint8Array(),
      authorization: fc.record({ sink: ascii, refusedAtMs: fc.nat() }, { requiredKeys: ['sink'] }),
      head: fc.record({ method: ascii, url: ascii, headers: fc.array(fc.tuple(ascii, ascii)) }),
    },
    { requiredKeys: ['subscription', 'tenant', 'messageId', 'timestampSeconds', 'body'] },
  ),
);
const replies: fc.Arbitrary<SignReply[]> = fc.array(
  fc.oneof(
    fc.record({ ok: fc.constant(true as const), headers: fc.array(fc.tuple(fc.string(), fc.string())) }),
    fc.record(
      {
        ok: fc.constant(false as const),
        reason: fc.constantFrom('unknown_subscription', 'credential_expired'),
        detail: fc.string({ minLength: 1 }),
      },
      { requiredKeys: ['ok', 'reason'] },
    ),
  ),
);

describe('the sign wire', () => {
  test('reads back the requests that it wrote, and knows their size before', () => {
    fc.assert(
      fc.property(requests, (batch) => {
        const bytes = encodeSignRequests(batch);
        expect(decodeSignRequests(bytes)).toEqual(batch);
        expect(bytes.length).toBe(batch.reduce((sum, one) => sum + signRequestBytes(one), SIGN_BATCH_HEAD_BYTES));
      }),
    );
  });

  test('reads back the replies that it wrote', () => {
    fc.assert(
      fc.property(replies, (batch) => {
        expect(decodeSignReplies(encodeSignReplies(batch))).toEqual(batch);
      }),
    );
  });

  test('reads back replies of any length: the writer grows at every kind of value', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 700 }), { minLength: 1, maxLength: 20 }), (lengths) => {
        const headers = lengths.map((length) => ['a'.repeat(length), ''] as const);
        const batch: SignReply[] = [
          { ok: true, headers },
          { ok: false, reason: 'no_key' },
        ];
        expect(decodeSignReplies(encodeSignReplies(batch))).toEqual(batch);
      }),
    );
  });

  test('reads a message that stands in the middle of a larger buffer', () => {
    const batch: SignRequest[] = [
      {
        subscription: 's' as SubscriptionId,
        tenant: 't' as TenantId,
        messageId: 'm',
        timestampSeconds: 1,
        body: Uint8Array.of(1, 2),
      },
    ];
    const bytes = encodeSignRequests(batch);
    const shifted = Buffer.concat([Buffer.alloc(3), bytes, Buffer.alloc(3)]).subarray(3, 3 + bytes.length);
    expect(decodeSignRequests(shifted)).toEqual([{ ...batch[0], body: Buffer.from([1, 2]) }]);
  });

  test('refuses every truncation and every appendix', () => {
    fc.assert(
      fc.property(requests, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (batch, share) => {
        const bytes = encodeSignRequests(batch);
        expect(() => decodeSignRequests(bytes.subarray(0, Math.floor(bytes.length * share)))).toThrow(
          MalformedSignMessage,
        );
        expect(() => decodeSignRequests(Uint8Array.of(...bytes, 0))).toThrow(MalformedSignMessage);
      }),
    );
  });

  test('answers noise with one kind of error and little memory', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (noise) => {
        try {
          decodeSignRequests(Uint8Array.of(2, ...noise));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedSignMessage);
        }
      }),
    );
    expect(() => decodeSignReplies(Uint8Array.of(2, 255, 255, 255, 255))).toThrow(MalformedSignMessage);
    expect(() => decodeSignReplies(Uint8Array.of(1, 0, 0, 0, 0))).toThrow('version');
  });
});
