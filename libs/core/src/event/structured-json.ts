import {
  attributeToString,
  type AttributeValue,
  type CloudEvent,
  type EventData,
  type EventViolation,
  type ParsedEvent,
} from './cloud-event.ts';
import { brokenNameRule, brokenValueRule, missingAttributes, missingRule, type BrokenRule } from './attribute-rules.ts';
import { isInteger } from './attribute-types.ts';
import { decodeBase64, encodeBase64 } from './base64.ts';
import { declaredMediaType } from './data-form.ts';
import { elementsOf, membersOf, skipSpace, type JsonMember } from './json-members.ts';
import { isJson } from './media-type.ts';
import { decodeUtf8, encodeUtf8 } from './utf8.ts';

export type ParsedBatch =
  | { readonly ok: true; readonly events: readonly CloudEvent[] }
  | { readonly ok: false; readonly violations: readonly EventViolation[] };

/** A body that is JSON: its text to find exact slices in, and its value. */
interface JsonBody {
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly value: unknown;
}

/** What is told of one request: a megabyte of `[0,0,0…]` must not become 60 MB of problems. */
export const MAX_VIOLATIONS = 1000;

type Report = (rule: string, pointer: string, detail: string) => void;

/**
 * Reads one event in the JSON format (JF-1…JF-9). `data` keeps the exact bytes it had in the body; for an all-ASCII body
 * they are a view of `body`, not a copy. All violations are reported (up to 1000), with JSON Pointers into the body.
 */
export function parseStructured(body: Uint8Array): ParsedEvent {
  const violations: EventViolation[] = [];
  const report = makeReport(violations);
  const json = parseJson(body, report);
  if (json === undefined) return { ok: false, violations };
  const event = readEvent(json, json.value, skipSpace(json.text, 0), '', report);
  return event !== undefined && violations.length === 0 ? { ok: true, event } : { ok: false, violations };
}

/** Reads a batch (JF-8, CE-14): all of it is valid, or every violation of every member is reported (`/3/id`; up to 1000). */
export function parseBatch(body: Uint8Array): ParsedBatch {
  const violations: EventViolation[] = [];
  const report = makeReport(violations);
  const json = parseJson(body, report);
  if (json === undefined) return { ok: false, violations };
  if (!Array.isArray(json.value)) {
    report('JF-8', '', 'A batch must be a JSON array of events.');
    return { ok: false, violations };
  }
  const values: readonly unknown[] = json.value;
  const starts = elementsOf(json.text, skipSpace(json.text, 0));
  const events = starts.map((start, index) => readEvent(json, values[index], start, `/${index}`, report));
  const valid = events.filter((event) => event !== undefined);
  return violations.length === 0 ? { ok: true, events: valid } : { ok: false, violations };
}

/**
 * The event as one JSON object in UTF-8 (media type `application/cloudevents+json`). JSON data goes in raw, byte by
 * byte; text becomes a JSON string, anything else `data_base64`.
 */
export function toStructuredJson(event: CloudEvent): Uint8Array {
  let envelope = '';
  for (const [name, value] of event.attributes) {
    envelope += `${envelope === '' ? '{' : ','}"${name}":${typeof value === 'string' ? JSON.stringify(value) : attributeToString(value)}`;
  }
  const { data } = event;
  if (data === undefined) return encodeUtf8(`${envelope}}`);
  switch (data.form) {
    case 'json':
      return enclose(`${envelope},"data":`, data.bytes, '}');
    case 'text':
      return encodeUtf8(`${envelope},"data":${JSON.stringify(decodeUtf8(data.bytes) ?? '')}}`);
    case 'bytes':
      return enclose(`${envelope},"data_base64":"`, encodeBase64(data.bytes), '"}');
  }
}

function enclose(before: string, middle: Uint8Array, after: string): Uint8Array {
  const head = encodeUtf8(before);
  const out = new Uint8Array(head.length + middle.length + after.length);
  out.set(head);
  out.set(middle, head.length);
  for (let i = 0; i < after.length; i++) out[head.length + middle.length + i] = after.charCodeAt(i);
  return out;
}

function makeReport(violations: EventViolation[]): Report {
  return (rule, pointer, detail) => {
    if (violations.length < MAX_VIOLATIONS) violations.push({ rule, pointer, detail });
  };
}

function parseJson(bytes: Uint8Array, report: Report): JsonBody | undefined {
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    report('JF-1', '', 'The body is not valid UTF-8.');
    return undefined;
  }
  try {
    return { bytes, text, value: JSON.parse(text) as unknown };
  } catch {
    report('JF-1', '', 'The body is not valid JSON (RFC 8259; a byte order mark is not allowed).');
    return undefined;
  }
}

