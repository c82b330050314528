import { WEBHOOK_HEADERS } from './header-names.ts';
import { fieldValue, type HeaderPair, type HttpMessageHead, type HttpRequestHead } from './http-message.ts';
import { componentValue } from './rfc9421-components.ts';
import {
  parseDictionary,
  serializeMember,
  type BareItem,
  type FieldType,
  type InnerList,
  type Item,
} from './structured-fields.ts';
import { UnsignableMessage } from './unsignable-message.ts';
import type { Unsigned } from './unsigned.ts';

/** Algorithms of keys that tenants have, by their names in RFC 9421. */
export const KEY_ALGORITHMS = ['ecdsa-p256-sha256', 'ed25519'] as const;
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** Stands for all `ce-` fields of a notification, whichever it has: those of the binary mode. */
export const ALL_CE_FIELDS = 'ce-*';

/**
 * What a signature covers unless the subscription says otherwise (MS-8). Not `content-length`: proxies change it, and
 * the digest covers the content.
 */
export const DEFAULT_COMPONENTS = [
  '@method',
  '@target-uri',
  'content-digest',
  'content-type',
  WEBHOOK_HEADERS.id,
  ALL_CE_FIELDS,
] as const;

/**
 * Components as a message has them: `webhook-id` stands for the header with the id, whatever the tenant's prefix is. Were it
 * left as it is, another prefix would take the id out of the signature without anybody noticing.
 */
export function namedComponents(components: readonly string[], idHeader: string): readonly string[] {
  if (idHeader === WEBHOOK_HEADERS.id) return components;
  return components.map((name) => (name === WEBHOOK_HEADERS.id ? idHeader : name));
}

/** Derived components that a subscription may name; others are no use in a POST to a sink. */
export const DERIVED_COMPONENTS = [
  '@method',
  '@target-uri',
  '@authority',
  '@scheme',
  '@request-target',
  '@path',
  '@query',
] as const;

export const DEFAULT_TAG = 'cloudevents-webhook';

/** Parameters of a signature, in the order in which they are sent. Instants are Unix seconds. */
export interface SignatureParameters {
  readonly created?: number;
  readonly expires?: number;
  readonly keyid?: string;
  readonly alg?: string;
  readonly nonce?: string;
  readonly tag?: string;
}

export interface Rfc9421Settings {
  /** Names as a subscription lists them; a field that the request does not have is left out. */
  readonly components: readonly string[];
  readonly params: SignatureParameters;
  /** Name of the signature. Default `sig1`. */
  readonly label?: string;
}

/**
 * A request to be signed by RFC 9421. `head.headers` holds everything that is covered, the `content-digest` included.
 *
 * @throws UnsignableMessage
 */
export function prepareRfc9421(
  head: HttpRequestHead,
  { components, params, label = 'sig1' }: Rfc9421Settings,
): Unsigned {
  const input: InnerList = {
    kind: 'list',
    items: expand(components, head).map((name) => ({
      kind: 'item',
      bare: { type: 'string', value: name },
      params: new Map(),
    })),
    params: parameterItems(params),
  };
  return {
    pieces: [signatureBase(head, input)],
    encoding: 'base64',
    headersWith: (signatures) => [
      ['signature-input', `${label}=${serializeMember(input)}`],
      ['signature', signatures.map((signature) => `${label}=:${signature}:`).join(', ')],
    ],
  };
}

function expand(components: readonly string[], { headers }: HttpRequestHead): string[] {
  const sent = new Set(headers.map(([name]) => name.toLowerCase()));
  const names = components.flatMap((name) => {
    if (name === ALL_CE_FIELDS) return [...sent].filter((field) => field.startsWith('ce-'));
    return name.startsWith('@') || sent.has(name) ? [name] : [];
  });
  return [...new Set(names)];
}

