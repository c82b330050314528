import type { AttributeValue } from './cloud-event.ts';
import { parseMediaType } from './media-type.ts';
import { timestampToUnixMs } from './timestamp.ts';
import { isUri, isUriReference } from './uri-reference.ts';

/** Which requirement is broken, and one sentence on how to fix it. The caller knows where it stands. */
export interface BrokenRule {
  readonly rule: string;
  readonly detail: string;
}

const REQUIRED_ATTRIBUTES = ['specversion', 'id', 'source', 'type'];

const NAME = /^[a-z0-9]+$/;
const PLAIN_ASCII = /^[\x20-\x7e]*$/;
// Control characters, unpaired surrogates (in a `u` expression only unpaired ones match) and noncharacters.
const NOT_IN_A_STRING = /[\p{Control}\p{Surrogate}\p{Noncharacter_Code_Point}]/u;

const CORE_ATTRIBUTES: ReadonlySet<string> = new Set([
  ...REQUIRED_ATTRIBUTES,
  'datacontenttype',
  'dataschema',
  'subject',
  'time',
]);

/** True for the attributes that the core specification defines; all of them are strings. */
export function isCoreAttribute(name: string): boolean {
  return CORE_ATTRIBUTES.has(name);
}

/** CE-5: what an attribute may be called. Names longer than 20 characters are only discouraged, so they pass. */
export function brokenNameRule(name: string): BrokenRule | undefined {
  if (NAME.test(name) && name !== 'data') return undefined;
  const detail =
    name === 'data' ? 'No attribute may be called `data`.' : 'Attribute names consist of a–z and 0–9 only.';
  return { rule: 'CE-5', detail };
}

/** CE-1, CE-3, CE-7, CE-8, CE-9: what an attribute may hold. Extensions may hold any String, also an empty one. */
export function brokenValueRule(name: string, value: AttributeValue): BrokenRule | undefined {
  switch (name) {
    case 'specversion':
      return value === '1.0' ? undefined : { rule: 'CE-1', detail: '`specversion` must be the string "1.0".' };
    case 'id':
    case 'type':
      return brokenText(name, value, 'CE-1');
    case 'subject':
      return brokenText(name, value, 'CE-8');
    case 'source':
      return brokenText(name, value, 'CE-1') ?? brokenSyntax(value, isUriReference, SOURCE_SYNTAX);
    case 'dataschema':
      return brokenText(name, value, 'CE-8') ?? brokenSyntax(value, isUri, DATASCHEMA_SYNTAX);
    case 'datacontenttype':
      return brokenText(name, value, 'CE-8') ?? brokenSyntax(value, isMediaType, DATACONTENTTYPE_SYNTAX);
    case 'time':
      return brokenText(name, value, 'CE-9') ?? brokenSyntax(value, isTimestamp, TIME_SYNTAX);
    default:
      return typeof value === 'string' ? brokenString(value) : undefined;
  }
}

/** The required attributes that are not there (CE-1). */
export function missingAttributes(attributes: ReadonlyMap<string, unknown>): string[] {
  return REQUIRED_ATTRIBUTES.filter((name) => !attributes.has(name));
}

export function missingRule(name: string): BrokenRule {
  return { rule: 'CE-1', detail: `The required attribute \`${name}\` is missing.` };
}

const SOURCE_SYNTAX: BrokenRule = {
  rule: 'CE-3',
  detail: '`source` must be a URI-reference (RFC 3986): percent-encode spaces and whatever is not ASCII.',
};
const DATASCHEMA_SYNTAX: BrokenRule = { rule: 'CE-8', detail: '`dataschema` must be a URI with a scheme (RFC 3986).' };
const DATACONTENTTYPE_SYNTAX: BrokenRule = {
  rule: 'CE-8',
  detail: '`datacontenttype` must be a media type such as `application/json` (RFC 2046).',
};
const TIME_SYNTAX: BrokenRule = {
  rule: 'CE-9',
  detail: '`time` must be an RFC 3339 timestamp with seconds and an offset, such as 2026-01-31T12:00:00Z.',
};

function isMediaType(text: string): boolean {
  return text === 'application/json' || parseMediaType(text) !== undefined;
}

function isTimestamp(text: string): boolean {
  return timestampToUnixMs(text) !== undefined;
}

function brokenText(name: string, value: AttributeValue, emptyRule: string): BrokenRule | undefined {
  if (typeof value !== 'string') return { rule: 'CE-7', detail: `\`${name}\` must be a string.` };
  if (value === '') return { rule: emptyRule, detail: `\`${name}\` must not be empty.` };
  return brokenString(value);
}

function brokenString(value: string): BrokenRule | undefined {
  if (PLAIN_ASCII.test(value) || !NOT_IN_A_STRING.test(value)) return undefined;
  return {
    rule: 'CE-7',
    detail: 'Attribute strings must not hold control characters, unpaired surrogates or noncharacters.',
  };
}

function brokenSyntax(
  value: AttributeValue,
  isRight: (text: string) => boolean,
  broken: BrokenRule,
): BrokenRule | undefined {
  return typeof value === 'string' && isRight(value) ? undefined : broken;
}
