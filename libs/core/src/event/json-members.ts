/** A member of a JSON object: its name, and where the text of its value starts and ends (exclusive), in UTF-16 units. */
export interface JsonMember {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;

/**
 * The members of the object whose `{` stands at `open`, in order and with duplicates: what `JSON.parse` forgets (CE-6,
 * JF-9). The text must have passed `JSON.parse`; this scanner only finds boundaries.
 *
 * Measured on a 0.9 KB event: `JSON.parse` 4.1 µs and this scan 1.9 µs. Rejected: `JSON.parse` with a reviver, whose
 * `context.source` takes 28 µs and has no text for objects and arrays.
 */
export function membersOf(text: string, open: number): JsonMember[] {
  const members: JsonMember[] = [];
  let at = skipSpace(text, open + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const nameEnd = endOfString(text, at);
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, start);
    members.push({ name: stringAt(text, at, nameEnd), start, end });
    at = afterComma(text, end);
  }
  return members;
}

/** Where the values of the array whose `[` stands at `open` start. The text must have passed `JSON.parse`. */
export function elementsOf(text: string, open: number): number[] {
  const starts: number[] = [];
  let at = skipSpace(text, open + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACKET) {
    starts.push(at);
    at = afterComma(text, endOfValue(text, at));
  }
  return starts;
}

export function skipSpace(text: string, from: number): number {
  let at = from;
  while (text.charCodeAt(at) <= SPACE) at++;
  return at;
}

function afterComma(text: string, from: number): number {
  const at = skipSpace(text, from);
  return text.charCodeAt(at) === COMMA ? skipSpace(text, at + 1) : at;
}

/** The string whose quotes are the first and the last character, unescaped: the name `"\u0069d"` is `id`. */
export function stringAt(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1);
  return raw.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : raw;
}

export function endOfString(text: string, open: number): number {
  let at = open + 1;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    at += code === BACKSLASH ? 2 : 1;
  }
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  return first === OPEN_BRACE || first === OPEN_BRACKET ? endOfNested(text, start) : endOfScalar(text, start);
}

function endOfNested(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--;
    at++;
  } while (depth > 0);
  return at;
}

export function endOfScalar(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET) break;
  }
  return at;
}
