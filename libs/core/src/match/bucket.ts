import { attributeToString, type AttributeValue } from '../event/cloud-event.ts';
import {
  deleteAffix,
  findAffix,
  isEmptyTree,
  makeAffixTree,
  setAffix,
  visitAffixes,
  type AffixTree,
} from './affix-tree.ts';
import type { Clause, Literal } from './clauses.ts';

/**
 * Entries whose events have something in common, namely every literal on the way from the root to here.
 *
 * The first few entries are a list. Further ones that still have a clause go into buckets below, by a literal of it: the
 * one whose bucket is the smallest now, so that of a thousand subscriptions to one type and each to its own subject all
 * but the first few are found by subject. An event looks at a few entries in each bucket that it reaches, and beyond
 * those only at entries with nothing left to look up: matches, and filters that no index understands, or whose lists of
 * literals would make too many placements.
 */
export interface Bucket<Entry> {
  placements: Placement<Entry>[];
  /** By attribute. */
  indexes: Map<string, AttributeIndex<Entry>> | undefined;
  /** Placements here and below. */
  count: number;
  readonly depth: number;
  /** Where this bucket hangs, and by what; a root hangs nowhere. */
  readonly parent: Bucket<Entry> | undefined;
  readonly literal: Literal | undefined;
}

/** One place at which an entry can be found. A clause with n literals makes n of them. */
export interface Placement<Entry> {
  readonly entry: Entry;
  /** Clauses that the way here has not dealt with. */
  readonly rest: readonly Clause[];
  readonly bucket: Bucket<Entry>;
  /** Position in the list of the bucket. */
  at: number;
}

interface AttributeIndex<Entry> {
  exact: Map<string, Bucket<Entry>> | undefined;
  prefix: AffixTree<Bucket<Entry>> | undefined;
  suffix: AffixTree<Bucket<Entry>> | undefined;
}

/** Up to here, asking each entry is cheaper than another look-up. */
const LIST_MAX_COUNT = 8;
/** Each level costs every event a few look-ups. */
const MAX_DEPTH = 8;
/** A prefix or suffix may be as vague as `/`: an exact value is better while its bucket is not much larger. */
const AFFIX_HANDICAP = 4;
/** Every further literal of a clause is one more placement. */
const LITERAL_HANDICAP = 0.5;
/**
 * Placements of one entry. Those of several clauses on one way multiply: with two of 1,000 literals each, every
 * subscription beyond the first few would make a million, and some dozens would fill the memory.
 */
const PLACEMENTS_MAX_COUNT = 1000;

export function makeRoot<Entry>(): Bucket<Entry> {
  return makeBucket<Entry>(undefined, undefined);
}

function makeBucket<Entry>(parent: Bucket<Entry> | undefined, literal: Literal | undefined): Bucket<Entry> {
  const depth = parent === undefined ? 0 : parent.depth + 1;
  return { placements: [], indexes: undefined, count: 0, depth, parent, literal };
}

/**
 * Files an entry below a bucket.
 *
 * @param rest clauses that decide where
 * @param placed is told every place at which the entry now is
 * @param room how many of them there may be
 */
export function fileEntry<Entry>(
  bucket: Bucket<Entry>,
  entry: Entry,
  rest: readonly Clause[],
  placed: (placement: Placement<Entry>) => void,
  room = PLACEMENTS_MAX_COUNT,
): void {
  const isFull = bucket.placements.length >= LIST_MAX_COUNT;
  const chosen = isFull && bucket.depth < MAX_DEPTH ? mostSelective(bucket, rest, room) : undefined;
  if (chosen === undefined) {
    placed(append(bucket, entry, rest));
    return;
  }
  const others = rest.length === 1 ? NO_CLAUSES : rest.filter((clause) => clause !== chosen);
  const roomBelow = room / chosen.length;
  for (const literal of chosen) fileEntry(bucketBelow(bucket, literal), entry, others, placed, roomBelow);
}

const NO_CLAUSES: readonly Clause[] = [];

/** Takes one placement out, and drops the buckets that only it needed. */
export function removePlacement<Entry>({ bucket, at }: Placement<Entry>): void {
  const last = bucket.placements.pop();
  if (last !== undefined && last.at !== at) {
    bucket.placements[at] = last;
    last.at = at;
  }
  for (let above: Bucket<Entry> | undefined = bucket; above !== undefined; above = above.parent) above.count--;
  for (let empty = bucket; empty.count === 0 && empty.parent !== undefined; empty = empty.parent) unhang(empty);
}

