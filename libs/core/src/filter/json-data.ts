import type { EventData } from '../event/cloud-event.ts';
import { decodeUtf8 } from '../event/utf8.ts';

/** A JSON value whose long numbers kept their digits. */
export type JsonValue =
  null | boolean | string | number | ExactNumber | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** A number that floating point may not hold, as it stood in the text. */
export class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** As conditions write such a number. */
  toJSON(): { readonly decimal: string } {
    return { decimal: this.text };
  }
}

/**
 * What the data of an event is as a JSON value: JSON data itself, text as one string; undefined for no data, and for
 * bytes that nobody said the form of.
 */
export function readJsonData(data: EventData | undefined): JsonValue | undefined {
  if (data === undefined || data.form === 'bytes') return undefined;
  const text = decodeUtf8(data.bytes);
  if (text === undefined || data.form === 'text') return text;
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** Up to 15 digits, every decimal number has a floating-point number of its own. */
const MAYBE_LONG_NUMBER = /[\d.]{16}|\d[eE]/;
const IS_LONG_NUMBER = /.{16}|[eE]/;

type Reviver = (this: unknown, key: string, value: unknown, context?: { readonly source?: string }) => unknown;

/** The reviver costs seven times the parse (28 µs for 1 KB), so only where the text may hold a number that needs it. */
function parseJson(text: string): JsonValue {
  if (!MAYBE_LONG_NUMBER.test(text)) return JSON.parse(text) as JsonValue;
  const keepDigits: Reviver = (_key, value, context) => {
    const source = context?.source;
    return typeof value === 'number' && source !== undefined && IS_LONG_NUMBER.test(source)
      ? new ExactNumber(source)
      : value;
  };
  return JSON.parse(text, keepDigits) as JsonValue;
}

/** The reference tokens of a JSON Pointer (RFC 6901), undefined when the text is none. */
export function parsePointer(pointer: string): readonly string[] | undefined {
  if (pointer === '') return [];
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined;
  const unescape = (token: string) => token.replaceAll('~1', '/').replaceAll('~0', '~');
  return pointer.slice(1).split('/').map(unescape);
}

const ARRAY_INDEX = /^(?:0|[1-9]\d*)$/;

/** The value that a pointer names; undefined when there is none. Of members that stand twice, the last counts. */
export function valueAt(root: JsonValue | undefined, tokens: readonly string[]): JsonValue | undefined {
  let value = root;
  for (const token of tokens) {
    if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return undefined;
    if (isArray(value)) value = ARRAY_INDEX.test(token) ? value[Number(token)] : undefined;
    else value = Object.hasOwn(value, token) ? value[token] : undefined;
  }
  return value;
}

function isArray(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}
