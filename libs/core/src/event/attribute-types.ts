import type { AttributeValue } from './cloud-event.ts';

/** The JSON types of attributes, which headers cannot carry (CE-7). */
export type AttributeType = 'string' | 'integer' | 'boolean';

const MIN_INTEGER = -2_147_483_648;
const MAX_INTEGER = 2_147_483_647;
const INTEGER = /^-?(?:0|[1-9]\d{0,9})$/;

/**
 * Extensions whose definition says more than String. Headers lose the type, the definition gives it back, so that an
 * event that came in binary mode has `"sampledrate":5` in a structured notification, not `"5"`.
 */
const DEFINED_TYPES: ReadonlyMap<string, AttributeType> = new Map([
  ['sampledrate', 'integer'],
  ['severitynumber', 'integer'],
  ['deprecated', 'boolean'],
]);

/** The type that the extension's definition gives; String for everything else. */
export function definedType(name: string): AttributeType {
  return DEFINED_TYPES.get(name) ?? 'string';
}

export function typeOf(value: AttributeValue): AttributeType {
  return typeof value === 'number' ? 'integer' : typeof value === 'boolean' ? 'boolean' : 'string';
}

/**
 * The value in the wanted type, if the text is the canonical form of such a value; else the text itself. So the header
 * that the value is written back to is always the one it was read from.
 */
export function typedValue(text: string, type: AttributeType): AttributeValue {
  if (type === 'integer') return text !== '-0' && isInteger(text) ? Number(text) : text;
  if (type === 'boolean') return text === 'true' || (text === 'false' ? false : text);
  return text;
}

/** True for a JSON integer token, without fraction or exponent, of 32 bits (CE-7, JF-2). */
export function isInteger(text: string): boolean {
  const value = INTEGER.test(text) ? Number(text) : NaN;
  return value >= MIN_INTEGER && value <= MAX_INTEGER;
}
