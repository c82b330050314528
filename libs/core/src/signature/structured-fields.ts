import { decodeBase64, encodeBase64 } from '../event/base64.ts';
import { decodeUtf8 } from '../event/utf8.ts';

/** Structured fields (RFC 8941) as far as signatures need them; byte sequences are strict base64. */
export type BareItem =
  | { readonly type: 'integer' | 'decimal'; readonly value: number }
  | { readonly type: 'string' | 'token'; readonly value: string }
  | { readonly type: 'bytes'; readonly value: Uint8Array }
  | { readonly type: 'boolean'; readonly value: boolean };

export type Parameters = ReadonlyMap<string, BareItem>;

export interface Item {
  readonly kind: 'item';
  readonly bare: BareItem;
  readonly params: Parameters;
}

export interface InnerList {
  readonly kind: 'list';
  readonly items: readonly Item[];
  readonly params: Parameters;
}

export type Member = Item | InnerList;
export type Dictionary = ReadonlyMap<string, Member>;

/** What a field may hold at its top level. */
export type FieldType = 'dictionary' | 'list' | 'item';

/** A dictionary, or `undefined` when the text is none. */
export function parseDictionary(text: string): Dictionary | undefined {
  return parseWhole(text, readDictionary);
}

export function parseList(text: string): readonly Member[] | undefined {
  return parseWhole(text, readList);
}

export function parseItem(text: string): Item | undefined {
  return parseWhole(text, readItem);
}

/** The one spelling of a field (the `sf` parameter of RFC 9421), or `undefined` when the text is none of that type. */
export function canonicalField(text: string, type: FieldType): string | undefined {
  if (type === 'dictionary') {
    const dictionary = parseDictionary(text);
    return dictionary && [...dictionary].map(([key, member]) => serializeEntry(key, member)).join(', ');
  }
  if (type === 'list') return parseList(text)?.map(serializeMember).join(', ');
  const item = parseItem(text);
  return item && serializeMember(item);
}

function serializeEntry(key: string, member: Member): string {
  const isTrue = member.kind === 'item' && member.bare.type === 'boolean' && member.bare.value;
  return isTrue ? key + serializeParameters(member.params) : `${key}=${serializeMember(member)}`;
}

export function serializeMember(member: Member): string {
  const value =
    member.kind === 'item' ? serializeBare(member.bare) : `(${member.items.map(serializeMember).join(' ')})`;
  return value + serializeParameters(member.params);
}

export function serializeParameters(params: Parameters): string {
  return [...params]
    .map(([key, bare]) => (bare.type === 'boolean' && bare.value ? `;${key}` : `;${key}=${serializeBare(bare)}`))
    .join('');
}

export function serializeBare(bare: BareItem): string {
  switch (bare.type) {
    case 'integer':
      return String(bare.value);
    case 'decimal':
      return Number.isInteger(bare.value) ? bare.value.toFixed(1) : String(bare.value);
    case 'string':
      return quoted(bare.value);
    case 'token':
      return bare.value;
    case 'bytes':
      return `:${decodeUtf8(encodeBase64(bare.value))}:`;
    case 'boolean':
      return bare.value ? '?1' : '?0';
  }
}

/** A string in quotes. Only printable ASCII has a spelling; the caller sees to that. */
export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** Reads from a text; every pattern is sticky and moves the position. */
interface Cursor {
  /** The match of a sticky pattern at the position, which moves behind it. */
  take(pattern: RegExp): string | undefined;
  atEnd(): boolean;
}

class NotStructured extends Error {
  readonly code = 'structured_field.malformed';
}

function parseWhole<T>(text: string, read: (cursor: Cursor) => T): T | undefined {
  let at = 0;
  const cursor: Cursor = {
    take(pattern) {
      pattern.lastIndex = at;
      const [found] = pattern.exec(text) ?? [];
      at += found?.length ?? 0;
      return found;
    },
    atEnd: () => at === text.length,
  };
  try {
    cursor.take(/ */y);
    const value = read(cursor);
    cursor.take(/ */y);
    return cursor.atEnd() ? value : undefined;
  } catch (error) {
    if (error instanceof NotStructured) return undefined;
    throw error;
  }
}

const KEY = /[a-z*][a-z0-9_.*-]*/y;

function readDictionary(cursor: Cursor): Dictionary {
  const members = new Map<string, Member>();
  eachMember(cursor, () => {
    const key = expect(cursor, KEY);
    const member = cursor.take(/=/y) === undefined ? trueItem(cursor) : readMember(cursor);
    members.delete(key); // the last one counts, at its place
    members.set(key, member);
  });
  return members;
}

function trueItem(cursor: Cursor): Item {
  return { kind: 'item', bare: { type: 'boolean', value: true }, params: readParameters(cursor) };
}

function readList(cursor: Cursor): Member[] {
  const members: Member[] = [];
  eachMember(cursor, () => members.push(readMember(cursor)));
  return members;
}

/** Members between commas, blanks and tabs around them; a comma at the end is none. */
function eachMember(cursor: Cursor, readOne: () => void): void {
  if (cursor.atEnd()) return;
  do {
    readOne();
    cursor.take(/[ \t]*/y);
  } while (cursor.take(/,[ \t]*/y) !== undefined);
}

function readMember(cursor: Cursor): Member {
  return cursor.take(/\(/y) === undefined ? readItem(cursor) : readInnerList(cursor);
}

function readInnerList(cursor: Cursor): InnerList {
  const items: Item[] = [];
  cursor.take(/ */y);
  while (cursor.take(/\)/y) === undefined) {
    items.push(readItem(cursor));
    if (cursor.take(/ +/y) === undefined && cursor.take(/(?=\))/y) === undefined) throw new NotStructured();
  }
  return { kind: 'list', items, params: readParameters(cursor) };
}

function readItem(cursor: Cursor): Item {
  return { kind: 'item', bare: readBare(cursor), params: readParameters(cursor) };
}

function readParameters(cursor: Cursor): Parameters {
  const params = new Map<string, BareItem>();
  while (cursor.take(/; */y) !== undefined) {
    const key = expect(cursor, KEY);
    const bare: BareItem = cursor.take(/=/y) === undefined ? { type: 'boolean', value: true } : readBare(cursor);
    params.delete(key);
    params.set(key, bare);
  }
  return params;
}

function readBare(cursor: Cursor): BareItem {
  const string = cursor.take(/"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/y);
  if (string !== undefined) return { type: 'string', value: string.slice(1, -1).replace(/\\(["\\])/g, '$1') };
  const number = cursor.take(/-?\d{1,15}(?:\.\d{1,3})?(?![\d.])/y);
  if (number !== undefined) return numberItem(number);
  const bytes = cursor.take(/:[A-Za-z0-9+/=]*:/y);
  if (bytes !== undefined) return { type: 'bytes', value: decodeBase64(bytes.slice(1, -1)) ?? malformed() };
  const boolean = cursor.take(/\?[01]/y);
  if (boolean !== undefined) return { type: 'boolean', value: boolean === '?1' };
  return { type: 'token', value: expect(cursor, /[A-Za-z*][\w!#$%&'*+.^`|~:/-]*/y) };
}

function numberItem(text: string): BareItem {
  const [whole = ''] = text.split('.');
  if (whole === text) return { type: 'integer', value: Number(text) };
  return whole.replace('-', '').length <= 12 ? { type: 'decimal', value: Number(text) } : malformed();
}

function expect(cursor: Cursor, pattern: RegExp): string {
  return cursor.take(pattern) ?? malformed();
}

function malformed(): never {
  throw new NotStructured();
}