function parameterItems({ created, expires, ...texts }: SignatureParameters): Map<string, BareItem> {
  const { keyid, alg, nonce, tag } = texts;
  const items = new Map<string, BareItem>();
  for (const [name, value] of Object.entries({ created, expires })) {
    if (value !== undefined) items.set(name, { type: 'integer', value });
  }
  for (const [name, value] of Object.entries({ keyid, alg, nonce, tag })) {
    if (value === undefined) continue;
    if (!/^[\x20-\x7e]*$/.test(value)) throw new UnsignableMessage(`its ${name} has characters outside ASCII`);
    items.set(name, { type: 'string', value });
  }
  return items;
}

/**
 * What is signed: a line per component, and last the parameters (RFC 9421 section 2.5). No line break at the end.
 *
 * @throws UnsignableMessage when a component is missing, unknown or there twice (MS-7)
 */
export function signatureBase(
  message: HttpMessageHead,
  input: InnerList,
  fieldTypes?: Readonly<Record<string, FieldType>>,
): string {
  const seen = new Set<string>();
  const lines = input.items.map((item) => {
    const id = serializeMember(item);
    if (seen.has(identity(item))) throw new UnsignableMessage(`${id} is covered twice`);
    seen.add(identity(item));
    return `${id}: ${componentValue(message, item, fieldTypes)}`;
  });
  return [...lines, `"@signature-params": ${serializeMember(input)}`].join('\n');
}

/** The order of the parameters makes no other component. */
function identity({ bare, params }: Item): string {
  const sorted = [...params].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return serializeMember({ kind: 'item', bare, params: new Map(sorted) });
}

/** One signature of a message, as it was received. */
export interface ReceivedSignature {
  readonly label: string;
  /** Components and parameters; what {@link signatureBase} is made of. */
  readonly input: InnerList;
  readonly params: SignatureParameters;
  readonly signature: Uint8Array;
}

export type ParsedSignatures =
  | { readonly ok: true; readonly signatures: readonly ReceivedSignature[] }
  /** What is wrong with which header. */
  | { readonly ok: false; readonly detail: string };

/** Reads `Signature-Input` and `Signature`: every label has to be in both (MS-7). Neither there: no signatures. */
export function parseSignatures(headers: readonly HeaderPair[]): ParsedSignatures {
  const inputs = parseDictionary(fieldValue(headers, 'signature-input') ?? '');
  const values = parseDictionary(fieldValue(headers, 'signature') ?? '');
  if (inputs === undefined) return malformed('Signature-Input is not a dictionary (RFC 8941)');
  if (values === undefined) return malformed('Signature is not a dictionary (RFC 8941)');
  for (const label of values.keys()) {
    if (!inputs.has(label)) return malformed(`Signature has "${label}", Signature-Input has not`);
  }
  const signatures: ReceivedSignature[] = [];
  for (const [label, input] of inputs) {
    const value = values.get(label);
    if (value?.kind !== 'item' || value.bare.type !== 'bytes')
      return malformed(`Signature has no bytes for "${label}"`);
    const params = input.kind === 'list' ? readParameters(input) : undefined;
    if (input.kind !== 'list' || params === undefined) {
      return malformed(`Signature-Input of "${label}" has no list of components, or a parameter of the wrong type`);
    }
    signatures.push({ label, input, params, signature: value.bare.value });
  }
  return { ok: true, signatures };
}

const PARAMETER_TYPES = {
  created: 'integer',
  expires: 'integer',
  keyid: 'string',
  alg: 'string',
  nonce: 'string',
  tag: 'string',
} as const;

function readParameters({ params }: InnerList): SignatureParameters | undefined {
  const read: Record<string, string | number> = {};
  for (const [name, type] of Object.entries(PARAMETER_TYPES)) {
    const bare = params.get(name);
    if (bare === undefined) continue;
    if (bare.type !== type) return undefined;
    read[name] = bare.value as string | number;
  }
  return read;
}

function malformed(detail: string): ParsedSignatures {
  return { ok: false, detail: `${detail}.` };
}
