import {
  attributeToString,
  type CloudEvent,
  type DataForm,
  type EventViolation,
  type ParsedEvent,
} from './cloud-event.ts';
import { isCoreAttribute } from './attribute-rules.ts';
import { definedType, typedValue, typeOf, type AttributeType } from './attribute-types.ts';
import { canHaveForm, dataFormOf, declaredMediaType, isFormByType } from './data-form.ts';
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
import { parseStructured } from './structured-json.ts';

/** A NATS message in binary mode. */
export interface NatsMessage {
  readonly headers: [string, string][];
  readonly payload: Uint8Array;
}

/**
 * `ph-data-form: json | text | bytes`: written when content type and payload alone would give another form, or when there
 * is data of zero bytes. Believed only if the payload can have that form.
 */
const DATA_FORM = 'ph-data-form';
/**
 * `ph-attribute-types: retries=i,final=b,sampledrate=s`: the attributes whose type is not the one of their definition.
 * Believed only where the value is the canonical form of one of that type.
 */
const ATTRIBUTE_TYPES = 'ph-attribute-types';

const LETTER_OF_TYPE: Readonly<Record<AttributeType, string>> = { string: 's', integer: 'i', boolean: 'b' };
const TYPE_OF_LETTER: ReadonlyMap<string | undefined, AttributeType> = new Map([
  ['s', 'string'],
  ['i', 'integer'],
  ['b', 'boolean'],
]);
const NO_TYPES: ReadonlyMap<string, AttributeType> = new Map();
const EMPTY = new Uint8Array(0);
const OPEN_BRACE = 0x7b;
const SPACE = 0x20;

/**
 * Reads a message in the NATS binding: binary mode, or structured with `Content-Type: application/cloudevents+json` (NB-2).
 * Peers of version 1.0.2 send structured without any header, so a JSON object without `ce-specversion` is read as
 * structured too. Our own `ph-` headers are hints: what does not fit the message is ignored.
 *
 * @param headers names in any case (NB-4)
 * @param payload exact bytes; the data is this array or a view of it, not a copy
 */
export function parseNatsMessage(headers: Iterable<Header>, payload: Uint8Array): ParsedEvent {
  const eventHeaders = readEventHeaders(headers, decodeHeaderValue);
  const contentType = eventHeaders.contentType?.toLowerCase() ?? '';
  if (contentType.startsWith('application/cloudevents')) return parseStructuredMessage(eventHeaders, payload);
  if (!eventHeaders.attributes.has('specversion') && looksLikeObject(payload)) {
    const structured = parseStructuredMessage(eventHeaders, payload);
    if (structured.ok || eventHeaders.attributes.size === 0) return structured;
  }
  return parseBinaryMessage(eventHeaders, payload);
}

/**
 * Writes an event in binary mode (NB-3): every attribute as a lower-case `ce-` header, `ce-datacontenttype` included, the data
 * as the payload, and `ph-` headers only for what this loses: {@link parseNatsMessage} gives back an equal event.
 */
export function toNatsMessage(event: CloudEvent): NatsMessage {
  const headers = attributeHeaders(event);
  const types = unusualTypes(event);
  if (types !== '') headers.push([ATTRIBUTE_TYPES, types]);
  const { data } = event;
  if (data === undefined) return { headers, payload: EMPTY };
  const mediaType = declaredMediaType(event.attributes.get('datacontenttype'));
  if (data.bytes.length === 0 || !isFormByType(data.form, mediaType, data.bytes)) headers.push([DATA_FORM, data.form]);
  return { headers, payload: data.bytes };
}

/**
 * Bytes of the header block on the wire (CE-12). With the payload they count against `max_payload`; JetStream refuses a
 * header block above 64 KiB.
 */
export function natsHeaderBytes(headers: readonly Header[]): number {
  const lines = headers.reduce(
    (sum, [name, value]) => sum + name.length + ': '.length + value.length + '\r\n'.length,
    0,
  );
  return 'NATS/1.0\r\n'.length + lines + '\r\n'.length;
}

function parseStructuredMessage(headers: EventHeaders, payload: Uint8Array): ParsedEvent {
  const mediaType = headers.contentType === undefined ? undefined : parseMediaType(headers.contentType);
  if (
    headers.contentType !== undefined &&
    !(mediaType?.essence === 'application/cloudevents+json' && isUtf8(mediaType))
  ) {
    const detail = 'On NATS a structured event is `application/cloudevents+json` in UTF-8; there are no batches.';
    return { ok: false, violations: [{ rule: 'NB-1', pointer: 'content-type', detail }] };
  }
  const parsed = parseStructured(payload);
  if (!parsed.ok) return { ok: false, violations: [...headers.violations, ...parsed.violations] };
  const violations = contradictions(headers, parsed.event);
  return violations.length === 0 ? parsed : { ok: false, violations };
}

function parseBinaryMessage(headers: EventHeaders, payload: Uint8Array): ParsedEvent {
  const violations: EventViolation[] = [];
  const attributes = readAttributes(headers, typesOf(headers.hints.get(ATTRIBUTE_TYPES)), violations);
  if (violations.length > 0) return { ok: false, violations };
  const form = formOf(headers, payload);
  return { ok: true, event: form === undefined ? { attributes } : { attributes, data: { bytes: payload, form } } };
}

function formOf(headers: EventHeaders, payload: Uint8Array): DataForm | undefined {
  const mediaType = declaredMediaType(headers.attributes.get('datacontenttype'));
  const hint = headers.hints.get(DATA_FORM);
  if (isDataForm(hint) && canHaveForm(hint, mediaType, payload)) return hint;
  return payload.length === 0 ? undefined : dataFormOf(mediaType, payload);
}

function isDataForm(text: string | undefined): text is DataForm {
  return text === 'json' || text === 'text' || text === 'bytes';
}

function typesOf(header: string | undefined): ReadonlyMap<string, AttributeType> {
  if (header === undefined) return NO_TYPES;
  const types = new Map<string, AttributeType>();
  for (const entry of header.split(',')) {
    const [name = '', letter] = entry.split('=');
    const type = TYPE_OF_LETTER.get(letter);
    if (type !== undefined && !isCoreAttribute(name)) types.set(name, type);
  }
  return types;
}

function unusualTypes(event: CloudEvent): string {
  const entries: string[] = [];
  for (const [name, value] of event.attributes) {
    if (typedValue(attributeToString(value), definedType(name)) !== value) {
      entries.push(`${name}=${LETTER_OF_TYPE[typeOf(value)]}`);
    }
  }
  return entries.join(',');
}

function looksLikeObject(payload: Uint8Array): boolean {
  const first = payload.find((byte) => byte > SPACE);
  return first === OPEN_BRACE;
}
