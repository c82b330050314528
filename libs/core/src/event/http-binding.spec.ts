import { Buffer } from 'node:buffer';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anEvent } from '#testkit/an-event';
import { anyEvent } from '#testkit/any-event';
import { attributeToString, type CloudEvent } from './cloud-event.ts';
import { parseHttpRequest, toHttpNotification, type ParsedHttpRequest } from './http-binding.ts';
import { toStructuredJson } from './structured-json.ts';

type Headers = readonly (readonly [string, string])[];

const REQUIRED: Headers = [
  ['ce-specversion', '1.0'],
  ['ce-id', '1'],
  ['ce-source', '/s'],
  ['ce-type', 't'],
];
const JSON_TYPE = ['Content-Type', 'application/json'] as const;
const STRUCTURED = ['Content-Type', 'application/cloudevents+json'] as const;
const EVENT_JSON = '{"specversion":"1.0","id":"1","source":"/s","type":"t","ext":5}';

describe('parseHttpRequest, mode', () => {
  test.each([
    'application/cloudevents+json',
    'application/cloudevents+json; charset=UTF-8',
    'Application/CloudEvents+JSON;Charset="utf-8"',
    ' application/cloudevents+json ; x=y',
  ])('reads %j as structured (HB-2)', (contentType) => {
    expect(parse([['content-TYPE', contentType]], EVENT_JSON)).toMatchObject({ ok: true, mode: 'structured' });
  });

  test.each(['application/cloudevents-batch+json', 'APPLICATION/cloudevents-batch+json; charset=utf-8'])(
    'reads %j as a batch (HB-2)',
    (contentType) => {
      const parsed = parse([['Content-Type', contentType]], `[${EVENT_JSON},${EVENT_JSON}]`);
      expect(parsed).toMatchObject({ ok: true, mode: 'batch' });
      expect(parsed.ok && parsed.events).toHaveLength(2);
    },
  );

  test.each([
    'application/cloudevents',
    'application/cloudevents+avro',
    'application/cloudevents-batch+avro',
    'application/cloudevents-batch',
    'application/cloudevents+json; charset=utf-16',
    'application/cloudevents-batch+json; charset=iso-8859-1',
    'application/cloudevents+json; charset',
  ])('calls %j an unsupported media type (HB-2)', (contentType) => {
    expect(parse([...REQUIRED, ['Content-Type', contentType]], EVENT_JSON)).toMatchObject({
      ok: false,
      kind: 'unsupported_media_type',
      violations: [{ rule: 'HB-2', pointer: 'content-type' }],
    });
  });

  test.each(['gzip', 'GZIP', 'br, identity'])(
    'refuses a body in the content coding %j, in any mode (HB-3)',
    (coding) => {
      for (const headers of [
        [...REQUIRED, JSON_TYPE],
        [['Content-Type', 'application/cloudevents+json']],
        [['Content-Type', 'application/cloudevents-batch+json']],
      ] as const) {
        expect(parse([...headers, ['Content-Encoding', coding]], EVENT_JSON)).toMatchObject({
          ok: false,
          kind: 'unsupported_media_type',
          violations: [{ rule: 'HB-3', pointer: 'content-encoding' }],
        });
      }
    },
  );

  test.each(['identity', ' Identity', ''])('takes a body in the content coding %j, which is none', (coding) => {
    expect(parse([...REQUIRED, JSON_TYPE, ['Content-Encoding', coding]], '{}')).toMatchObject({ ok: true });
  });

  test('says how to send an event when nothing says that this is one (HB-11)', () => {
    for (const headers of [[], [JSON_TYPE], [['X-Other', 'y'] as const]]) {
      expect(parse(headers, EVENT_JSON)).toMatchObject({
        ok: false,
        kind: 'unsupported_media_type',
        violations: [{ rule: 'HB-11', detail: expect.stringContaining('application/cloudevents+json') }],
      });
    }
  });

  test('names the missing attributes when some ce- headers are there (HB-11, CE-1)', () => {
    expect(broken([['Ce-Id', '1'], JSON_TYPE], '{}')).toEqual([
      'CE-1 ce-specversion',
      'CE-1 ce-source',
      'CE-1 ce-type',
    ]);
  });
});

