import type { CloudEvent } from '../event/cloud-event.ts';
import { compileDataFilter } from './compile-data-filter.ts';
import { compileFilters } from './compile-filters.ts';
import { DATA_DIALECT, type DataConditions, type DataFilter } from './data-filter.ts';
import { makeEventView, textOf, type EventView } from './event-view.ts';
import type { AttributePairs, Filter } from './filter.ts';
import { parsePointer, valueAt, type JsonValue } from './json-data.ts';
import type { CesqlError } from './sql/cesql-error.ts';
import { compileCesql } from './sql/compile-cesql.ts';
import type { StepCount } from './sql/evaluation.ts';
import type { CesqlValue } from './sql/expression.ts';
import { parseCesql } from './sql/parse-cesql.ts';

export interface Explanation {
  /** True when every filter passes (SA-6). */
  readonly match: boolean;
  /** One node for each filter. */
  readonly trace: readonly TraceNode[];
}

/**
 * A filter as it was given, nested alike, and for each its verdict and the value that it saw. Every filter is evaluated,
 * also where another one has decided.
 */
export type TraceNode =
  | ((
      { readonly exact: AttributePairs } | { readonly prefix: AttributePairs } | { readonly suffix: AttributePairs }
    ) & {
      readonly verdict: boolean;
      /** The canonical string of each attribute; null: the event does not have it. */
      readonly value: Readonly<Record<string, string | null>>;
    })
  | { readonly all: readonly TraceNode[]; readonly verdict: boolean }
  | { readonly any: readonly TraceNode[]; readonly verdict: boolean }
  | { readonly not: TraceNode; readonly verdict: boolean }
  | {
      readonly sql: string;
      readonly verdict: boolean;
      /** What the expression is for the event; only the Boolean true passes. */
      readonly value: CesqlValue;
      readonly errors: readonly CesqlError[];
    }
  | (DataFilter & {
      readonly verdict: boolean;
      /** The value at each pointer; left out where the data has none. */
      readonly value: Readonly<Record<string, JsonValue>>;
    });

/** Says of each filter what it made of an event. */
export function explainFilters(filters: readonly Filter[], event: CloudEvent): Explanation {
  const view = makeEventView(event);
  const count = { steps: 0 };
  return {
    match: compileFilters(filters).passes(view),
    trace: filters.map((filter) => explain(filter, view, count)),
  };
}

/** @param count shared by all expressions, as it is when events are matched; here more of them are evaluated */
function explain(filter: Filter, view: EventView, count: StepCount): TraceNode {
  if ('all' in filter) {
    const all = filter.all.map((each) => explain(each, view, count));
    return { all, verdict: all.every(({ verdict }) => verdict) };
  }
  if ('any' in filter) {
    const any = filter.any.map((each) => explain(each, view, count));
    return { any, verdict: any.some(({ verdict }) => verdict) };
  }
  if ('not' in filter) {
    const not = explain(filter.not, view, count);
    return { not, verdict: !not.verdict };
  }
  if ('sql' in filter) return explainSql(filter.sql, view, count);
  const verdict = compileFilters([filter]).passes(view);
  if ('exact' in filter) return { ...filter, verdict, value: attributesSeen(filter.exact, view) };
  if ('prefix' in filter) return { ...filter, verdict, value: attributesSeen(filter.prefix, view) };
  if ('suffix' in filter) return { ...filter, verdict, value: attributesSeen(filter.suffix, view) };
  return {
    ...filter,
    verdict: compileDataFilter(filter[DATA_DIALECT])(view),
    value: dataSeen(filter[DATA_DIALECT], view),
  };
}

function explainSql(sql: string, view: EventView, count: StepCount): TraceNode {
  const parsed = parseCesql(sql);
  if (!parsed.ok) return { sql, verdict: false, value: false, errors: [parsed.error] };
  const { value, errors } = compileCesql(parsed.expression).evaluate(view.attributes, count);
  return { sql, verdict: value === true && errors.length === 0, value, errors };
}

function attributesSeen(pairs: AttributePairs, view: EventView): Record<string, string | null> {
  return Object.fromEntries(Object.keys(pairs).map((name) => [name, textOf(view, name) ?? null]));
}

function dataSeen(conditions: DataConditions, view: EventView): Record<string, JsonValue> {
  const data = view.data();
  return Object.fromEntries(
    Object.keys(conditions).flatMap((pointer) => {
      const value = valueAt(data, parsePointer(pointer) ?? []);
      return value === undefined ? [] : [[pointer, value]];
    }),
  );
}
