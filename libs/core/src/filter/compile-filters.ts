import { compileDataFilter } from './compile-data-filter.ts';
import { DATA_DIALECT } from './data-filter.ts';
import { textOf, type EventView } from './event-view.ts';
import type { AttributePairs, Filter } from './filter.ts';
import { compileCesql } from './sql/compile-cesql.ts';
import type { StepCount } from './sql/evaluation.ts';
import { parseCesql } from './sql/parse-cesql.ts';

/** Filters as one question. */
export interface CompiledFilter {
  /** What an answer costs, in string comparisons; known beforehand, so that the cheap ones come first. */
  readonly cost: number;
  /** Total: never throws, whatever the event. */
  readonly passes: (view: EventView) => boolean;
}

/** One of the questions that it is made of. */
interface Test {
  readonly cost: number;
  /** @param count shared by all expressions of the filters */
  readonly passes: (view: EventView, count: StepCount) => boolean;
}

/**
 * One question for all filters of a subscription; all must pass (SA-6). No filters: every event passes. Compile once for
 * each revision of a subscription (FD-8).
 */
export function compileFilters(filters: readonly Filter[]): CompiledFilter {
  const { cost, passes } = conjunctionOf(filters.flatMap(compileFilter));
  return { cost, passes: (view) => passes(view, { steps: 0 }) };
}

/** The tests of a filter, all of which must pass: `all` and pairs fall apart, so that they sort with their neighbours. */
function compileFilter(filter: Filter): Test[] {
  if ('exact' in filter) return pairsOf(filter.exact, 1, (expected) => (text) => text === expected);
  if ('prefix' in filter) return pairsOf(filter.prefix, 2, (expected) => (text) => text.startsWith(expected));
  if ('suffix' in filter) return pairsOf(filter.suffix, 2, (expected) => (text) => text.endsWith(expected));
  if ('all' in filter) return filter.all.flatMap(compileFilter);
  if ('any' in filter) return [disjunctionOf(filter.any.map((each) => conjunctionOf(compileFilter(each))))];
  if ('not' in filter) return [negationOf(conjunctionOf(compileFilter(filter.not)))];
  if ('sql' in filter) return [compileSql(filter.sql)];
  return [{ cost: DATA_COST, passes: compileDataFilter(filter[DATA_DIALECT]) }];
}

/** Parsing the data of an event is by far the most expensive thing that a filter can ask for. */
const DATA_COST = 1000;

function pairsOf(
  pairs: AttributePairs,
  cost: number,
  compile: (expected: string) => (text: string) => boolean,
): Test[] {
  return Object.entries(pairs).map(([attribute, expected]) => {
    const isExpected = compile(expected);
    return {
      cost,
      passes: (view) => {
        const text = textOf(view, attribute);
        return text !== undefined && isExpected(text);
      },
    };
  });
}

function conjunctionOf(parts: readonly Test[]): Test {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const { cost, tests } = inOrderOfCost(parts);
  return { cost, passes: (view, count) => tests.every((passes) => passes(view, count)) };
}

function disjunctionOf(parts: readonly Test[]): Test {
  const { cost, tests } = inOrderOfCost(parts);
  return { cost, passes: (view, count) => tests.some((passes) => passes(view, count)) };
}

function negationOf({ cost, passes }: Test): Test {
  return { cost, passes: (view, count) => !passes(view, count) };
}

function inOrderOfCost(parts: readonly Test[]): {
  readonly cost: number;
  readonly tests: readonly Test['passes'][];
} {
  const sorted = parts.toSorted((a, b) => a.cost - b.cost);
  return { cost: sorted.reduce((sum, { cost }) => sum + cost, 0), tests: sorted.map(({ passes }) => passes) };
}

/** Stored filters parse; should a later version refuse what an earlier one took, no event passes (fail closed). */
function compileSql(text: string): Test {
  const parsed = parseCesql(text);
  if (!parsed.ok) return { cost: 0, passes: () => false };
  const compiled = compileCesql(parsed.expression);
  return { cost: 5 + text.length / 10, passes: ({ attributes }, count) => compiled.passes(attributes, count) };
}
