import { DATA_DIALECT } from './data-filter.ts';
import type { AttributePairs, Filter } from './filter.ts';
import { isObject, type FilterViolation, type ReportViolation } from './filter-violation.ts';
import { isLongerThan } from './json-length.ts';
import { parseDataFilter } from './parse-data-filter.ts';
import { lineAndColumn } from './sql/cesql-error.ts';
import { parseCesql } from './sql/parse-cesql.ts';

export type ParsedFilters =
  | { readonly ok: true; readonly filters: readonly Filter[] }
  | { readonly ok: false; readonly violations: readonly FilterViolation[] };

/** Filters side by side in one array; more is a mistake of the sender rather than an interest (FD-8). */
export const FILTERS_MAX_COUNT = 100;
/** Filters inside of each other: `all`, `any` and `not` in one another (FD-8). */
export const FILTERS_MAX_DEPTH = 16;
/** All filters of a subscription as JSON text, in UTF-16 units: 64 KiB (FD-8). */
export const FILTERS_MAX_LENGTH = 65_536;

type Path = FilterViolation['path'];

/** Every dialect, in the order of the specification; `cesql` is what Knative calls `sql` (FD-8). */
const DIALECTS = ['exact', 'prefix', 'suffix', 'all', 'any', 'not', 'sql', 'cesql', DATA_DIALECT] as const;
type Dialect = (typeof DIALECTS)[number];

const SUPPORTED = `supported: ${DIALECTS.filter((dialect) => dialect !== 'cesql').join(', ')}`;

/** Member names that a context attribute can have (CE-5). */
const ATTRIBUTE_NAME = /^[a-z0-9]+$/;

/**
 * Reads the `filters` member of a subscription (SA-6, FD-1 … FD-8). What comes out is valid: an invalid filter cannot be
 * stored, so nothing downstream has to decide what one means. Lists every violation.
 */
export function parseFilters(value: unknown): ParsedFilters {
  const violations: FilterViolation[] = [];
  const filters = parseList(value, [], (violation) => violations.push(violation));
  return violations.length > 0 ? { ok: false, violations } : { ok: true, filters };
}

function parseList(value: unknown, path: Path, report: ReportViolation): Filter[] {
  const refuse = (rule: string, detail: string): Filter[] => {
    report({ rule, path, detail });
    return [];
  };
  if (!Array.isArray(value)) {
    return refuse('SA-6', 'filters must be an array of filter objects such as [{"prefix":{"type":"com.example."}}].');
  }
  if (isLongerThan(value, FILTERS_MAX_LENGTH)) {
    return refuse('FD-8', `filters is larger than ${FILTERS_MAX_LENGTH / 1024} KiB.`);
  }
  return parseMembers(value, path, 1, report);
}

function parseMembers(value: readonly unknown[], path: Path, depth: number, report: ReportViolation): Filter[] {
  if (value.length > FILTERS_MAX_COUNT) {
    const detail = `There are ${value.length} filters side by side; at most ${FILTERS_MAX_COUNT} are allowed.`;
    report({ rule: 'FD-8', path, detail });
    return [];
  }
  return value.flatMap((entry, index) => parseFilter(entry, [...path, index], depth, report) ?? []);
}

function parseFilter(value: unknown, path: Path, depth: number, report: ReportViolation): Filter | undefined {
  const refuse = (rule: string, detail: string, at: Path = path): undefined => {
    report({ rule, path: at, detail });
  };
  if (!isObject(value)) return refuse('FD-1', `A filter is an object with one dialect (${SUPPORTED}).`);
  if (depth > FILTERS_MAX_DEPTH) return refuse('FD-8', `Filters nest at most ${FILTERS_MAX_DEPTH} deep.`);
  const members = Object.keys(value);
  const dialect = members[0];
  if (dialect === undefined || members.length > 1) {
    const detail = `A filter has exactly one dialect (${SUPPORTED}); this one has ${members.length}. Use one filter object for each.`;
    return refuse('FD-1', detail);
  }
  const inside = [...path, dialect];
  if (!isDialect(dialect)) {
    return refuse('SA-6', `dialect ${JSON.stringify(dialect)} is not known; ${SUPPORTED}`, inside);
  }
  return parseDialect(dialect, value[dialect], inside, depth, report);
}

function parseDialect(
  dialect: Dialect,
  value: unknown,
  path: Path,
  depth: number,
  report: ReportViolation,
): Filter | undefined {
  switch (dialect) {
    case 'exact':
    case 'prefix':
    case 'suffix': {
      const pairs = parsePairs(dialect, value, path, report);
      return pairs && ({ [dialect]: pairs } as { exact: AttributePairs });
    }
    case 'all':
    case 'any': {
      const nested = parseNested(dialect, value, path, depth, report);
      return nested && ({ [dialect]: nested } as { all: readonly Filter[] });
    }
    case 'not': {
      const not = parseFilter(value, path, depth + 1, report);
      return not && { not };
    }
    case 'sql':
    case 'cesql':
      return parseSql(dialect, value, path, report);
    case DATA_DIALECT:
      return parseDataFilter(value, path, report);
  }
}

function parseNested(
  dialect: 'all' | 'any',
  value: unknown,
  path: Path,
  depth: number,
  report: ReportViolation,
): readonly Filter[] | undefined {
  if (Array.isArray(value) && value.length > 0) return parseMembers(value, path, depth + 1, report);
  report({ rule: 'FD-3', path, detail: `${dialect} needs an array of at least one filter.` });
  return undefined;
}

function parsePairs(dialect: string, value: unknown, path: Path, report: ReportViolation): AttributePairs | undefined {
  const pairs = isObject(value) ? Object.entries(value) : [];
  if (pairs.length === 0) {
    const detail = `${dialect} needs an object of attribute names and values such as {"type":"com.example.created"}.`;
    report({ rule: 'FD-2', path, detail });
    return undefined;
  }
  const problems = pairs.flatMap(([name, text]) => {
    const detail = nameProblem(name) ?? valueProblem(name, text);
    return detail === undefined ? [] : [{ rule: 'FD-2', path: [...path, name], detail }];
  });
  problems.forEach(report);
  return problems.length > 0 ? undefined : (Object.fromEntries(pairs) as AttributePairs);
}

function nameProblem(name: string): string | undefined {
  if (name === '') return 'An attribute name must not be empty.';
  if (name === 'data') return `data is not an attribute (FD-7); for conditions on it use the dialect ${DATA_DIALECT}.`;
  if (!ATTRIBUTE_NAME.test(name)) {
    return `${JSON.stringify(name)} is no attribute name: names are lower-case letters and digits (CE-5).`;
  }
  return undefined;
}

function valueProblem(name: string, value: unknown): string | undefined {
  if (typeof value !== 'string') {
    return `The value for ${name} must be a string; write an Integer or Boolean as text, such as "5" or "true".`;
  }
  return value === '' ? `The value for ${name} must not be empty.` : undefined;
}

function parseSql(dialect: string, value: unknown, path: Path, report: ReportViolation): Filter | undefined {
  if (typeof value !== 'string') {
    report({ rule: 'FD-5', path, detail: `${dialect} needs a CloudEvents SQL expression in a string.` });
    return undefined;
  }
  const parsed = parseCesql(value);
  if (parsed.ok) return { sql: value };
  const { detail, position } = parsed.error;
  const { line, column } = lineAndColumn(value, position);
  report({ rule: 'FD-5', path, detail: `${detail} (line ${line}, column ${column}).`, position });
  return undefined;
}

function isDialect(dialect: string): dialect is Dialect {
  return (DIALECTS as readonly string[]).includes(dialect);
}
