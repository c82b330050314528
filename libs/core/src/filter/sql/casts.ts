import type { CesqlType, CesqlValue } from './expression.ts';

const INTEGER = /^[+-]?[0-9]+$/;
const MIN_INTEGER = -2_147_483_648;
const MAX_INTEGER = 2_147_483_647;

export function typeOf(value: CesqlValue): CesqlType {
  return typeof value === 'string' ? 'String' : typeof value === 'number' ? 'Integer' : 'Boolean';
}

/** The value in a type, or undefined for a CastError (CQ-7). */
export function cast(value: CesqlValue, type: CesqlType): CesqlValue | undefined {
  return type === 'String' ? toText(value) : type === 'Integer' ? toInteger(value) : toBoolean(value);
}

/** Never fails. */
export function toText(value: CesqlValue): string {
  return typeof value === 'string' ? value : String(value);
}

/** A String may have a sign and leading zeros; it must be whole and fit into 32 bits. */
export function toInteger(value: CesqlValue): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return INTEGER.test(value) ? int32(Number(value)) : undefined;
}

/** A String must be `true` or `false` in any letter case; an Integer is false when it is 0. */
export function toBoolean(value: CesqlValue): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value !== 0;
  if (value.length > 'false'.length) return undefined;
  const lower = value.toLowerCase();
  return lower === 'true' ? true : lower === 'false' ? false : undefined;
}

/** The number without a negative zero; undefined when it does not fit into 32 bits. */
export function int32(value: number): number | undefined {
  return value >= MIN_INTEGER && value <= MAX_INTEGER ? value | 0 : undefined;
}
