import { Buffer } from 'node:buffer';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anEvent } from '#testkit/an-event';
import { anyEvent } from '#testkit/any-event';
import type { CloudEvent } from './cloud-event.ts';
import { parseBatch, parseStructured, toStructuredJson } from './structured-json.ts';

const REQUIRED = '"specversion":"1.0","id":"1","source":"/s","type":"t"';

describe('parseStructured', () => {
  test.each([
    '12345678901234567890',
    '1.10',
    '-0.0',
    '1E400',
    ' [ 1 ,\t2 ]',
    '{"b":1,"a":{"b":2}}',
    '"\\u00e9\\/"',
    'null',
    'false',
    '0',
    '""',
  ])('keeps the exact text of data %s (JF-5, JF-9)', (data) => {
    expect(dataOf(valid(`{${REQUIRED},"data":${data}}`))).toEqual({ form: 'json', text: data.trim() });
    expect(dataOf(valid(` {"subject":"é€😀","data" :${data}\n, ${REQUIRED}} `))).toEqual({
      form: 'json',
      text: data.trim(),
    });
  });

  test('keeps data that looks like members and brackets (JF-9)', () => {
    const data = '{"}":"]{\\"data\\":1,\\\\","[":["{"]}';
    expect(dataOf(valid(`{${REQUIRED},"x":"},\\"data\\":2","data":${data},"y":"]"}`)).text).toBe(data);
  });

  test('keeps attribute strings and their order untouched (CE-9, CE-11)', () => {
    const event = valid(`{${REQUIRED},"time":"2018-04-05T18:31:00.120+01:00","zzz":" a ","aaa":""}`);
    expect([...event.attributes]).toEqual([
      ['specversion', '1.0'],
      ['id', '1'],
      ['source', '/s'],
      ['type', 't'],
      ['time', '2018-04-05T18:31:00.120+01:00'],
      ['zzz', ' a '],
      ['aaa', ''],
    ]);
  });

  test('keeps the JSON type of integers and Booleans (JF-2)', () => {
    const event = valid(`{${REQUIRED},"a":-2147483648,"b":true,"c":"5"}`);
    expect(['a', 'b', 'c'].map((name) => event.attributes.get(name))).toEqual([-2147483648, true, '5']);
  });

  test.each(['1.5', '1.0', '1e2', '1E0', '2147483648', '-2147483649', '12345678901234567890', '{}', '[]'])(
    'refuses %s as an attribute (CE-16, JF-2)',
    (value) => {
      expect(broken(`{${REQUIRED},"ext":${value}}`)).toEqual(['CE-16 /ext']);
    },
  );

  test('takes null as unset (JF-3)', () => {
    expect(valid(`{${REQUIRED},"subject":null,"ext":null,"data_base64":null}`)).toEqual(valid(`{${REQUIRED}}`));
    expect(broken('{"specversion":"1.0","id":null,"source":"/s","type":"t"}')).toEqual(['CE-1 /id']);
  });

  test('tells data null from no data (JF-5)', () => {
    expect(valid(`{${REQUIRED}}`).data).toBeUndefined();
    expect(dataOf(valid(`{${REQUIRED},"data":null}`)).text).toBe('null');
  });

  test('reads a string beside a content type that is not JSON as text (JF-6)', () => {
    const event = valid(`{${REQUIRED},"datacontenttype":"text/plain","data":"a\\n\\u20ac\\ud83d\\ude00"}`);
    expect(dataOf(event)).toEqual({ form: 'text', text: 'a\n€😀' });
  });

  test.each(['{"a":1}', 'null', '1', '"\\ud800"'])('refuses %s as text (JF-6)', (data) => {
    expect(broken(`{${REQUIRED},"datacontenttype":"text/plain","data":${data}}`)).toEqual(['JF-6 /data']);
  });

  test('reads a string beside JSON as a JSON string, never parsed again (JF-5)', () => {
    const event = valid(`{${REQUIRED},"datacontenttype":"Application/Vnd.X+JSON; a=b","data":"{\\"a\\":1}"}`);
    expect(dataOf(event)).toEqual({ form: 'json', text: '"{\\"a\\":1}"' });
  });

  test('reads data_base64, also of zero bytes (JF-4)', () => {
    expect(valid(`{${REQUIRED},"data_base64":"AAEC"}`).data).toEqual({ form: 'bytes', bytes: Uint8Array.of(0, 1, 2) });
    expect(valid(`{${REQUIRED},"data_base64":""}`).data).toEqual({ form: 'bytes', bytes: new Uint8Array(0) });
  });

  test.each(['"AAE"', '"AA E="', '"A-E="', '1', '{}'])('refuses data_base64 %s (JF-4)', (value) => {
    expect(broken(`{${REQUIRED},"data_base64":${value}}`)).toEqual(['JF-4 /data_base64']);
  });

  test('refuses data and data_base64 together, also null data (JF-4)', () => {
    expect(broken(`{${REQUIRED},"data":null,"data_base64":"AAEC"}`)).toEqual(['JF-4 /data_base64']);
  });

  test.each([
    ['an attribute', `{${REQUIRED},"id":"1"}`, 'CE-6 /id'],
    ['a name written with an escape', `{${REQUIRED},"\\u0069d":"2"}`, 'CE-6 /id'],
    ['data', `{${REQUIRED},"data":1,"data":1}`, 'CE-6 /data'],
    ['a null attribute', `{${REQUIRED},"ext":"a","ext":null}`, 'CE-6 /ext'],
  ])('refuses %s twice (CE-6)', (_what, body, violation) => {
    expect(broken(body)).toEqual([violation]);
  });

  test('refuses duplicates wherever they stand (CE-6)', () => {
    fc.assert(
      fc.property(anyEvent(), fc.nat(), fc.nat(), (event, from, to) => {
        const members = Object.entries(JSON.parse(text(toStructuredJson(event))) as object).map(
          ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
        );
        members.splice(to % (members.length + 1), 0, members[from % members.length] ?? '');
        expect(broken(`{${members.join(' , ')}}`)).toEqual([expect.stringMatching(/^CE-6 /)]);
      }),
    );
  });

  test('allows duplicates inside data, which is not ours', () => {
    expect(dataOf(valid(`{${REQUIRED},"data":{"a":1,"a":2}}`)).text).toBe('{"a":1,"a":2}');
  });

  test.each([
    ['MyExtension', 'CE-5 /MyExtension'],
    ['my.extension', 'CE-5 /my.extension'],
    ['a/b~c', 'CE-5 /a~1b~0c'],
    ['', 'CE-5 /'],
    ['__proto__', 'CE-5 /__proto__'],
  ])('refuses the attribute name %j (CE-5)', (name, violation) => {
    expect(broken(`{${REQUIRED},${JSON.stringify(name)}:"x"}`)).toEqual([violation]);
  });

  test('accepts names of more than 20 characters and names that Object has', () => {
    expect(
      valid(`{${REQUIRED},"opcuametadatamajorversion":1,"constructor":"c","123":"n"}`).attributes.get('constructor'),
    ).toBe('c');
  });

  test.each(['\u0000', '\u001f', '\u007f', '\u009f', '\ud800', '\ufdd0', '\uffff', '\u{1fffe}'])(
    'refuses the character %j in an attribute (CE-7)',
    (char) => {
      expect(broken(`{${REQUIRED},"ext":${JSON.stringify(`a${char}`)}}`)).toEqual(['CE-7 /ext']);
    },
  );

  test('names every broken rule at once, each with its place', () => {
    const body =
      '{"specversion":"0.9","source":"a b","type":7,"time":"now","dataschema":"x","datacontenttype":"xyz","subject":""}';
    expect(broken(body)).toEqual([
      'CE-1 /specversion',
      'CE-3 /source',
      'CE-7 /type',
      'CE-9 /time',
      'CE-8 /dataschema',
      'CE-8 /datacontenttype',
      'CE-8 /subject',
      'CE-1 /id',
    ]);
  });

  test.each(['', 'x', '{', '[]', 'null', '"a"', '\ufeff{}', '{}x'])('refuses the body %j (JF-1)', (body) => {
    expect(broken(body)[0]).toMatch(/^(JF-1 |CE-1 )/);
  });

  test('refuses a body that is not UTF-8 (JF-1)', () => {
    const bytes = new TextEncoder().encode(`{${REQUIRED},"ext":"x"}`);
    bytes[bytes.length - 3] = 0xff;
    expect(parseStructured(bytes)).toMatchObject({ ok: false, violations: [{ rule: 'JF-1', pointer: '' }] });
  });

  test('never throws, whatever the bytes', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof parseStructured(bytes).ok === 'boolean'));
    fc.assert(
      fc.property(anyEvent(), fc.nat(), fc.nat(255), (event, at, byte) => {
        const bytes = toStructuredJson(event);
        bytes[at % bytes.length] = byte;
        parseStructured(bytes);
        parseBatch(bytes);
      }),
      { numRuns: 500 },
    );
  });

  test.each(['time', 'source', 'dataschema', 'datacontenttype', 'id', 'ext'])(
    'never throws, whatever a megabyte of %s holds',
    (name) => {
      for (const part of ['a', '%20', '/b;', ';a="\\"', '\u0001', '9.', 'é']) {
        const attributes = { specversion: '1.0', id: '1', source: '/s', type: 't', [name]: part.repeat(300_000) };
        expect(typeof parseStructured(bytesOf(JSON.stringify(attributes))).ok).toBe('boolean');
      }
    },
  );

  test('survives half a million levels of nesting', () => {
    const deep = '['.repeat(500_000) + ']'.repeat(500_000);
    expect(dataOf(valid(`{${REQUIRED},"data":${deep}}`)).text).toBe(deep);
  });
});