function readEvent(json: JsonBody, value: unknown, open: number, path: string, report: Report): CloudEvent | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report(path === '' ? 'JF-1' : 'JF-8', path, 'An event must be a JSON object.');
    return undefined;
  }
  const object = value as Readonly<Record<string, unknown>>;
  const members = membersOf(json.text, open);
  if (Object.keys(object).length !== members.length) reportDuplicates(members, path, report);
  const attributes = new Map<string, AttributeValue>();
  for (const member of members) readAttribute(json, object, member, attributes, path, report);
  for (const name of missingAttributes(attributes)) {
    if (!isReported(object, name)) reportRule(missingRule(name), `${path}/${name}`, report);
  }
  const data = readData(json, object, members, attributes.get('datacontenttype'), path, report);
  return data === undefined ? { attributes } : { attributes, data };
}

/** A required attribute with a wrong value has been reported as such; only an absent or null one is missing (JF-3). */
function isReported(object: Readonly<Record<string, unknown>>, name: string): boolean {
  return object[name] !== undefined && object[name] !== null;
}

function reportDuplicates(members: readonly JsonMember[], path: string, report: Report): void {
  const seen = new Set<string>();
  for (const { name } of members) {
    if (seen.has(name)) report('CE-6', `${path}/${escapePointer(name)}`, 'A member must not appear twice.');
    seen.add(name);
  }
}

function readAttribute(
  json: JsonBody,
  object: Readonly<Record<string, unknown>>,
  member: JsonMember,
  attributes: Map<string, AttributeValue>,
  path: string,
  report: Report,
): void {
  const { name } = member;
  if (name === 'data' || name === 'data_base64') return;
  const value = object[name];
  const broken =
    brokenNameRule(name) ??
    (value === null
      ? undefined
      : isAttributeValue(value, json.text, member)
        ? brokenValueRule(name, value)
        : NOT_A_VALUE);
  if (broken !== undefined) return reportRule(broken, `${path}/${escapePointer(name)}`, report);
  if (value !== null) attributes.set(name, typeof value === 'number' ? value | 0 : (value as AttributeValue));
}

const NOT_A_VALUE: BrokenRule = {
  rule: 'CE-16',
  detail:
    'An attribute must be a string, a Boolean or an integer from -2147483648 to 2147483647 without fraction or exponent.',
};

/** JF-2: `1.0` and `1e2` are integers to `JSON.parse` but not to CloudEvents, so the token decides. */
function isAttributeValue(value: unknown, text: string, { start, end }: JsonMember): value is AttributeValue {
  if (typeof value !== 'number') return typeof value === 'string' || typeof value === 'boolean';
  return isInteger(text.slice(start, end));
}

function reportRule({ rule, detail }: BrokenRule, pointer: string, report: Report): void {
  report(rule, pointer, detail);
}

function readData(
  json: JsonBody,
  object: Readonly<Record<string, unknown>>,
  members: readonly JsonMember[],
  datacontenttype: AttributeValue | undefined,
  path: string,
  report: Report,
): EventData | undefined {
  const member = members.find(({ name }) => name === 'data');
  const base64 = object['data_base64'];
  if (base64 === undefined || base64 === null) {
    return member && readDataMember(json, object['data'], member, datacontenttype, path, report);
  }
  if (member !== undefined) report('JF-4', `${path}/data_base64`, 'An event has `data` or `data_base64`, not both.');
  const bytes = typeof base64 === 'string' ? decodeBase64(base64) : undefined;
  if (bytes !== undefined) return { bytes, form: 'bytes' };
  report(
    'JF-4',
    `${path}/data_base64`,
    '`data_base64` must be a string in padded base64 without white space (RFC 4648).',
  );
  return undefined;
}

function readDataMember(
  json: JsonBody,
  value: unknown,
  { start, end }: JsonMember,
  datacontenttype: AttributeValue | undefined,
  path: string,
  report: Report,
): EventData | undefined {
  const mediaType = declaredMediaType(datacontenttype);
  if (mediaType === undefined || isJson(mediaType)) return { bytes: bytesBetween(json, start, end), form: 'json' };
  if (typeof value === 'string' && value.isWellFormed()) return { bytes: encodeUtf8(value), form: 'text' };
  report(
    'JF-6',
    `${path}/data`,
    '`data` must be a string of Unicode text, because `datacontenttype` is not a JSON type.',
  );
  return undefined;
}

/** In an all-ASCII text every UTF-16 unit is one byte, so that the bytes can be cut out of the body. */
function bytesBetween({ bytes, text }: JsonBody, start: number, end: number): Uint8Array {
  return text.length === bytes.length ? bytes.subarray(start, end) : encodeUtf8(text.slice(start, end));
}

/** RFC 6901. */
function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
