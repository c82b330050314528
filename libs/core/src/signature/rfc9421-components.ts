import { encodeBase64 } from '../event/base64.ts';
import { decodeUtf8, encodeUtf8 } from '../event/utf8.ts';
import { fieldLines, originForm, splitUrl, type HttpMessageHead, type HttpRequestHead } from './http-message.ts';
import {
  canonicalField,
  parseDictionary,
  serializeMember,
  type BareItem,
  type FieldType,
  type Item,
} from './structured-fields.ts';
import { UnsignableMessage } from './unsignable-message.ts';

/** Types of the fields that `sf` may be asked of. Whoever covers others with it says their types. */
const FIELD_TYPES: Readonly<Record<string, FieldType>> = {
  'content-digest': 'dictionary',
  'repr-digest': 'dictionary',
  signature: 'dictionary',
  'signature-input': 'dictionary',
  'signature-agent': 'dictionary',
};

/**
 * The value of a component of a message (RFC 9421 section 2).
 *
 * @throws UnsignableMessage when it is missing, not known, or not to be had of such a message (MS-7)
 */
export function componentValue(
  message: HttpMessageHead,
  component: Item,
  fieldTypes: Readonly<Record<string, FieldType>> = {},
): string {
  const id = serializeMember(component);
  const refuse = (why: string): never => {
    throw new UnsignableMessage(`${id} ${why}`);
  };
  const { bare, params } = component;
  if (bare.type !== 'string' || bare.value !== bare.value.toLowerCase())
    return refuse('is not the name of a component');
  const own = new Map(params);
  const target = own.delete('req') ? ('status' in message ? message.request : undefined) : message;
  if (target === undefined) return refuse('asks for the request that a response answers, and there is none');
  const value = bare.value.startsWith('@')
    ? derivedValue(target, bare.value, own)
    : fieldComponent(target, bare.value, own, { ...FIELD_TYPES, ...fieldTypes });
  if (value === undefined) return refuse('is not in the message, or not known');
  return /^[\t\x20-\x7e]*$/.test(value) ? value : refuse('has characters outside ASCII, or a line break');
}

type Params = ReadonlyMap<string, BareItem>;

function derivedValue(message: HttpMessageHead, name: string, params: Params): string | undefined {
  if (name === '@query-param') return 'status' in message ? undefined : queryParam(message, params);
  if (params.size > 0) return undefined;
  if ('status' in message) return name === '@status' ? String(message.status) : undefined;
  switch (name) {
    case '@method':
      return message.method;
    case '@target-uri':
      return message.url;
    case '@authority':
      return splitUrl(message.url).authority;
    case '@scheme':
      return splitUrl(message.url).scheme;
    case '@request-target':
      return message.requestTarget ?? originForm(message.url);
    case '@path':
      return splitUrl(message.url).path;
    case '@query':
      return `?${splitUrl(message.url).query ?? ''}`;
    default:
      return undefined;
  }
}

/** One parameter of the query, name and value percent-encoded anew; several of the same name can not be told apart. */
function queryParam({ url }: HttpRequestHead, params: Params): string | undefined {
  const name = params.get('name');
  if (params.size !== 1 || name?.type !== 'string') return undefined;
  const found = [...new URLSearchParams(splitUrl(url).query ?? '')].filter(
    ([other]) => formEncoded(other) === name.value,
  );
  return found.length === 1 ? found.map(([, value]) => formEncoded(value)).join('') : undefined;
}

/** As forms are encoded (WHATWG URL 5.2), a blank as `%20`. */
function formEncoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function fieldComponent(
  message: HttpMessageHead,
  name: string,
  params: Params,
  fieldTypes: Readonly<Record<string, FieldType>>,
): string | undefined {
  const lines = fieldLines(message.headers, name);
  if (lines.length === 0) return undefined;
  const joined = lines.join(', ');
  if (params.size === 0) return joined;
  const [[param, bare] = ['', undefined], ...more] = [...params];
  if (more.length > 0)
    return isFlag(params.get('sf')) && params.size === 2 ? dictionaryMember(joined, params.get('key')) : undefined;
  if (param === 'key') return dictionaryMember(joined, bare);
  if (!isFlag(bare)) return undefined;
  if (param === 'bs') return lines.map((line) => `:${decodeUtf8(encodeBase64(encodeUtf8(line)))}:`).join(', ');
  const type = fieldTypes[name];
  return param === 'sf' && type !== undefined ? canonicalField(joined, type) : undefined; // `tr`: we see no trailers
}

function isFlag(bare: BareItem | undefined): boolean {
  return bare?.type === 'boolean' && bare.value;
}

function dictionaryMember(value: string, key: BareItem | undefined): string | undefined {
  const member = key?.type === 'string' ? parseDictionary(value)?.get(key.value) : undefined;
  return member && serializeMember(member);
}
