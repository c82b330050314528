import { codePointsOf } from './code-points.ts';
import { spend, type StepCount } from './evaluation.ts';

/** Answers whether a text matches. Counts what it does beyond one pass over the text, and throws when it is too much. */
export type LikeMatcher = (text: string, count: StepCount) => boolean;

/** Matches any one character. No character has this number. */
const ANY_ONE = 0xffff_ffff;

/**
 * Compiles a pattern of LIKE (CQ-6): `%` any run, `_` one character, `\%` and `\_` those two literally, everything else
 * itself, backslashes included. Characters are code points.
 *
 * The pattern falls into segments between the `%`. The first and the last are anchored, the others are looked for from
 * left to right, each at the first place after the one before: that is never worse than a later place, so nothing is
 * tried twice. Segments without `_` are found by `indexOf`. Rejected: a regular expression, which backtracks.
 */
export function compileLike(pattern: string): LikeMatcher {
  const segments = segmentsOf(pattern);
  const texts = segments.map(textOf);
  return texts.every((text) => text !== undefined) ? matchTexts(texts) : matchCodePoints(segments);
}

/** The text that a match starts with; all of it when the pattern has no wildcard. */
export function likePrefix(pattern: string): { readonly text: string; readonly isAll: boolean } {
  const segments = segmentsOf(pattern);
  const first = segments[0] ?? [];
  const wild = first.indexOf(ANY_ONE);
  const literal = wild < 0 ? first : first.slice(0, wild);
  return { text: join(literal), isAll: segments.length === 1 && wild < 0 };
}

/** The text that a match ends with. */
export function likeSuffix(pattern: string): string {
  const last = segmentsOf(pattern).at(-1) ?? [];
  return join(last.slice(last.lastIndexOf(ANY_ONE) + 1));
}

function segmentsOf(pattern: string): number[][] {
  let segment: number[] = [];
  const segments = [segment];
  const points = codePointsOf(pattern);
  for (let i = 0; i < points.length; i++) {
    const point = points[i] ?? 0;
    const following = points[i + 1];
    if (point === BACKSLASH && (following === PERCENT || following === UNDERSCORE)) {
      segment.push(following);
      i++;
    } else if (point === PERCENT) segments.push((segment = []));
    else segment.push(point === UNDERSCORE ? ANY_ONE : point);
  }
  return segments;
}

const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const UNDERSCORE = 0x5f;

function textOf(segment: readonly number[]): string | undefined {
  return segment.includes(ANY_ONE) ? undefined : join(segment);
}

function join(points: readonly number[]): string {
  return points.map((point) => String.fromCodePoint(point)).join('');
}

function matchTexts(segments: readonly string[]): LikeMatcher {
  const [first = '', ...others] = segments;
  const last = others.pop();
  if (last === undefined) return (text) => text === first;
  const middle = others.filter((segment) => segment !== '');
  if (middle.length === 0) return matchEnds(first, last);
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const segment of middle) {
      const found = text.indexOf(segment, at);
      if (found < 0 || found + segment.length > end) return false;
      at = found + segment.length;
    }
    return true;
  };
}

function matchEnds(first: string, last: string): LikeMatcher {
  if (last === '') return (text) => text.startsWith(first);
  if (first === '') return (text) => text.endsWith(last);
  return (text) => text.length >= first.length + last.length && text.startsWith(first) && text.endsWith(last);
}

function matchCodePoints(segments: readonly (readonly number[])[]): LikeMatcher {
  const [first = [], ...others] = segments;
  const last = others.pop();
  const middle = others.filter((segment) => segment.length > 0);
  return (text, count) => {
    const points = codePointsOf(text);
    if (last === undefined) return points.length === first.length && standsAt(points, 0, first) < 0;
    const end = points.length - last.length;
    if (end < first.length || standsAt(points, 0, first) >= 0 || standsAt(points, end, last) >= 0) return false;
    let at = first.length;
    for (const segment of middle) {
      at = find(points, segment, at, end, count);
      if (at < 0) return false;
    }
    return true;
  };
}

/** Where the first match after `from` ends; -1 when there is none up to `end`. */
function find(points: Uint32Array, segment: readonly number[], from: number, end: number, count: StepCount): number {
  for (let at = from; at + segment.length <= end; at++) {
    const differs = standsAt(points, at, segment);
    if (differs < 0) return at + segment.length;
    if (differs > 0) spend(count, differs);
  }
  return -1;
}

/** -1 when the segment stands there; else how far into it the first difference is. */
function standsAt(points: Uint32Array, at: number, segment: readonly number[]): number {
  for (let i = 0; i < segment.length; i++) {
    const wanted = segment[i];
    if (wanted !== ANY_ONE && points[at + i] !== wanted) return i;
  }
  return -1;
}
