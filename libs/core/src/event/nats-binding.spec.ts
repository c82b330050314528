import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anEvent } from '#testkit/an-event';
import { anyEvent } from '#testkit/any-event';
import type { CloudEvent } from './cloud-event.ts';
import { natsHeaderBytes, parseNatsMessage, toNatsMessage } from './nats-binding.ts';

type Headers = readonly (readonly [string, string])[];

const REQUIRED: Headers = [
  ['ce-specversion', '1.0'],
  ['ce-id', '1'],
  ['ce-source', '/s'],
  ['ce-type', 't'],
];
const STRUCTURED = ['Content-Type', 'application/cloudevents+json'] as const;
const EVENT_JSON = '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1.10}';

describe('toNatsMessage', () => {
  test('writes lower-case headers, datacontenttype among them, and the data as the payload (NB-3, NB-4)', () => {
    const event = anEvent({ id: 'a b', dataschema: undefined, time: undefined });
    expect(toNatsMessage(event)).toEqual({
      headers: [
        ['ce-specversion', '1.0'],
        ['ce-id', 'a%20b'],
        ['ce-source', 'voxie/core'],
        ['ce-type', 'com.voxie.contact.created'],
        ['ce-datacontenttype', 'application/json'],
      ],
      payload: event.data?.bytes,
    });
  });

  test.each([
    ['JSON without a content type', anEvent({ datacontenttype: undefined }), 'json'],
    ['JSON bytes that came as base64', anEvent({ dataBytes: bytesOf('{}') }), 'bytes'],
    ['text beside a type that is not textual', anEvent({ datacontenttype: 'image/png', dataText: 'x' }), 'text'],
    ['text of zero bytes', anEvent({ datacontenttype: 'text/plain', dataText: '' }), 'text'],
    ['binary data of zero bytes', anEvent({ datacontenttype: undefined, dataBytes: new Uint8Array() }), 'bytes'],
  ])('writes ph-data-form for %s', (_what, event, form) => {
    expect(hint(event, 'ph-data-form')).toBe(form);
  });

  test.each([
    ['JSON', anEvent()],
    ['text', anEvent({ datacontenttype: 'text/csv', dataText: 'a,b' })],
    ['binary data', anEvent({ datacontenttype: 'image/png', dataBytes: Uint8Array.of(1) })],
    ['no data', anEvent({ data: undefined })],
    ['extensions with the type of their definition', anEvent({ sampledrate: 5, deprecated: true, ext: '5' })],
  ])('writes no hint for %s', (_what, event) => {
    expect(toNatsMessage(event).headers.filter(([name]) => name.startsWith('ph-'))).toEqual([]);
  });

  test('writes ph-attribute-types for what a header cannot tell', () => {
    expect(hint(anEvent({ count: 5, final: true, sampledrate: '5', ext: '5' }), 'ph-attribute-types')).toBe(
      'count=i,final=b,sampledrate=s',
    );
  });

  test('gives an equal event to parseNatsMessage, for any event (NB-3)', () => {
    fc.assert(
      fc.property(anyEvent(), (event) => {
        const { headers, payload } = toNatsMessage(event);
        expect(parseNatsMessage(headers, payload)).toEqual({ ok: true, event });
        expect(headers.every(([name, value]) => /^[a-z0-9-]+$/.test(name) && /^[\x21-\x7e]*$/.test(value))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('natsHeaderBytes', () => {
  test('counts the header block as it is on the wire (CE-12)', () => {
    const { headers } = toNatsMessage(anEvent({ ext: 'é' }));
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
    expect(natsHeaderBytes(headers)).toBe(`NATS/1.0\r\n${lines.join('')}\r\n`.length);
  });
});

describe('parseNatsMessage, binary mode', () => {
  test('takes names in any case and ignores what is not ours (NB-4)', () => {
    const headers: Headers = [
      ['Nats-Msg-Id', 'x'],
      ['CE-SpecVersion', '1.0'],
      ['Ce-Id', '1'],
      ['ce-Source', '/s'],
      ['ce-type', 't'],
      ['CE-DataContentType', 'text/plain'],
    ];
    const event = valid(headers, 'é');
    expect(event.attributes.get('datacontenttype')).toBe('text/plain');
    expect(event.data).toEqual({ form: 'text', bytes: bytesOf('é') });
  });

  test.each([
    ['a header twice (CE-6)', [...REQUIRED, ['CE-id', '1']], 'CE-6 ce-id'],
    ['a missing attribute (CE-1)', REQUIRED.slice(0, 3), 'CE-1 ce-type'],
    ['a wrong content type (CE-8)', [...REQUIRED, ['ce-datacontenttype', 'xyz']], 'CE-8 ce-datacontenttype'],
    ['a value that cannot be decoded (HB-8)', [...REQUIRED, ['ce-ext', '%FF']], 'HB-8 ce-ext'],
  ] as [string, Headers, string][])('refuses %s', (_what, headers, violation) => {
    expect(broken(headers, '')).toEqual([violation]);
  });

  test('keeps raw Unicode of senders that do not percent-encode (HB-8)', () => {
    expect(valid([...REQUIRED, ['ce-ext', 'Euro €']], '').attributes.get('ext')).toBe('Euro €');
  });

  test('believes a hint only where it fits (producers may write anything)', () => {
    const hints: Headers = [
      ['PH-Data-Form', 'json'],
      ['ph-attribute-types', 'id=i,count=i,late=b,constructor=x,,=i,odd=i=b'],
    ];
    const headers: Headers = [...REQUIRED, ['ce-count', '05'], ['ce-late', 'yes'], ['ce-odd', '7'], ...hints];
    const event = valid(headers, 'no json');
    expect(event.data?.form).toBe('bytes');
    expect(['id', 'count', 'late', 'odd'].map((name) => event.attributes.get(name))).toEqual(['1', '05', 'yes', 7]);
  });

  test.each(['json', 'text', 'xml', ''])('does not let the hint %j through beside another content type', (form) => {
    const headers: Headers = [...REQUIRED, ['ph-data-form', form]];
    expect(valid([...headers, ['ce-datacontenttype', 'image/png']], '\ufffd').data?.form).toBe(
      form === 'text' ? 'text' : 'bytes',
    );
    expect(valid([...headers, ['ce-datacontenttype', 'application/json']], '1,"id":"2"').data?.form).toBe('bytes');
  });

  test('has no data when the payload is empty', () => {
    expect(
      valid([...REQUIRED, ['ce-datacontenttype', 'application/json'], ['ph-data-form', 'json']], '').data,
    ).toBeUndefined();
  });
});

describe('parseNatsMessage, structured mode', () => {
  test.each([
    ['the media type in any case (NB-2)', [['content-type', 'Application/CloudEvents+JSON; charset=UTF-8']]],
    ['no header at all, as 1.0.2 peers send (NB-2)', []],
    ['headers that are not ours', [['Nats-Msg-Id', '1']]],
    ['repeated attributes (HB-5)', [STRUCTURED, ['ce-id', '1']]],
  ] as [string, Headers][])('reads an event with %s', (_what, headers) => {
    expect(valid(headers, ` ${EVENT_JSON}`).data).toEqual({ form: 'json', bytes: bytesOf('1.10') });
  });

  test.each([
    ['another format', [['Content-Type', 'application/cloudevents+avro']], EVENT_JSON, 'NB-1 content-type'],
    ['a batch', [['Content-Type', 'application/cloudevents-batch+json']], `[${EVENT_JSON}]`, 'NB-1 content-type'],
    [
      'another charset',
      [['Content-Type', 'application/cloudevents+json;charset=utf-16']],
      EVENT_JSON,
      'NB-1 content-type',
    ],
    ['a header that says something else', [STRUCTURED, ['ce-id', '2']], EVENT_JSON, 'HB-5 ce-id'],
  ] as [string, Headers, string, string][])('refuses %s (NB-1, HB-5)', (_what, headers, body, violation) => {
    expect(broken(headers, body)).toEqual([violation]);
  });

  test('points into the body of an object without headers, and at the headers otherwise', () => {
    expect(broken([], '{"specversion":"1.0"}')).toEqual(['CE-1 /id', 'CE-1 /source', 'CE-1 /type']);
    expect(broken(REQUIRED.slice(1), '{"a":1}')).toEqual(['CE-1 ce-specversion']);
    expect(broken([], 'plain')).toEqual(['CE-1 ce-specversion', 'CE-1 ce-id', 'CE-1 ce-source', 'CE-1 ce-type']);
  });
});

test('parseNatsMessage never throws, whatever headers and payload', () => {
  const name = fc.oneof(
    fc.string(),
    fc.constantFrom('content-type', 'ce-id', 'ce-specversion', 'ph-data-form', 'ph-attribute-types'),
  );
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('application/cloudevents+json', 'json', 'id=i'),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, value)),
      fc.oneof(fc.uint8Array(), fc.json().map(bytesOf)),
      (headers, payload) => typeof parseNatsMessage(headers, payload).ok === 'boolean',
    ),
    { numRuns: 500 },
  );
});

function hint(event: CloudEvent, header: string): string | undefined {
  return toNatsMessage(event).headers.find(([name]) => name === header)?.[1];
}

function valid(headers: Headers, payload: string): CloudEvent {
  const parsed = parseNatsMessage(headers, bytesOf(payload));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.event;
}

function broken(headers: Headers, payload: string): string[] {
  const parsed = parseNatsMessage(headers, bytesOf(payload));
  return parsed.ok ? [] : parsed.violations.map(({ rule, pointer }) => `${rule} ${pointer}`);
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
