import { failure, type VerificationFailure } from './failure.ts';

/** Larger bodies are not searched: the search costs a few more hashes. */
const SEARCHED_MAX_BYTES = 1024 * 1024;

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
    return [
      ['as compact JSON', JSON.stringify(value)],
      ['as JSON that is indented by 2', JSON.stringify(value, undefined, 2)],
      ['as JSON that is indented by 4', JSON.stringify(value, undefined, 4)],
    ];
  } catch {
    return [];
  }
}

/** UTF-8 that was read as Latin-1 and encoded again. */
function encodedOnce(text: string): Candidate[] {
  if (!/^[\0-\xff]*[\x80-\xff][\0-\xff]*$/.test(text)) return [];
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
