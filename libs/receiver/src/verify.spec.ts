import { describe, expect, test } from '@jest/globals';
import { attributeOf } from '#core/event/cloud-event';
import { formatSecret } from '#core/signature/signing-secret';
import { sign } from './sign.ts';
import { verify } from './verify.ts';

const secret = formatSecret(new Uint8Array(32).fill(5));
const NOW = 1_700_000_000;
const options = { secrets: [secret], nowSeconds: NOW };

function aNotification(headers: Record<string, string>, text: string) {
  const body = new TextEncoder().encode(text);
  const signed = sign({ messageId: 'dlv_1', timestampSeconds: NOW, body }, [secret]);
  return { headers: { ...headers, ...Object.fromEntries(signed) }, body };
}

describe('verify', () => {
  test('reads a structured event with its exact data', () => {
    const json =
      '{"specversion":"1.0","id":"e1","source":"/s","type":"a.b","data":{"n":12345678901234567890,"m":1.10}}';
    const verified = verify(aNotification({ 'Content-Type': 'application/cloudevents+json' }, json), options);
    if (!verified.ok) throw new Error(verified.detail);
    expect(verified).toMatchObject({ messageId: 'dlv_1', timestampSeconds: NOW });
    expect(attributeOf(verified.event, 'type')).toBe('a.b');
    expect(new TextDecoder().decode(verified.event.data?.bytes)).toBe('{"n":12345678901234567890,"m":1.10}');
  });

  test('reads a binary event', () => {
    const attributes = { 'ce-specversion': '1.0', 'ce-id': 'e1', 'ce-source': '/s', 'ce-type': 'a.b' };
    const verified = verify(aNotification({ ...attributes, 'content-type': 'text/plain' }, 'hello'), options);
    if (!verified.ok) throw new Error(verified.detail);
    expect(attributeOf(verified.event, 'source')).toBe('/s');
    expect(new TextDecoder().decode(verified.event.data?.bytes)).toBe('hello');
  });

  test('trusts nothing whose signature does not fit, before it reads anything', () => {
    const { headers } = aNotification({ 'content-type': 'application/cloudevents+json' }, '{}');
    const altered = { headers, body: new TextEncoder().encode('[') };
    expect(verify(altered, options)).toMatchObject({ ok: false, code: 'signature_mismatch' });
  });

  test('tells a bad signature from a good one around something that is not an event', () => {
    const notAnEvent = verify(aNotification({ 'content-type': 'application/cloudevents+json' }, '{"id":1}'), options);
    expect(notAnEvent).toMatchObject({ ok: false, code: 'not_a_cloudevent' });
    expect(notAnEvent.ok ? [] : 'violations' in notAnEvent && notAnEvent.violations).not.toHaveLength(0);
    expect(verify(aNotification({ 'content-type': 'text/html' }, '<p>'), options)).toMatchObject({
      code: 'not_a_cloudevent',
    });
  });
});