describe('parseHttpRequest, binary mode', () => {
  test('takes names without case, Content-Type as datacontenttype, the body as it is (HB-3)', () => {
    const headers: Headers = [
      ['CE-SpecVersion', '1.0'],
      ['Ce-ID', 'a%20b'],
      ['ce-source', '/s'],
      ['cE-tYPE', 't'],
      ['Host', 'example.com'],
      ['Ce-Ext', '"x \\"y\\""'],
      ['content-type', 'Application/JSON; charset=utf-8'],
    ];
    const body = bytesOf(' {"n":1.10}\n');
    const event = only(parseHttpRequest(headers, body));
    expect(Object.fromEntries(event.attributes)).toEqual({
      specversion: '1.0',
      id: 'a b',
      source: '/s',
      type: 't',
      ext: 'x "y"',
      datacontenttype: 'Application/JSON; charset=utf-8',
    });
    expect(event.data).toEqual({ form: 'json', bytes: body });
  });

  test.each([
    ['application/json', '{"a":1}', 'json'],
    ['application/json', '{"a":1', 'bytes'],
    ['application/json', '\ufeff{}', 'bytes'],
    ['application/json; charset=utf-16', '\u0000{', 'bytes'],
    ['text/plain', 'é', 'text'],
    ['application/xml; charset=UTF-8', '<é/>', 'text'],
    ['text/plain; charset=iso-8859-1', 'x', 'bytes'],
    ['application/octet-stream', 'x', 'bytes'],
  ])('finds for %s and %j the form %s', (contentType, body, form) => {
    expect(only(parse([...REQUIRED, ['Content-Type', contentType]], body)).data?.form).toBe(form);
  });

  test('assumes nothing about data without a content type (JF-4)', () => {
    const event = only(parse(REQUIRED, '{"a":1}'));
    expect([event.data?.form, event.attributes.has('datacontenttype')]).toEqual(['bytes', false]);
  });

  test('takes text that is not UTF-8 as bytes', () => {
    const event = only(parseHttpRequest([...REQUIRED, ['Content-Type', 'text/plain']], Uint8Array.of(0xe9)));
    expect(event.data).toEqual({ form: 'bytes', bytes: Uint8Array.of(0xe9) });
  });

  test('has no data when the body is empty', () => {
    expect(only(parse([...REQUIRED, JSON_TYPE], '')).data).toBeUndefined();
  });

  test('refuses a ce- header twice, whatever the case (CE-6)', () => {
    expect(broken([...REQUIRED, ['CE-ID', '1']], '')).toEqual(['CE-6 ce-id']);
    expect(broken([...REQUIRED, JSON_TYPE, JSON_TYPE], '{}')).toEqual(['CE-6 content-type']);
  });

  test('refuses ce-datacontenttype (HB-3)', () => {
    expect(broken([...REQUIRED, ['ce-datacontenttype', 'application/json']], '{}')).toEqual([
      'HB-3 ce-datacontenttype',
    ]);
  });

  test.each([
    ['ce-my-ext', 'x', 'CE-5 ce-my-ext'],
    ['ce-data', 'x', 'CE-5 ce-data'],
    ['ce-', 'x', 'CE-5 ce-'],
    ['ce-ext', '%C0%A0', 'HB-8 ce-ext'],
    ['ce-time', '100%', 'HB-8 ce-time'],
    ['ce-ext', '%0A', 'CE-7 ce-ext'],
    ['ce-ext', '\u00e9', 'HB-8 ce-ext'],
    ['ce-ext', '€', 'HB-8 ce-ext'],
    ['ce-time', 'now', 'CE-9 ce-time'],
    ['ce-subject', '', 'CE-8 ce-subject'],
    ['content-type', 'xyz', 'CE-8 content-type'],
  ])('refuses %s: %j with %s', (name, value, violation) => {
    expect(broken([...REQUIRED, [name, value]], 'x')).toEqual([violation]);
  });

  test('reads raw UTF-8 octets of senders that do not percent-encode (HB-8)', () => {
    const octets = Buffer.from('Euro €').toString('latin1');
    expect(only(parse([...REQUIRED, ['ce-ext', octets]], '')).attributes.get('ext')).toBe('Euro €');
  });

  test('gives extensions the type of their definition, when the value has it', () => {
    const headers: Headers = [
      ['ce-sampledrate', '5'],
      ['ce-severitynumber', '05'],
      ['ce-deprecated', 'true'],
      ['ce-count', '5'],
    ];
    const { attributes } = only(parse([...REQUIRED, ...headers], ''));
    expect(['sampledrate', 'severitynumber', 'deprecated', 'count'].map((name) => attributes.get(name))).toEqual([
      5,
      '05',
      true,
      '5',
    ]);
  });
});

describe('parseHttpRequest, structured mode', () => {
  test('allows headers that repeat the body and refuses those that do not (HB-5)', () => {
    expect(parse([STRUCTURED, ['ce-id', '%31'], ['Ce-Ext', '5']], EVENT_JSON).ok).toBe(true);
    expect(broken([STRUCTURED, ['ce-id', '2'], ['ce-subject', 'x']], EVENT_JSON)).toEqual([
      'HB-5 ce-id',
      'HB-5 ce-subject',
    ]);
  });

  test('reports broken headers and a broken body together', () => {
    expect(broken([STRUCTURED, ['ce-id', '1'], ['ce-id', '1']], '[]')).toEqual(['CE-6 ce-id', 'JF-1 ']);
  });

  test('refuses ce- headers on a batch (HB-5)', () => {
    expect(
      broken(
        [
          ['Content-Type', 'application/cloudevents-batch+json'],
          ['ce-id', '1'],
        ],
        '[]',
      ),
    ).toEqual(['HB-5 ce-id']);
  });

  test('accepts an empty batch (JF-8)', () => {
    expect(parse([['Content-Type', 'application/cloudevents-batch+json']], '[]')).toEqual({
      ok: true,
      mode: 'batch',
      events: [],
    });
  });
});

