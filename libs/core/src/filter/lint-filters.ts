import type { Filter } from './filter.ts';
import { lineAndColumn } from './sql/cesql-error.ts';
import { parseCesql } from './sql/parse-cesql.ts';

/** A filter that is valid but most likely does not mean what its author thinks. */
export interface FilterWarning {
  /** Where, below the `filters` member. */
  readonly path: readonly (string | number)[];
  readonly detail: string;
  /** Where in the text that `path` names, in UTF-16 units from 0. */
  readonly position: number;
}

/** What to look at again: AND and OR without parentheses, NOT before a comparison, functions that do not exist (D4). */
export function lintFilters(filters: readonly Filter[]): FilterWarning[] {
  return filters.flatMap((filter, index) => lint(filter, [index]));
}

function lint(filter: Filter, path: readonly (string | number)[]): FilterWarning[] {
  if ('all' in filter) return filter.all.flatMap((each, index) => lint(each, [...path, 'all', index]));
  if ('any' in filter) return filter.any.flatMap((each, index) => lint(each, [...path, 'any', index]));
  if ('not' in filter) return lint(filter.not, [...path, 'not']);
  return 'sql' in filter ? lintSql(filter.sql, [...path, 'sql']) : [];
}

function lintSql(sql: string, path: readonly (string | number)[]): FilterWarning[] {
  const parsed = parseCesql(sql);
  if (!parsed.ok) return [];
  return parsed.warnings.map(({ detail, position }) => {
    const { line, column } = lineAndColumn(sql, position);
    return { path, detail: `${detail} (line ${line}, column ${column}).`, position };
  });
}