describe('toStructuredJson', () => {
  test('puts JSON data in raw and escapes the rest (JF-9)', () => {
    const event = anEvent({
      id: 'a"b',
      source: '/s',
      type: 't',
      datacontenttype: undefined,
      dataschema: undefined,
      time: undefined,
      dataJson: '{ "n" : 1.10 }',
      count: 5,
      final: true,
    });
    expect(text(toStructuredJson(event))).toBe(
      '{"specversion":"1.0","id":"a\\"b","source":"/s","type":"t","count":5,"final":true,"data":{ "n" : 1.10 }}',
    );
  });

  test('gives back an equal event with exact data bytes for any event (JF-1…JF-9)', () => {
    fc.assert(
      fc.property(anyEvent(), (event) => {
        expect(parseStructured(toStructuredJson(event))).toEqual({ ok: true, event });
      }),
      { numRuns: 500 },
    );
  });
});

describe('parseBatch', () => {
  test('reads every member with its exact data (JF-8, JF-9)', () => {
    const parsed = parseBatch(bytesOf(` [ {${REQUIRED},"data":1.10} ,{${REQUIRED},"subject":"é","data":[ 2 ]}]`));
    expect(parsed.ok && parsed.events.map((event) => dataOf(event).text)).toEqual(['1.10', '[ 2 ]']);
  });

  test('names every bad member with a pointer (JF-8)', () => {
    const noId = '"specversion":"1.0","source":"/s","type":"t"';
    const parsed = parseBatch(bytesOf(`[{${REQUIRED}},{${noId}},7,{${REQUIRED},"id":"2","X":"y"}]`));
    expect(parsed.ok || parsed.violations.map(({ rule, pointer }) => `${rule} ${pointer}`)).toEqual([
      'CE-1 /1/id',
      'JF-8 /2',
      'CE-6 /3/id',
      'CE-5 /3/X',
    ]);
  });

  test('refuses what is not an array (JF-8)', () => {
    expect(parseBatch(bytesOf(`{${REQUIRED}}`))).toMatchObject({
      ok: false,
      violations: [{ rule: 'JF-8', pointer: '' }],
    });
  });

  test('names no more than 1000 bad members', () => {
    const parsed = parseBatch(bytesOf(`[${'0,'.repeat(5000)}0]`));
    expect(parsed.ok || parsed.violations).toHaveLength(1000);
  });

  test('gives back equal events for any batch', () => {
    fc.assert(
      fc.property(fc.array(anyEvent(), { maxLength: 4 }), (events) => {
        const body = `[${events.map((event) => text(toStructuredJson(event))).join(', ')}]`;
        expect(parseBatch(bytesOf(body))).toEqual({ ok: true, events });
      }),
    );
  });
});

function valid(body: string): CloudEvent {
  const parsed = parseStructured(bytesOf(body));
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.event;
}

function broken(body: string): string[] {
  const parsed = parseStructured(bytesOf(body));
  return parsed.ok ? [] : parsed.violations.map(({ rule, pointer }) => `${rule} ${pointer}`);
}

function dataOf(event: CloudEvent): { form: string; text: string } {
  return { form: event.data?.form ?? 'none', text: text(event.data?.bytes ?? new Uint8Array()) };
}

function bytesOf(body: string): Uint8Array {
  return new TextEncoder().encode(body);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
