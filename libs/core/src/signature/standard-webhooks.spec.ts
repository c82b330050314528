import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseSecret } from './signing-secret.ts';
import { parseSignatureList, parseTimestamp, signatureHeaders, signedPrefix } from './standard-webhooks.ts';
import { UnsignableMessage } from './unsignable-message.ts';

interface Vector {
  readonly name: string;
  readonly secret: string;
  readonly id: string;
  readonly timestamp: number;
  readonly payload: string;
  readonly signedContent: string;
  readonly signature: string;
}

const vectors = JSON.parse(readFileSync('test/vectors/standard-webhooks.json', 'utf8')) as { symmetric: Vector[] };
const utf8 = new TextEncoder();

describe('the signed content', () => {
  test.each(vectors.symmetric)('signs as the official libraries do: $name (SW-2, SW-3)', (vector) => {
    const signable = { messageId: vector.id, timestampSeconds: vector.timestamp, body: utf8.encode(vector.payload) };
    expect(new TextDecoder().decode(signedContent(signable))).toBe(vector.signedContent);
    const secret = parseSecret(vector.secret);
    const key = secret.ok ? secret.key : new Uint8Array();
    const hmac = createHmac('sha256', key).update(signedContent(signable)).digest('base64');
    expect(signatureHeaders(signable, [hmac])).toEqual([
      ['webhook-id', vector.id],
      ['webhook-timestamp', String(vector.timestamp)],
      ['webhook-signature', vector.signature],
    ]);
  });

  test('is an id, a time and a point for an empty body (SW-10)', () => {
    const content = signedContent({ messageId: 'dlv_1', timestampSeconds: 7, body: new Uint8Array() });
    expect(new TextDecoder().decode(content)).toBe('dlv_1.7.');
  });

  test('differs when id, time or body differ (SW-2)', () => {
    const ids = fc.stringMatching(/^[a-z0-9_]{1,8}$/);
    const signables = fc.record({
      messageId: ids,
      timestampSeconds: fc.nat(),
      body: fc.uint8Array({ maxLength: 12 }),
    });
    fc.assert(
      fc.property(signables, signables, (a, b) => {
        const same = a.messageId === b.messageId && a.timestampSeconds === b.timestampSeconds;
        const sameBody = Buffer.compare(a.body, b.body) === 0;
        expect(Buffer.compare(signedContent(a), signedContent(b)) === 0).toBe(same && sameBody);
      }),
    );
  });

  test.each(['', 'a.b', 'a b', 'é'])('refuses the id "%s" (SW-2)', (messageId) => {
    expect(() => signedPrefix({ messageId, timestampSeconds: 1 })).toThrow(UnsignableMessage);
  });

  test.each([1.5, -1, NaN, Infinity])('refuses the timestamp %d (SW-1)', (timestampSeconds) => {
    expect(() => signedPrefix({ messageId: 'a', timestampSeconds })).toThrow(UnsignableMessage);
  });
});

describe('the signature list', () => {
  test('has one entry per key and is read back, other versions left out (SW-4)', () => {
    const [, , [, list] = []] = signatureHeaders({ messageId: 'a', timestampSeconds: 1 }, ['AAAA', 'BBBB']);
    expect(list).toBe('v1,AAAA v1,BBBB');
    expect(parseSignatureList(`v1a,CCCC ${list}`, 'v1a')).toEqual(['CCCC']);
    expect(parseSignatureList(`v1a,CCCC ${list} v2,DDDD `)).toEqual(['AAAA', 'BBBB']);
  });
});

describe('parseTimestamp', () => {
  test.each([
    ['1614265330', 1_614_265_330],
    ['0', 0],
    ['1.5', undefined],
    ['-1', undefined],
    ['1e9', undefined],
    [' 1', undefined],
    ['', undefined],
  ])('reads "%s" as %p (SW-1)', (value, expected) => {
    expect(parseTimestamp(value)).toBe(expected);
  });
});

/** What an HMAC is fed, in one piece (SW-2, SW-10). */
function signedContent({
  body,
  ...names
}: {
  messageId: string;
  timestampSeconds: number;
  body: Uint8Array;
}): Uint8Array {
  return Buffer.concat([Buffer.from(signedPrefix(names)), body]);
}
