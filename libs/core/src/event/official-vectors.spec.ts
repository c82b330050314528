import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { attributeToString, type AttributeValue, type CloudEvent } from './cloud-event.ts';
import { encodeHeaderValue } from './header-value.ts';
import { parseHttpRequest, toHttpNotification } from './http-binding.ts';
import { parseNatsMessage, toNatsMessage } from './nats-binding.ts';
import { parseBatch, parseStructured, toStructuredJson } from './structured-json.ts';
import { timestampToUnixMs } from './timestamp.ts';

interface FormatTest {
  readonly id: string;
  readonly sampleId: string;
  readonly event?: unknown;
  readonly batch?: unknown;
}

const MINIMAL = { specversion: '1.0', id: 'minimal', type: 'io.cloudevents.test', source: 'https://cloudevents.io' };
const ALL_CORE = {
  ...MINIMAL,
  id: 'allCore',
  datacontenttype: 'text/plain',
  dataschema: 'https://cloudevents.io/dataschema',
  subject: 'tests',
  time: Date.UTC(2018, 3, 5, 17, 31),
};
const ALL_EXTENSION_TYPES = {
  ...MINIMAL,
  id: 'allExtensionTypes',
  extinteger: 10,
  extboolean: true,
  extstring: 'text',
  exturi: 'https://cloudevents.io',
  exturiref: '//authority/path',
  exttimestamp: '2023-03-31T15:12:00Z',
  extbinary: 'TWE=',
};

