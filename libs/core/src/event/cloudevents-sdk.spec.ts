import { Buffer } from 'node:buffer';
import { describe, expect, test } from '@jest/globals';
import { CloudEvent as SdkEvent, HTTP, type CloudEventV1 } from 'cloudevents';
import { anEvent, CONTACT } from '#testkit/an-event';
import { attributeOf, type CloudEvent } from './cloud-event.ts';
import { parseHttpRequest, toHttpNotification, type HttpNotification } from './http-binding.ts';

// Only where the SDK is right: it knows neither percent-coding nor `; charset=UTF-8`, and rewrites time.
const SDK_STRUCTURED = 'application/cloudevents+json';

describe('interoperation with the cloudevents SDK', () => {
  test.each([
    ['JSON', anEvent({ subject: 'tests', count: 5, final: true }), CONTACT],
    ['text', anEvent({ datacontenttype: 'text/plain', dataText: 'Hello, 🌎!' }), 'Hello, 🌎!'],
    ['no data', anEvent({ data: undefined }), undefined],
  ])('lets the SDK read our structured event with %s (HB-5)', (_what, event, data) => {
    const received = readBySdk({ ...toHttpNotification(event, 'structured'), contentType: SDK_STRUCTURED });
    expect(received).toMatchObject({ ...essentials(event), ...(data === undefined ? {} : { data }) });
  });

  test('lets the SDK read our structured event with binary data (JF-4)', () => {
    const event = anEvent({ datacontenttype: 'image/png', dataBytes: Uint8Array.of(0, 255, 7) });
    const received = readBySdk({ ...toHttpNotification(event, 'structured'), contentType: SDK_STRUCTURED });
    expect(received.data_base64).toBe('AP8H');
  });

  test.each([
    ['JSON', anEvent({ subject: 'tests', ext: 'x' }), CONTACT],
    ['text', anEvent({ datacontenttype: 'text/plain', dataText: 'Hello!' }), 'Hello!'],
  ])('lets the SDK read our binary event with %s (HB-3)', (_what, event, data) => {
    expect(readBySdk(toHttpNotification(event, 'binary'))).toMatchObject({ ...essentials(event), data });
  });

  test.each(['structured', 'binary'] as const)('reads what the SDK writes in %s mode (HB-3, HB-5)', (mode) => {
    const sent = new SdkEvent({ source: '/sdk', type: 'com.example.sdk', subject: 'tests', ext: 'x', data: CONTACT });
    const { headers, body } = HTTP[mode](sent);
    const pairs = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
    const received = parseHttpRequest(pairs, Buffer.from(String(body)));
    expect(received).toMatchObject({ ok: true, mode });
    const [event] = received.ok ? received.events : [];
    expect(event && essentials(event)).toEqual({
      id: sent.id,
      source: '/sdk',
      type: 'com.example.sdk',
      subject: 'tests',
      ext: 'x',
    });
    expect(JSON.parse(Buffer.from(event?.data?.bytes ?? []).toString())).toEqual(CONTACT);
  });
});

function readBySdk({ contentType, headers, body }: HttpNotification): CloudEventV1<unknown> {
  const received = HTTP.toEvent<unknown>({
    headers: { ...Object.fromEntries(headers), 'content-type': contentType },
    body: Buffer.from(body).toString(),
  });
  if (Array.isArray(received)) throw new Error('a batch');
  return received;
}

function essentials(event: CloudEvent): Record<string, string> {
  const names = ['id', 'source', 'type', 'subject', 'ext'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = attributeOf(event, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
