import { compileDataFilter } from './compile-data-filter.ts';
import { DATA_DIALECT } from './data-filter.ts';
import { textOf, type EventView } from './event-view.ts';
import type { AttributePairs, Filter } from './filter.ts';
import { compileCesql } from './sql/compile-cesql.ts';
import { parseCesql } from './sql/parse-cesql.ts';

/** Filters as one question. */
export interface CompiledFilter {
  /** What an answer costs, in string comparisons; known beforehand, so that the cheap ones come first. */
  readonly cost: number;
  /** Total: never throws, whatever the event. */
  readonly passes: (view: EventView) => boolean;
}

/**
 * One question for all filters of a subscription; all must pass (SA-6). No filters: every event passes. Compile once for
 * each revision of a subscription (FD-8).
 */
export function compileFilters(filters: readonly Filter[]): CompiledFilter {
  return conjunctionOf(filters.flatMap(compileFilter));
}

/** The tests of a filter, all of which must pass: `all` and pairs fall apart, so that they sort with their neighbours. */
function compileFilter(filter: Filter): CompiledFilter[] {
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
): CompiledFilter[] {
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

function conjunctionOf(parts: readonly CompiledFilter[]): CompiledFilter {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const { cost, tests } = inOrderOfCost(parts);
  return { cost, passes: (view) => tests.every((passes) => passes(view)) };
}

function disjunctionOf(parts: readonly CompiledFilter[]): CompiledFilter {
  const { cost, tests } = inOrderOfCost(parts);
  return { cost, passes: (view) => tests.some((passes) => passes(view)) };
}

function negationOf({ cost, passes }: CompiledFilter): CompiledFilter {
  return { cost, passes: (view) => !passes(view) };
}

function inOrderOfCost(parts: readonly CompiledFilter[]): {
  readonly cost: number;
  readonly tests: readonly CompiledFilter['passes'][];
} {
  const sorted = parts.toSorted((a, b) => a.cost - b.cost);
  return { cost: sorted.reduce((sum, { cost }) => sum + cost, 0), tests: sorted.map(({ passes }) => passes) };
}

/** Stored filters parse; should a later version refuse what an earlier one took, no event passes (fail closed). */
function compileSql(text: string): CompiledFilter {
  const parsed = parseCesql(text);
  if (!parsed.ok) return { cost: 0, passes: () => false };
  const compiled = compileCesql(parsed.expression);
  return { cost: 5 + text.length / 10, passes: ({ attributes }) => compiled.passes(attributes) };
}
