import { decodeBase64 } from '../event/base64.ts';
import { fieldValue, originForm, type HeaderPair, type HttpMessageHead, type HttpRequestHead } from './http-message.ts';
import { parseDictionary, quoted, serializeMember } from './structured-fields.ts';
import { UnsignableMessage } from './unsignable-message.ts';
import type { Unsigned } from './unsigned.ts';

/*
 * draft-ietf-httpbis-message-signatures-05 (June 2021), the predecessor of RFC 9421 that is still spoken. It looks the
 * same and is not: `@request-target` has the method in lower case before it, and there are no other derived components.
 */

/** What is covered, in the order of the requests that this profile was made for. */
export const DRAFT05_COMPONENTS = [
  'date',
  'content-type',
  'digest',
  'content-length',
  'user-agent',
  '@request-target',
] as const;

export interface Draft05Settings {
  /** URL of the public key. */
  readonly keyid: string;
  readonly nonce: string;
  /** Unix seconds; left out by those who sign a `date`. */
  readonly created?: number;
  /**
   * True leaves the quotes of the nonce out, as some senders do. That is no structured field any more, and the base has
   * to have the same text (MS-2).
   */
  readonly hasBareNonce?: boolean;
  readonly components?: readonly string[];
}

/**
 * A request to be signed with ECDSA P-256 and SHA-256, the signature being r and s in 64 bytes (MS-1). `head.headers`
 * holds every field that is covered.
 *
 * @throws UnsignableMessage
 */
export function prepareDraft05(head: HttpRequestHead, settings: Draft05Settings): Unsigned {
  const { components = DRAFT05_COMPONENTS } = settings;
  const input = `(${components.map(quoted).join(' ')})${parametersOf(settings)}`; // made once, sent and signed (MS-3)
  return {
    pieces: [draft05Base(head, { components: components.map(quoted), text: input })],
    encoding: 'base64',
    headersWith: (signatures) => [
      ['signature-input', `sig1=${input}`],
      ['signature', signatures.map((signature) => `sig1=:${signature}:`).join(', ')],
    ],
  };
}

function parametersOf({ keyid, nonce, created, hasBareNonce = false }: Draft05Settings): string {
  const parts = [
    ...(created === undefined ? [] : [`created=${created}`]),
    'alg="ecdsa-p256-sha256"',
    `keyid=${quoted(keyid)}`,
    `nonce=${hasBareNonce ? nonce : quoted(nonce)}`,
  ];
  return parts.map((part) => `;${part}`).join('');
}

/** The head of one signature: its components as identifiers (`"date"`, `"signature";key="sig1"`), and the whole text. */
interface SignedHead {
  readonly components: readonly string[];
  readonly text: string;
}

/**
 * What is signed: a line per component, and last the parameters, byte for byte as in `Signature-Input` (MS-3).
 *
 * @throws UnsignableMessage when a component is missing, unknown or there twice (MS-7)
 */
export function draft05Base(message: HttpMessageHead, { components, text }: SignedHead): string {
  if (new Set(components).size < components.length) throw new UnsignableMessage('a component is covered twice');
  const lines = components.map((id) => `${id}: ${componentValue(message, id)}`);
  return [...lines, `"@signature-params": ${text}`].join('\n');
}

function componentValue(message: HttpMessageHead, id: string): string {
  const [, name = '', key] = /^"([^"]+)"(?:;key="?([a-z0-9_.*-]+)"?)?$/.exec(id) ?? [];
  const value = name === '@request-target' ? requestTarget(message) : fieldValue(message.headers, name);
  const member = key === undefined ? value : memberOf(value, key);
  if (member === undefined) throw new UnsignableMessage(`${id} is not in the message, or not known`);
  return member;
}

function memberOf(value: string | undefined, key: string): string | undefined {
  const member = parseDictionary(value ?? '')?.get(key);
  return member && serializeMember(member);
}

/** Lower-case method, blank, path and query; of the other forms of a request line only what is like a path. */
function requestTarget(message: HttpMessageHead): string | undefined {
  if ('status' in message) return undefined;
  const { method, url, requestTarget: target = originForm(url) } = message;
  return `${method.toLowerCase()} ${pathOf(target)}`;
}

function pathOf(target: string): string {
  if (target === '*' || target.startsWith('/')) return target;
  return target.includes('://') ? originForm(target) : '/';
}

export interface Draft05Signature extends SignedHead {
  readonly label: string;
  /** As sent, quotes of strings removed. */
  readonly params: ReadonlyMap<string, string>;
  readonly signature: Uint8Array;
}

/**
 * The signatures of a message. Forgiving where the senders of this draft are: a nonce without quotes is read, and what
 * has no `Signature-Input` is left out, as the draft demands.
 */
export function parseDraft05(headers: readonly HeaderPair[]): readonly Draft05Signature[] {
  const values = new Map(splitOutside(fieldValue(headers, 'signature') ?? '', ',').map(splitMember));
  return splitOutside(fieldValue(headers, 'signature-input') ?? '', ',').flatMap((member) => {
    const [label, text] = splitMember(member);
    const [, list, rest = ''] = /^\(((?:[^()"]|"[^"]*")*)\)(.*)$/.exec(text) ?? [];
    const signature = decodeBase64(/^:(.*):$/.exec(values.get(label) ?? '')?.[1] ?? '-');
    if (list === undefined || signature === undefined) return [];
    const components = list
      .split(/ (?=")/)
      .map((id) => id.trim())
      .filter((id) => id !== '');
    return [{ label, text, components, params: readParams(rest), signature }];
  });
}

function readParams(text: string): ReadonlyMap<string, string> {
  const pairs = splitOutside(text, ';').map(splitMember);
  return new Map(pairs.map(([name, value]) => [name, value.replace(/^"(.*)"$/, '$1')]));
}

function splitMember(member: string): [name: string, value: string] {
  const at = member.indexOf('=');
  return at < 0 ? [member, ''] : [member.slice(0, at), member.slice(at + 1)];
}

/**
 * Splits at a separator that stands neither in quotes nor, for a comma, in parentheses; empty parts are dropped. What is
 * opened and never closed opens nothing; that is looked for once, however often it is opened.
 */
function splitOutside(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  const ends: Record<string, string> = separator === ',' ? { '"': '"', '(': ')' } : { '"': '"' };
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? '';
    const end = ends[char];
    const closed = end === undefined ? at : text.indexOf(end, at + 1);
    if (closed < 0) delete ends[char];
    else at = closed;
    if (char !== separator) continue;
    parts.push(text.slice(start, at));
    start = at + 1;
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}
