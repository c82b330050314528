import type { Filter } from './filter.ts';

/** One broken rule of the `filters` member, fit for a problem document. */
export interface FilterViolation {
  /** Requirement id, for example `FD-2`. */
  readonly rule: string;
  /** Where, below the `filters` member: member names and array indexes. */
  readonly path: readonly (string | number)[];
  /** One sentence: what is wrong and how to fix it. */
  readonly detail: string;
}

export type ParsedFilters =
  | { readonly ok: true; readonly filters: readonly Filter[] }
  | { readonly ok: false; readonly violations: readonly FilterViolation[] };

/** Filters of one subscription; more is a mistake of the sender rather than an interest. */
export const FILTERS_MAX_COUNT = 100;

export const SUPPORTED_DIALECTS = ['exact', 'prefix', 'suffix'] as const;
type Dialect = (typeof SUPPORTED_DIALECTS)[number];

/** Standard dialects that this version cannot evaluate, so it must refuse them (SA-6). */
const KNOWN_DIALECTS: readonly string[] = ['all', 'any', 'not', 'sql'];

const SUPPORTED_TEXT = `supported: ${SUPPORTED_DIALECTS.join(', ')}`;

/** Member names that a context attribute can have (CE-5). */
const ATTRIBUTE_NAME = /^[a-z0-9]+$/;

/**
 * Reads the `filters` member of a subscription (SA-6, FD-1, FD-2). What comes out is valid: an invalid filter cannot be
 * stored, so nothing downstream has to decide what one means. Lists every violation.
 */
export function parseFilters(value: unknown): ParsedFilters {
  if (!Array.isArray(value)) {
    return refused(
      [],
      'SA-6',
      'filters must be an array of filter objects such as [{"prefix":{"type":"com.example."}}].',
    );
  }
  if (value.length > FILTERS_MAX_COUNT) {
    return refused([], 'FD-8', `filters has ${value.length} entries; at most ${FILTERS_MAX_COUNT} are allowed.`);
  }
  const entries: readonly unknown[] = value;
  const violations: FilterViolation[] = [];
  const filters = entries.flatMap((entry, index) => parseFilter(entry, [index], violations));
  return violations.length > 0 ? { ok: false, violations } : { ok: true, filters };
}

function refused(path: readonly (string | number)[], rule: string, detail: string): ParsedFilters {
  return { ok: false, violations: [{ rule, path, detail }] };
}

function parseFilter(value: unknown, path: readonly (string | number)[], violations: FilterViolation[]): Filter[] {
  if (!isObject(value)) {
    violations.push({ rule: 'FD-1', path, detail: `A filter is an object with one dialect (${SUPPORTED_TEXT}).` });
    return [];
  }
  const members = Object.keys(value);
  const dialect = members[0];
  if (dialect === undefined || members.length > 1) {
    const detail = `A filter has exactly one dialect (${SUPPORTED_TEXT}); this one has ${members.length}. Use one filter object for each.`;
    violations.push({ rule: 'FD-1', path, detail });
    return [];
  }
  if (!isSupported(dialect)) {
    violations.push({ rule: 'SA-6', path: [...path, dialect], detail: unsupported(dialect) });
    return [];
  }
  return parsePairs(dialect, value[dialect], [...path, dialect], violations);
}

function unsupported(dialect: string): string {
  return KNOWN_DIALECTS.includes(dialect)
    ? `dialect ${dialect} is not supported yet; ${SUPPORTED_TEXT}`
    : `dialect ${JSON.stringify(dialect)} is not known; ${SUPPORTED_TEXT}`;
}

function parsePairs(
  dialect: Dialect,
  value: unknown,
  path: readonly (string | number)[],
  violations: FilterViolation[],
): Filter[] {
  const before = violations.length;
  const pairs = isObject(value) ? Object.entries(value) : [];
  if (pairs.length === 0) {
    const detail = `${dialect} needs an object of attribute names and values such as {"type":"com.example.created"}.`;
    violations.push({ rule: 'FD-2', path, detail });
  }
  for (const [name, text] of pairs) {
    const detail = nameProblem(name) ?? valueProblem(name, text);
    if (detail !== undefined) violations.push({ rule: 'FD-2', path: [...path, name], detail });
  }
  if (violations.length > before) return [];
  return [makeFilter(dialect, Object.fromEntries(pairs) as Record<string, string>)];
}

function nameProblem(name: string): string | undefined {
  if (name === '') return 'An attribute name must not be empty.';
  if (name === 'data') return 'data is not an attribute: filters see context attributes only (FD-7).';
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

function makeFilter(dialect: Dialect, pairs: Readonly<Record<string, string>>): Filter {
  switch (dialect) {
    case 'exact':
      return { exact: pairs };
    case 'prefix':
      return { prefix: pairs };
    case 'suffix':
      return { suffix: pairs };
  }
}

function isSupported(dialect: string): dialect is Dialect {
  return (SUPPORTED_DIALECTS as readonly string[]).includes(dialect);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
