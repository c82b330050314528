import { failure, type VerificationFailure } from './failure.ts';

/** Larger bodies are not searched. Whoever has no key can have a body searched, so that has to cost about as much as it costs him. */
const SEARCHED_MAX_BYTES = 64 * 1024;

/** In characters; 8 KB that are nested deeply would be 60 MB. */
const INDENTED_MAX_LENGTH = 4 * SEARCHED_MAX_BYTES;

/**
 * What commonly happens to a body between the wire and the verification, undone. When one of these fits, it is not the
 * secret that is wrong.
 */
export function explainBody(
  body: Uint8Array,
  fits: (candidate: Uint8Array) => boolean,
): VerificationFailure | undefined {
  if (body.length === 0 || body.length > SEARCHED_MAX_BYTES) return undefined;
  const found = candidates(body).find(({ bytes }) => fits(bytes));
  if (found === undefined) return undefined;
  return failure(
    'body_altered',
    `It fits the body ${found.how}, so the secret is right and something changed the body before it was verified. ` +
      'Verify the raw bytes of the request, before any parser, framework hook or proxy that rewrites them.',
  );
}

interface Candidate {
  readonly how: string;
  readonly bytes: Uint8Array;
}

function candidates(body: Uint8Array): Candidate[] {
  const text = decode(body);
  if (text === undefined) return [];
  const texts: [how: string, text: string][] = [
    ['without the line break at its end', text.replace(/\r?\n$/, '')],
    ['with a line break at its end', `${text}\n`],
    ['with LF instead of CR LF', text.replaceAll('\r\n', '\n')],
    ['without a byte order mark', text.replace(/^\ufeff/, '')],
    ...reserialised(text),
  ];
  const byText = texts.flatMap(([how, one]) => (one === text ? [] : [{ how, bytes: encoder.encode(one) }]));
  return [...byText, ...encodedOnce(text)];
}

function reserialised(text: string): [how: string, text: string][] {
  try {
    const value: unknown = JSON.parse(text);
    const compact = JSON.stringify(value);
    const asCompact: [string, string] = ['as compact JSON', compact];
    if (indentedLength(compact) > INDENTED_MAX_LENGTH) return [asCompact];
    return [
      asCompact,
      ['as JSON that is indented by 2', JSON.stringify(value, undefined, 2)],
      ['as JSON that is indented by 4', JSON.stringify(value, undefined, 4)],
    ];
  } catch {
    return [];
  }
}

/** About how long compact JSON gets when it is indented by 4. */
function indentedLength(compact: string): number {
  let depth = 0;
  let length = compact.length;
  for (const [token] of compact.matchAll(/"(?:[^"\\]+|\\.)*"|[[\]{},]/g)) {
    if (token.startsWith('"')) continue;
    if (token === '[' || token === '{') depth++;
    if (token === ']' || token === '}') depth--;
    length += 1 + 4 * depth;
  }
  return length;
}

/** UTF-8 that was read as Latin-1 and encoded again. */
function encodedOnce(text: string): Candidate[] {
  const isLatin1 = !/[^\0-\xff]/.test(text);
  if (!isLatin1 || !/[\x80-\xff]/.test(text)) return [];
  return [{ how: 'with its characters encoded once', bytes: Uint8Array.from(text, (char) => char.charCodeAt(0)) }];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
