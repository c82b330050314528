/** A number of JSON: its digits without zeros at either end, and the power of ten of the first of them. */
export interface Decimal {
  readonly sign: -1 | 0 | 1;
  readonly digits: string;
  readonly exponent: number;
}

const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** True for the text of a JSON number (RFC 8259). */
export function isJsonNumber(text: string): boolean {
  return JSON_NUMBER.test(text);
}

/** Compares two numbers by all their digits, where floating point would round: negative, 0 or positive as for a sort. */
export function compareDecimals(x: Decimal, y: Decimal): number {
  if (x.sign !== y.sign) return x.sign - y.sign;
  if (x.exponent !== y.exponent) return x.exponent < y.exponent ? -x.sign : x.sign;
  if (x.digits === y.digits) return 0;
  // Without zeros at the end, a longer text with the same beginning is the larger one, as in a dictionary.
  return x.digits < y.digits ? -x.sign : x.sign;
}

/** The text is a JSON number, or what `String` makes of a finite number. One of a megabyte takes milliseconds. */
export function parseDecimal(text: string): Decimal {
  const [, minus = '', whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? [];
  const padded = trimStart(whole + fraction);
  const digits = trimEnd(padded);
  if (digits === '') return { sign: 0, digits, exponent: 0 };
  const leadingZeros = whole.length + fraction.length - padded.length;
  return { sign: minus === '' ? 1 : -1, digits, exponent: Number(exponent) + whole.length - leadingZeros };
}

function trimStart(digits: string): string {
  let from = 0;
  while (digits.charAt(from) === '0') from++;
  return digits.slice(from);
}

/** Not by a regular expression: `0+$` takes quadratic time for many zeros inside. */
function trimEnd(digits: string): string {
  let to = digits.length;
  while (digits.charAt(to - 1) === '0') to--;
  return digits.slice(0, to);
}