/** The "golden" samples that the conformance README describes in prose; times as instants. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  minimal: MINIMAL,
  minimalWithTime: { ...MINIMAL, id: 'minimalWithTime', time: Date.UTC(2018, 3, 5, 17, 31) },
  minimalWithRelativeSource: { ...MINIMAL, id: 'minimalWithRelativeSource', source: '#fragment' },
  allCore: ALL_CORE,
  simpleTextData: { ...MINIMAL, id: 'simpleTextData', datacontenttype: 'text/plain', data: 'Simple text' },
  allExtensionTypes: ALL_EXTENSION_TYPES,
};
const SAMPLE_BATCHES: Readonly<Record<string, unknown>> = {
  empty: [],
  minimal: [MINIMAL],
  minimal2: [MINIMAL, MINIMAL],
  minimalAndAllCore: [MINIMAL, ALL_CORE],
  minimalAndAllExtensionTypes: [MINIMAL, ALL_EXTENSION_TYPES],
};

describe('the JSON format conformance data', () => {
  const validEvents = formatTests('conformance-json-valid-events.json', 10);
  const invalidEvents = formatTests('conformance-json-invalid-events.json', 25);
  const validBatches = formatTests('conformance-json-valid-batches.json', 5);
  const invalidBatches = formatTests('conformance-json-invalid-batches.json', 3);

  test.each(validEvents)('accepts $id as the sample $sampleId (JF-1…JF-6, CE-9)', ({ event, sampleId }) => {
    const parsed = parseStructured(json(event));
    expect(parsed.ok && sample(parsed.event)).toEqual(SAMPLES[sampleId]);
  });

  test.each(invalidEvents)('rejects $id (CE-1…CE-16)', ({ event }) => {
    const parsed = parseStructured(json(event));
    expect(parsed.ok).toBe(false);
    expect(parsed.ok || parsed.violations).toHaveLength(1);
  });

  test.each(validBatches)('accepts the batch $id as $sampleId (JF-8)', ({ batch, sampleId }) => {
    const parsed = parseBatch(json(batch));
    expect(parsed.ok && parsed.events.map(sample)).toEqual(SAMPLE_BATCHES[sampleId]);
  });

  test.each(invalidBatches)('rejects the batch $id (JF-8, CE-14)', ({ batch }) => {
    expect(parseBatch(json(batch)).ok).toBe(false);
  });
});

describe('the pairs of JSON event and HTTP message (spec, JSON format 3.2)', () => {
  const { pairs } = read('json-http-binary-pairs.json') as {
    pairs: {
      name: string;
      json: object;
      http: { headers: [string, string][]; body: string | null; bodyBase64?: string };
    }[];
  };
  // data_base64 without a content type must not go out in binary mode (WH-3); the test below reads it.
  const sendable = pairs.filter(({ http }) => http.headers.some(([name]) => name === 'content-type'));

  test('are six, five of them with a content type', () => {
    expect([pairs.length, sendable.length]).toEqual([6, 5]);
  });

  test.each(sendable)('$name: leaves as the HTTP message (JF-7, HB-3)', ({ json: event, http }) => {
    const parsed = parseStructured(json(event));
    const notification = toHttpNotification(eventOf(parsed), 'binary');
    expect(notification.mode).toBe('binary');
    expect(Object.fromEntries([...notification.headers, ['content-type', notification.contentType]])).toEqual(
      Object.fromEntries(http.headers),
    );
    expect(comparable(Buffer.from(notification.body))).toEqual(comparable(bodyOf(http)));
  });

  test.each(pairs)('$name: the HTTP message is read as the same event (HB-3)', ({ json: event, http }) => {
    const received = parseHttpRequest(http.headers, bodyOf(http));
    const expected = eventOf(parseStructured(json(event)));
    const [actual] = received.ok ? received.events : [];
    expect(actual && strings(actual)).toEqual({ ...defaultContentType(expected), ...strings(expected) });
    expect(comparable(Buffer.from(actual?.data?.bytes ?? []))).toEqual(
      comparable(Buffer.from(expected.data?.bytes ?? [])),
    );
  });
});

describe('the HTTP protocol binding feature', () => {
  const scenarios = readScenarios('http-protocol-binding.feature');

  test('has two scenarios with two examples each', () => {
    expect(scenarios.map(({ title }) => title)).toEqual([
      'Binary content mode (application/json)',
      'Binary content mode (application/json; charset=utf-8)',
      'Structured content mode (application/cloudevents+json)',
      'Structured content mode (application/cloudevents+json; charset=utf-8)',
    ]);
  });

  test.each(scenarios)('$title (HB-2, HB-3, HB-5)', ({ headers, body, attributes, data }) => {
    const received = parseHttpRequest(headers, new TextEncoder().encode(body));
    const [event] = received.ok ? received.events : [];
    expect(event && strings(event)).toEqual(attributes);
    expect(JSON.parse(Buffer.from(event?.data?.bytes ?? []).toString())).toEqual(JSON.parse(data));
  });
});

describe('the conformance events in YAML', () => {
  const documents = ['conformance-v1.yaml', 'conformance-v1_minimum.yaml'].flatMap((file) =>
    parseAllDocuments(readFileSync(`test/vectors/cloudevents/${file}`, 'utf8'), { schema: 'failsafe' }).map(
      (document) => document.toJS() as YamlEvent | null,
    ),
  );
  const events = documents.filter((document) => document !== null).map(headersAndBody);

  test('are eight', () => {
    expect(events).toHaveLength(8);
  });

  test.each(events)('$id survives HTTP, structured JSON and NATS unchanged (HB-3, JF-1, NB-3)', ({ headers, body }) => {
    const received = parseHttpRequest(headers, body);
    expect(received).toMatchObject({ ok: true, mode: 'binary' });
    const [event] = received.ok ? received.events : [];
    if (event === undefined) throw new Error('no event');
    expect(parseStructured(toStructuredJson(event))).toEqual({ ok: true, event });
    const { headers: natsHeaders, payload } = toNatsMessage(event);
    expect(parseNatsMessage(natsHeaders, payload)).toEqual({ ok: true, event });
    const { mode, body: sent } = toHttpNotification(event, 'binary');
    expect(sent).toEqual(mode === 'binary' ? body : toStructuredJson(event));
    expect(mode).toBe(event.attributes.has('datacontenttype') ? 'binary' : 'structured');
  });
});

interface YamlEvent {
  readonly ContextAttributes: Record<string, string> & { readonly Extensions?: Record<string, string> };
  readonly Data: string;
}

/** YAML block scalars end with a line break, which no attribute may hold and JSON does not count. */
function headersAndBody({ ContextAttributes, Data }: YamlEvent) {
  const { Extensions, datacontenttype, ...core } = ContextAttributes;
  const headers = Object.entries({ ...core, ...Extensions }).map(([name, value]): [string, string] => [
    `ce-${name}`,
    encodeHeaderValue(value.trimEnd()),
  ]);
  if (datacontenttype !== undefined) headers.push(['Content-Type', datacontenttype]);
  return { id: core['id'], headers, body: new TextEncoder().encode(Data.trimEnd()) };
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(`test/vectors/cloudevents/${file}`, 'utf8'));
}