/** Calls back for every placement that the attributes lead to. */
export function visitPlacements<Entry>(
  bucket: Bucket<Entry>,
  attributes: ReadonlyMap<string, AttributeValue>,
  visit: (placement: Placement<Entry>) => void,
): void {
  for (const placement of bucket.placements) visit(placement);
  const { indexes } = bucket;
  if (indexes === undefined) return;
  const below = (child: Bucket<Entry>): void => visitPlacements(child, attributes, visit);
  if (indexes.size <= attributes.size) {
    for (const [name, index] of indexes) {
      const value = attributes.get(name);
      if (value !== undefined) lookUp(index, attributeToString(value), below);
    }
  } else {
    for (const [name, value] of attributes) {
      const index = indexes.get(name);
      if (index !== undefined) lookUp(index, attributeToString(value), below);
    }
  }
}

function lookUp<Entry>(index: AttributeIndex<Entry>, text: string, visit: (bucket: Bucket<Entry>) => void): void {
  const exact = index.exact?.get(text);
  if (exact !== undefined) visit(exact);
  if (index.prefix !== undefined) visitAffixes(index.prefix, 'prefix', text, visit);
  if (index.suffix !== undefined) visitAffixes(index.suffix, 'suffix', text, visit);
}

/** An array of one takes 24 bytes, one that was pushed to 152; most buckets never get a second entry. */
function append<Entry>(bucket: Bucket<Entry>, entry: Entry, rest: readonly Clause[]): Placement<Entry> {
  const placement = { entry, rest, bucket, at: bucket.placements.length };
  if (placement.at === 0) bucket.placements = [placement];
  else bucket.placements.push(placement);
  for (let above: Bucket<Entry> | undefined = bucket; above !== undefined; above = above.parent) above.count++;
  return placement;
}

function mostSelective<Entry>(bucket: Bucket<Entry>, clauses: readonly Clause[], room: number): Clause | undefined {
  let best: Clause | undefined;
  let bestScore = Infinity;
  for (const clause of clauses) {
    if (clause.length > room) continue;
    const score = scoreOf(bucket, clause);
    if (score >= bestScore) continue;
    best = clause;
    bestScore = score;
  }
  return best;
}

/** How many entries an event would meet below, in the worst case of the clause's literals. */
function scoreOf<Entry>(bucket: Bucket<Entry>, clause: Clause): number {
  let score = 0;
  for (const literal of clause) {
    const count = findBelow(bucket, literal)?.count ?? 0;
    score = Math.max(score, literal.operator === 'exact' ? count : count + AFFIX_HANDICAP);
  }
  return score + (clause.length - 1) * LITERAL_HANDICAP;
}

function findBelow<Entry>(bucket: Bucket<Entry>, literal: Literal): Bucket<Entry> | undefined {
  const index = bucket.indexes?.get(literal.attribute);
  if (index === undefined) return undefined;
  if (literal.operator === 'exact') return index.exact?.get(literal.value);
  const tree = index[literal.operator];
  return tree && findAffix(tree, literal.operator, literal.value);
}

function bucketBelow<Entry>(bucket: Bucket<Entry>, literal: Literal): Bucket<Entry> {
  const existing = findBelow(bucket, literal);
  if (existing !== undefined) return existing;
  const made = makeBucket(bucket, literal);
  hang(bucket, literal, made);
  return made;
}

function hang<Entry>(bucket: Bucket<Entry>, { attribute, operator, value }: Literal, made: Bucket<Entry>): void {
  const indexes = (bucket.indexes ??= new Map<string, AttributeIndex<Entry>>());
  let index = indexes.get(attribute);
  if (index === undefined) {
    index = { exact: undefined, prefix: undefined, suffix: undefined };
    indexes.set(attribute, index);
  }
  if (operator === 'exact') (index.exact ??= new Map<string, Bucket<Entry>>()).set(value, made);
  else setAffix((index[operator] ??= makeAffixTree<Bucket<Entry>>()), operator, value, made);
}

function unhang<Entry>({ parent, literal }: Bucket<Entry>): void {
  if (parent?.indexes === undefined || literal === undefined) return;
  const { attribute, operator, value } = literal;
  const index = parent.indexes.get(attribute);
  if (index === undefined) return;
  if (operator === 'exact') {
    index.exact?.delete(value);
    if (index.exact?.size === 0) index.exact = undefined;
  } else removeAffix(index, operator, value);
  if (index.exact === undefined && index.prefix === undefined && index.suffix === undefined) {
    parent.indexes.delete(attribute);
    if (parent.indexes.size === 0) parent.indexes = undefined;
  }
}

function removeAffix<Entry>(index: AttributeIndex<Entry>, operator: 'prefix' | 'suffix', value: string): void {
  const tree = index[operator];
  if (tree === undefined) return;
  deleteAffix(tree, operator, value);
  if (isEmptyTree(tree)) index[operator] = undefined;
}
