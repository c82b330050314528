import type { ContentMode } from '../registry/subscription.ts';
import type { CloudEvent, EventData, EventViolation } from './cloud-event.ts';
import { brokenValueRule } from './attribute-rules.ts';
import { dataFormOf, declaredMediaType } from './data-form.ts';
import {
  attributeHeaders,
  contradictions,
  readAttributes,
  readEventHeaders,
  type EventHeaders,
  type Header,
} from './header-attributes.ts';
import { decodeHeaderValue } from './header-value.ts';
import { isUtf8, parseMediaType } from './media-type.ts';
import { parseBatch, parseStructured, toStructuredJson } from './structured-json.ts';
import { decodeUtf8 } from './utf8.ts';

/**
 * What an HTTP request holds. `unsupported_media_type` is for 415: another event format, another charset, a compressed
 * body, or nothing that looks like a CloudEvent; `invalid` for 400. Batches are valid as a whole or not at all.
 */
export type ParsedHttpRequest =
  | { readonly ok: true; readonly mode: 'structured' | 'binary' | 'batch'; readonly events: readonly CloudEvent[] }
  | {
      readonly ok: false;
      readonly kind: 'unsupported_media_type' | 'invalid';
      readonly violations: readonly EventViolation[];
    };

/** What to POST to a sink. */
export interface HttpNotification {
  /** The mode that was used: not always the one asked for, see {@link toHttpNotification}. */
  readonly mode: ContentMode;
  readonly contentType: string;
  /** The `ce-` headers, lower case; none in structured mode. */
  readonly headers: [string, string][];
  readonly body: Uint8Array;
}

const STRUCTURED_CONTENT_TYPE = 'application/cloudevents+json; charset=UTF-8';
/** Common servers refuse more than 8 KiB (nginx) or 16 KiB (Node) of headers; the rest is for what else a request needs. */
const BINARY_HEADERS_MAX_BYTES = 6 * 1024;
const NO_TYPES = new Map<string, never>();

/**
 * Reads a request in the HTTP binding (HB-2…HB-11).
 *
 * @param headers raw pairs in order of arrival, names in any case, values as Node gives them (one character per octet)
 * @param body exact bytes; binary-mode data is this array, not a copy
 */
export function parseHttpRequest(headers: Iterable<Header>, body: Uint8Array): ParsedHttpRequest {
  const eventHeaders = readEventHeaders(headers, decodeOctets);
  if (eventHeaders.contentEncoding !== undefined) return encodedContent();
  const contentType = eventHeaders.contentType?.toLowerCase() ?? '';
  if (contentType.startsWith('application/cloudevents-batch')) return parseBatchMode(eventHeaders, body);
  if (contentType.startsWith('application/cloudevents')) return parseStructuredMode(eventHeaders, body);
  return eventHeaders.attributes.size > 0 ? parseBinaryMode(eventHeaders, body) : notACloudEvent();
}

/**
 * Writes an event as a notification. Structured: the JSON format, data byte-exact. Binary: attributes as `ce-` headers,
 * data as the body.
 *
 * Binary becomes structured where binary would not carry the event: no payload or no content type (WH-3; an event without
 * data, or with `data_base64` but without `datacontenttype`), text that came as a JSON string but is declared in another
 * charset than UTF-8, or more than 6 KiB of `ce-` headers (CE-12).
 */
export function toHttpNotification(event: CloudEvent, mode: ContentMode): HttpNotification {
  const binary = mode === 'binary' ? toBinaryNotification(event) : undefined;
  return (
    binary ?? { mode: 'structured', contentType: STRUCTURED_CONTENT_TYPE, headers: [], body: toStructuredJson(event) }
  );
}

function toBinaryNotification(event: CloudEvent): HttpNotification | undefined {
  const { data } = event;
  if (data === undefined || data.bytes.length === 0) return undefined;
  const contentType = binaryContentType(event, data);
  if (contentType === undefined) return undefined;
  const headers = attributeHeaders(event, 'datacontenttype');
  return headerBytes(headers) > BINARY_HEADERS_MAX_BYTES
    ? undefined
    : { mode: 'binary', contentType, headers, body: data.bytes };
}

/** JF-7: JSON data without `datacontenttype` is `application/json`, other data without one has none. */
function binaryContentType(event: CloudEvent, data: EventData): string | undefined {
  const declared = event.attributes.get('datacontenttype');
  if (typeof declared !== 'string') return data.form === 'json' ? 'application/json' : undefined;
  const mediaType = data.form === 'text' ? declaredMediaType(declared) : undefined;
  return mediaType === undefined || isUtf8(mediaType) ? declared : undefined;
}

