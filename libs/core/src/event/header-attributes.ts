import { attributeToString, type AttributeValue, type CloudEvent, type EventViolation } from './cloud-event.ts';
import { brokenNameRule, brokenValueRule, missingAttributes, missingRule, type BrokenRule } from './attribute-rules.ts';
import { definedType, typedValue, type AttributeType } from './attribute-types.ts';
import { encodeHeaderValue } from './header-value.ts';

/** A header: name as it came or as it leaves, value. */
export type Header = readonly [name: string, value: string];

/** What a message says about an event outside its body. */
export interface EventHeaders {
  /** Value of `Content-Type`. */
  readonly contentType?: string;
  /** Value of `Content-Encoding`, unless that says that the body is as it is. */
  readonly contentEncoding?: string;
  /** Decoded values of the `ce-` headers by attribute name. */
  readonly attributes: ReadonlyMap<string, string>;
  /** The `ph-` headers by lower-case name: what our own messages add where the binding loses something. */
  readonly hints: ReadonlyMap<string, string>;
  /** Duplicates, illegal names, values that cannot be decoded. */
  readonly violations: readonly EventViolation[];
}

const LOWER_C = 0x63;
const LOWER_P = 0x70;

const AS_IT_IS: ReadonlySet<string> = new Set(['', 'identity']);

const UNDECODABLE: BrokenRule = {
  rule: 'HB-8',
  detail: 'The header value is not valid percent-encoded UTF-8: write a literal % as %25.',
};
const DUPLICATE: BrokenRule = { rule: 'CE-6', detail: 'The header must not appear twice, whatever the letter case.' };

/** Collects the headers that concern an event, names compared without case (HB-3, NB-4). */
export function readEventHeaders(
  headers: Iterable<Header>,
  decode: (value: string) => string | undefined,
): EventHeaders {
  let contentType: string | undefined;
  let contentEncoding: string | undefined;
  const attributes = new Map<string, string>();
  const hints = new Map<string, string>();
  const violations: EventViolation[] = [];
  for (const [name, value] of headers) {
    const first = name.charCodeAt(0) | 0x20;
    if (first !== LOWER_C && first !== LOWER_P) continue;
    const lower = name.toLowerCase();
    if (lower.startsWith('ce-')) {
      const broken = addAttribute(attributes, lower.slice(3), decode(value));
      if (broken !== undefined) violations.push({ ...broken, pointer: lower });
    } else if (lower === 'content-type') {
      if (contentType !== undefined) violations.push({ ...DUPLICATE, pointer: lower });
      contentType = value.trim();
    } else if (lower === 'content-encoding') {
      if (!AS_IT_IS.has(value.trim().toLowerCase())) contentEncoding = value;
    } else if (lower.startsWith('ph-')) {
      hints.set(lower, value);
    }
  }
  return {
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentEncoding === undefined ? {} : { contentEncoding }),
    attributes,
    hints,
    violations,
  };
}

function addAttribute(
  attributes: Map<string, string>,
  name: string,
  value: string | undefined,
): BrokenRule | undefined {
  if (attributes.has(name)) return DUPLICATE;
  // What cannot be decoded is present all the same: it is reported as such, not as missing.
  attributes.set(name, value ?? '');
  return brokenNameRule(name) ?? (value === undefined ? UNDECODABLE : undefined);
}

/**
 * The attributes of a binary-mode message with their types, every violation added to `violations`.
 *
 * @param types what the message says about types beside the values (`ph-attribute-types`)
 */
export function readAttributes(
  headers: EventHeaders,
  types: ReadonlyMap<string, AttributeType>,
  violations: EventViolation[],
): Map<string, AttributeValue> {
  violations.push(...headers.violations);
  const reported = new Set(headers.violations.map(({ pointer }) => pointer));
  const attributes = new Map<string, AttributeValue>();
  for (const [name, text] of headers.attributes) {
    const value = typedValue(text, types.get(name) ?? definedType(name));
    attributes.set(name, value);
    const broken = brokenValueRule(name, value);
    const pointer = `ce-${name}`;
    if (broken !== undefined && !reported.has(pointer)) violations.push({ ...broken, pointer });
  }
  for (const name of missingAttributes(attributes)) violations.push({ ...missingRule(name), pointer: `ce-${name}` });
  return attributes;
}

/**
 * The `ce-` headers of every attribute but those in `except`, lower case, values encoded (HB-3, HB-7, NB-3, NB-4).
 */
export function attributeHeaders(event: CloudEvent, except?: string): [string, string][] {
  const headers: [string, string][] = [];
  for (const [name, value] of event.attributes) {
    if (name !== except) headers.push([`ce-${name}`, encodeHeaderValue(attributeToString(value))]);
  }
  return headers;
}

/** HB-5: a structured message may repeat attributes as headers; strict ingress refuses those that say something else. */
export function contradictions(headers: EventHeaders, event: CloudEvent): EventViolation[] {
  const violations = [...headers.violations];
  for (const [name, text] of headers.attributes) {
    const value = event.attributes.get(name);
    if (value !== undefined && attributeToString(value) === text) continue;
    const detail = `The header does not equal the attribute \`${name}\` in the body: leave it out or make it equal.`;
    violations.push({ rule: 'HB-5', pointer: `ce-${name}`, detail });
  }
  return violations;
}