function formatTests(file: string, count: number): FormatTest[] {
  const { tests } = read(file) as { tests: FormatTest[] };
  if (tests.length !== count) throw new Error(`${file} has ${tests.length} tests, not ${count}`);
  return tests;
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function eventOf(parsed: ReturnType<typeof parseStructured>): CloudEvent {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return parsed.event;
}

/** As the samples are written: time as an instant, text data as a string. */
function sample(event: CloudEvent): Record<string, AttributeValue | undefined> {
  const { time, ...attributes } = Object.fromEntries(event.attributes);
  return {
    ...attributes,
    ...(typeof time === 'string' ? { time: timestampToUnixMs(time) } : {}),
    ...(event.data === undefined ? {} : { data: Buffer.from(event.data.bytes).toString() }),
  };
}

function strings(event: CloudEvent): Record<string, string> {
  return Object.fromEntries([...event.attributes].map(([name, value]) => [name, attributeToString(value)]));
}

function defaultContentType(event: CloudEvent): Record<string, string> {
  return event.data?.form === 'json' ? { datacontenttype: 'application/json' } : {};
}

function bodyOf(http: { body: string | null; bodyBase64?: string }): Buffer {
  return http.bodyBase64 === undefined ? Buffer.from(http.body ?? '') : Buffer.from(http.bodyBase64, 'base64');
}

/** The pairs write the same JSON with other white space on each side. */
function comparable(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return body.toString('hex');
  }
}

/** Just enough Gherkin for this file: one example column, doc strings, one table of expected attributes. */
function readScenarios(file: string) {
  const feature = readFileSync(`test/vectors/cloudevents/${file}`, 'utf8');
  return feature
    .split(/^ *Scenario Outline: /m)
    .slice(1)
    .flatMap((outline) => {
      const [steps = '', examples = ''] = outline.split('Examples:');
      const [, ...contentTypes] = tableRows(examples).map(([cell = '']) => cell);
      return contentTypes.map((contentType) => readScenario(steps.replaceAll('<contentType>', contentType)));
    });
}

function readScenario(steps: string) {
  const [title = ''] = steps.split('\n');
  const [request = '', data = ''] = [...steps.matchAll(/"""\n(.*?)\n *"""/gs)].map(([, text = '']) =>
    text.replaceAll(/^ {8}/gm, ''),
  );
  const [head = '', ...rest] = request.split('\n\n');
  const headers = head
    .split('\n')
    .slice(1)
    .map((line): [string, string] => {
      const [name = '', ...value] = line.split(': ');
      return [name, value.join(': ')];
    });
  const [, ...attributes] = tableRows(steps);
  return {
    title,
    headers,
    body: rest.join('\n\n'),
    data,
    attributes: Object.fromEntries(attributes) as Record<string, string>,
  };
}

function tableRows(text: string): string[][] {
  return [...text.matchAll(/^ *\|(.*)\|?$/gm)].map(([, row = '']) =>
    row
      .replace(/\| *$/, '')
      .split('|')
      .map((cell) => cell.trim()),
  );
}