test('parseHttpRequest never throws, whatever headers and body', () => {
  const name = fc.oneof(fc.string(), fc.constantFrom('content-type', 'ce-id', 'ce-time', 'CE-source', 'ce-x'));
  const contentType = fc.constantFrom(
    'application/cloudevents+json',
    'application/cloudevents-batch+json',
    'text/plain',
    '',
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(name, fc.oneof(fc.string({ unit: 'binary' }), contentType))),
      fc.oneof(fc.uint8Array(), fc.json().map(bytesOf)),
      (headers, body) => typeof parseHttpRequest(headers, body).ok === 'boolean',
    ),
    { numRuns: 500 },
  );
});

describe('toHttpNotification', () => {
  test('writes structured with exact data and the content type in the case Voxie uses (HB-5, S-5)', () => {
    const event = anEvent({ dataJson: '{ "n" : 12345678901234567890 }' });
    const notification = toHttpNotification(event, 'structured');
    expect(notification).toMatchObject({
      mode: 'structured',
      contentType: 'application/cloudevents+json; charset=UTF-8',
      headers: [],
    });
    expect(text(notification.body)).toContain('"data":{ "n" : 12345678901234567890 }}');
  });

  test('writes binary with percent-coded headers and the data as the body (HB-3, HB-7)', () => {
    const event = anEvent({ id: '1', subject: 'Euro € 😀', count: 5, dataschema: undefined, time: undefined });
    expect(toHttpNotification(event, 'binary')).toEqual({
      mode: 'binary',
      contentType: 'application/json',
      headers: [
        ['ce-specversion', '1.0'],
        ['ce-id', '1'],
        ['ce-source', 'voxie/core'],
        ['ce-type', 'com.voxie.contact.created'],
        ['ce-subject', 'Euro%20%E2%82%AC%20%F0%9F%98%80'],
        ['ce-count', '5'],
      ],
      body: event.data?.bytes,
    });
  });

  test('writes application/json for JSON data without a content type, strings with quotes (JF-7)', () => {
    const notification = toHttpNotification(anEvent({ datacontenttype: undefined, data: "I'm" }), 'binary');
    expect([notification.mode, notification.contentType, text(notification.body)]).toEqual([
      'binary',
      'application/json',
      '"I\'m"',
    ]);
  });

  test.each([
    ['without data', anEvent({ data: undefined })],
    ['with data of zero bytes', anEvent({ datacontenttype: 'text/plain', dataText: '' })],
    ['with binary data without a content type', anEvent({ datacontenttype: undefined, dataBytes: Uint8Array.of(1) })],
    [
      'with text in another declared charset',
      anEvent({ datacontenttype: 'text/plain; charset=latin1', dataText: 'é' }),
    ],
    ['with more headers than servers take (CE-12)', anEvent({ ext: 'x'.repeat(6 * 1024) })],
  ])('falls back to structured for an event %s (WH-3)', (_what, event) => {
    const notification = toHttpNotification(event, 'binary');
    expect(notification).toEqual(toHttpNotification(event, 'structured'));
    expect(notification.mode).toBe('structured');
    expect(notification.body).toEqual(toStructuredJson(event));
  });

  test('always has a content type and a payload (WH-3)', () => {
    fc.assert(
      fc.property(anyEvent(), fc.constantFrom('structured' as const, 'binary' as const), (event, mode) => {
        const { contentType, body } = toHttpNotification(event, mode);
        expect(contentType !== '' && body.length > 0).toBe(true);
      }),
    );
  });

  test('carries any event to a receiver of our own, in the mode that it names (HB-3, HB-7, HB-8)', () => {
    fc.assert(
      fc.property(anyEvent(), fc.constantFrom('structured' as const, 'binary' as const), (event, wanted) => {
        const { mode, contentType, headers, body } = toHttpNotification(event, wanted);
        const received = only(parseHttpRequest([['Content-Type', contentType], ...headers], body));
        if (mode === 'structured') return expect(received).toEqual(event);
        expect(strings(received)).toEqual({ ...strings(event), datacontenttype: contentType });
        expect(received.data?.bytes).toEqual(event.data?.bytes);
      }),
      { numRuns: 500 },
    );
  });
});

function parse(headers: Headers, body: string): ParsedHttpRequest {
  return parseHttpRequest(headers, bytesOf(body));
}

function only(parsed: ParsedHttpRequest): CloudEvent {
  const [event] = parsed.ok ? parsed.events : [];
  if (event === undefined) throw new Error(JSON.stringify(parsed));
  return event;
}

function broken(headers: Headers, body: string): string[] {
  const parsed = parse(headers, body);
  if (parsed.ok) return [];
  expect(parsed.kind).toBe('invalid');
  return parsed.violations.map(({ rule, pointer }) => `${rule} ${pointer}`);
}

function strings(event: CloudEvent): Record<string, string> {
  return Object.fromEntries([...event.attributes].map(([name, value]) => [name, attributeToString(value)]));
}

function bytesOf(body: string): Uint8Array {
  return new TextEncoder().encode(body);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
