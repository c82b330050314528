import { endOfString } from '#core/event/json-members';
import { ProblemError } from '#platform/problem';

/**
 * The JSON value of a request body. The content type is not looked at: these routes take nothing else.
 *
 * @param body the raw bytes; no body at all is an empty text. They are gone afterwards: secrets of sinks come in bodies, and a
 * small body lies in memory that Node shares among its buffers, which stays for as long as any of them does
 * @throws ProblemError 400 with the place of the mistake
 */
export function readJson(body: unknown): unknown {
  const text = takeUtf8(body instanceof Uint8Array ? body : new Uint8Array());
  if (text.trim() === '') throw invalid('The request has no body; send a JSON object.', '');
  const value = parseJson(text);
  if (isTooDeep(text)) throw invalid(`The body is nested deeper than ${MAX_DEPTH} levels.`, '');
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { line, column, reason } = locate(text, error as SyntaxError);
    throw invalid(
      `The body is not JSON: ${reason} at line ${line}, column ${column}.`,
      `line ${line}, column ${column}`,
    );
  }
}

/** What reads and changes bodies is recursive; a text of 1 MiB can have half a million levels. */
const MAX_DEPTH = 1000;

/** @param text JSON */
function isTooDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at) - 1;
    else if (char === '{' || char === '[') depth++;
    else if (char === '}' || char === ']') depth--;
    if (depth > MAX_DEPTH) return true;
  }
  return false;
}

/** As {@link readJson}; no body counts as `{}`, where every member is optional. */
export function readOptionalJson(body: unknown): unknown {
  return body instanceof Uint8Array && body.length > 0 ? readJson(body) : {};
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function takeUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw invalid('The body is not valid UTF-8, so it cannot be JSON.', '');
  } finally {
    bytes.fill(0);
  }
}

function invalid(detail: string, pointer: string): ProblemError {
  return new ProblemError({ status: 400, code: 'invalid-json', detail, errors: [{ pointer, detail }] });
}

interface Place {
  readonly line: number;
  readonly column: number;
  readonly reason: string;
}

function locate(text: string, error: SyntaxError): Place {
  const told = /^(.*?)(?: in JSON)? at position (\d+)/s.exec(error.message);
  const offset = told?.[2] === undefined ? firstUnexpected(text) : Number(told[2]);
  const before = text.slice(0, offset).split('\n');
  const column = (before.at(-1)?.length ?? 0) + 1;
  return { line: before.length, column, reason: told?.[1] ?? unexpected(text, offset) };
}

function unexpected(text: string, offset: number): string {
  return offset >= text.length ? 'it ends too early' : `unexpected ${JSON.stringify(text.charAt(offset))}`;
}

/**
 * V8 does not tell the place of an unexpected token. It is the end of the longest prefix that does not have one: a cut
 * text fails in other ways. Bisected, so it takes about 20 parses of a text of 1 MiB.
 */
function firstUnexpected(text: string): number {
  let good = 0;
  let bad = text.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (hasUnexpectedToken(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return good;
}

function hasUnexpectedToken(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    return (error as Error).message.startsWith('Unexpected token');
  }
}
