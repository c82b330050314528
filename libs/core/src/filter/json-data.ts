import type { EventData } from '../event/cloud-event.ts';
import { endOfScalar, endOfString, skipSpace, stringAt } from '../event/json-members.ts';
import { decodeUtf8 } from '../event/utf8.ts';
import { parseDecimal, type Decimal } from './decimal.ts';

/** A JSON value whose long numbers kept their digits. */
export type JsonValue =
  null | boolean | string | number | ExactNumber | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** A number that floating point may not hold, as it stood in the text. */
export class ExactNumber {
  readonly text: string;
  #decimal: Decimal | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** Read once: it may be as long as the data, and be compared with thousands. */
  get decimal(): Decimal {
    return (this.#decimal ??= parseDecimal(this.text));
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

function parseJson(text: string): JsonValue {
  const value = JSON.parse(text) as JsonValue;
  return MAYBE_LONG_NUMBER.test(text) ? readKeepingDigits(text) : value;
}

/**
 * The value of a text that has passed `JSON.parse`. Rejected: `JSON.parse` with a reviver, which takes half a second for a
 * megabyte of small numbers, and ends at some 2,000 levels, where the stack does; this takes as long for each byte,
 * however deep.
 */
function readKeepingDigits(text: string): JsonValue {
  const top: JsonValue[] = [];
  const open: Container[] = [top];
  let name: string | undefined;

  function add(value: JsonValue): void {
    const container = open.at(-1) ?? top;
    if (Array.isArray(container)) container.push(value);
    else if (name !== undefined) container[name] = value;
    name = undefined;
  }

  for (let at = skipSpace(text, 0); at < text.length; at = skipSpace(text, at)) {
    const start = at;
    const first = text.charAt(start);
    at++;
    if (first === '{' || first === '[') {
      const container: Container = first === '[' ? [] : (Object.create(null) as Members);
      add(container);
      open.push(container);
    } else if (first === '}' || first === ']') open.pop();
    else if (first === '"') {
      at = endOfString(text, start);
      const value = stringAt(text, start, at);
      if (name === undefined && !Array.isArray(open.at(-1))) name = value;
      else add(value);
    } else if (first !== ',' && first !== ':') {
      at = endOfScalar(text, start);
      add(scalarOf(text.slice(start, at)));
    }
  }
  return top[0] ?? null;
}

type Members = Record<string, JsonValue>;
type Container = JsonValue[] | Members;

function scalarOf(text: string): JsonValue {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'null') return null;
  return IS_LONG_NUMBER.test(text) ? new ExactNumber(text) : Number(text);
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