/** Encoded values are ASCII: one character, one byte; 4 more for `: ` and the line end. */
function headerBytes(headers: readonly Header[]): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
}

function parseBatchMode(headers: EventHeaders, body: Uint8Array): ParsedHttpRequest {
  const unsupported = unsupportedFormat(headers, 'application/cloudevents-batch+json');
  if (unsupported !== undefined) return unsupported;
  const parsed = parseBatch(body);
  const violations = [...headers.violations, ...(parsed.ok ? [] : parsed.violations)];
  for (const name of headers.attributes.keys()) {
    violations.push({ rule: 'HB-5', pointer: `ce-${name}`, detail: 'A batch has its attributes in the body only.' });
  }
  return parsed.ok && violations.length === 0
    ? { ok: true, mode: 'batch', events: parsed.events }
    : { ok: false, kind: 'invalid', violations };
}

function parseStructuredMode(headers: EventHeaders, body: Uint8Array): ParsedHttpRequest {
  const unsupported = unsupportedFormat(headers, 'application/cloudevents+json');
  if (unsupported !== undefined) return unsupported;
  const parsed = parseStructured(body);
  const violations = parsed.ok ? contradictions(headers, parsed.event) : [...headers.violations, ...parsed.violations];
  return parsed.ok && violations.length === 0
    ? { ok: true, mode: 'structured', events: [parsed.event] }
    : { ok: false, kind: 'invalid', violations };
}

function parseBinaryMode(headers: EventHeaders, body: Uint8Array): ParsedHttpRequest {
  const violations: EventViolation[] = [];
  const attributes = readAttributes(headers, NO_TYPES, violations);
  if (attributes.delete('datacontenttype')) {
    const detail = 'In HTTP binary mode `datacontenttype` is the `Content-Type` header: leave this header out.';
    violations.push({ rule: 'HB-3', pointer: 'ce-datacontenttype', detail });
  }
  const { contentType } = headers;
  if (contentType !== undefined) {
    const broken = brokenValueRule('datacontenttype', contentType);
    if (broken !== undefined) violations.push({ ...broken, pointer: 'content-type' });
    attributes.set('datacontenttype', contentType);
  }
  if (violations.length > 0) return { ok: false, kind: 'invalid', violations };
  if (body.length === 0) return { ok: true, mode: 'binary', events: [{ attributes }] };
  const form = dataFormOf(declaredMediaType(contentType), body);
  return { ok: true, mode: 'binary', events: [{ attributes, data: { bytes: body, form } }] };
}

/** HB-2: only the JSON format, only in UTF-8. Letter case, parameters and their order do not matter. */
function unsupportedFormat(headers: EventHeaders, essence: string): ParsedHttpRequest | undefined {
  const mediaType = parseMediaType(headers.contentType ?? '');
  if (mediaType?.essence === essence && isUtf8(mediaType)) return undefined;
  return unsupportedMediaType('HB-2', 'content-type', `The supported format is \`${essence}\`, in UTF-8.`);
}

/** HB-11: nothing says that this is an event, most often a structured event sent as plain `application/json`. */
function notACloudEvent(): ParsedHttpRequest {
  return unsupportedMediaType(
    'HB-11',
    'content-type',
    'This is not a CloudEvent: send `Content-Type: application/cloudevents+json` and the event as JSON, or the headers `ce-specversion`, `ce-id`, `ce-source` and `ce-type` and the data as the body.',
  );
}

/** HB-3: the body is the data as it is. Compressed bytes would reach subscribers without the header that says so. */
function encodedContent(): ParsedHttpRequest {
  return unsupportedMediaType('HB-3', 'content-encoding', 'The body must not be compressed: leave this header out.');
}

function unsupportedMediaType(rule: string, pointer: string, detail: string): ParsedHttpRequest {
  return { ok: false, kind: 'unsupported_media_type', violations: [{ rule, pointer, detail }] };
}

/**
 * Senders that do not percent-encode put raw UTF-8 on the wire, which Node shows as one character per octet. Raw octets that
 * are not UTF-8 are refused like encoded ones (HB-8).
 */
function decodeOctets(value: string): string | undefined {
  const text = /[\u0080-\uffff]/.test(value) ? textOfOctets(value) : value;
  return text === undefined ? undefined : decodeHeaderValue(text);
}

function textOfOctets(value: string): string | undefined {
  if (/[\u0100-\uffff]/.test(value)) return undefined;
  return decodeUtf8(Uint8Array.from(value, (char) => char.charCodeAt(0)));
}
