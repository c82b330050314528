const SURROGATE = /[\ud800-\udfff]/;

/** Characters, not UTF-16 units: 😀 is one. */
export function codePointCount(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (let at = 0; at < text.length; at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) count++;
  return count;
}

/** As `String.prototype.slice` with indexes that are not negative, in characters. */
export function sliceCodePoints(text: string, from: number, to: number): string {
  if (!SURROGATE.test(text)) return text.slice(from, to);
  const start = unitAfter(text, 0, from);
  return text.slice(start, unitAfter(text, start, to - from));
}

/** Where so many characters after `at` end, in UTF-16 units. */
function unitAfter(text: string, at: number, count: number): number {
  let unit = at;
  for (let left = count; left > 0 && unit < text.length; left--) unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
  return unit;
}

/** The characters as numbers. */
export function codePointsOf(text: string): Uint32Array {
  const points = new Uint32Array(text.length);
  let count = 0;
  for (let at = 0; at < text.length; count++) {
    const point = text.codePointAt(at) ?? 0;
    points[count] = point;
    at += point > 0xffff ? 2 : 1;
  }
  return points.subarray(0, count);
}

const WHITE_SPACE = /^\p{White_Space}$/u;

/**
 * Without the white space of Unicode on both ends. `String.prototype.trim` has another list: it takes U+FEFF along and
 * leaves U+0085.
 */
export function trimWhiteSpace(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && WHITE_SPACE.test(text.charAt(from))) from++;
  while (to > from && WHITE_SPACE.test(text.charAt(to - 1))) to--;
  return text.slice(from, to);
}
