import { DATA_DIALECT, type DataCondition, type DataConditions, type DataFilter } from './data-filter.ts';
import { isJsonNumber } from './decimal.ts';
import { isObject, type FilterViolation, type ReportViolation } from './filter-violation.ts';
import { parsePointer } from './json-data.ts';

type Path = FilterViolation['path'];

const EXAMPLE = '{"/order/total":{"gte":100}}';
const MEMBERS = ['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'prefix', 'suffix', 'exists'];
const SCALAR = 'a string, a number, true, false or null';
const ORDERED = 'a string or a number';
const IN_MAX_COUNT = 1000;

/** Reads the data dialect: an object of JSON Pointers and conditions. What comes out is valid. */
export function parseDataFilter(value: unknown, path: Path, report: ReportViolation): DataFilter | undefined {
  const problems: FilterViolation[] = [];
  const refuse = (at: Path, detail: string): void => {
    problems.push({ rule: 'FD-6', path: at, detail });
  };
  const pairs = isObject(value) ? Object.entries(value) : [];
  if (pairs.length === 0) refuse(path, `This needs an object of JSON Pointers and conditions, such as ${EXAMPLE}.`);
  for (const [pointer, condition] of pairs) {
    if (parsePointer(pointer) === undefined) {
      const detail = `${JSON.stringify(pointer)} is no JSON Pointer (RFC 6901): it is empty or starts with /, and ~ stands only in ~0 and ~1.`;
      refuse([...path, pointer], detail);
    } else checkCondition(condition, [...path, pointer], refuse);
  }
  problems.forEach(report);
  return problems.length === 0 ? { [DATA_DIALECT]: value as DataConditions } : undefined;
}

function checkCondition(value: unknown, path: Path, refuse: (at: Path, detail: string) => void): void {
  const members = isObject(value) ? Object.entries(value) : [];
  if (members.length === 0) {
    refuse(path, `A condition is an object with at least one of ${MEMBERS.join(', ')}.`);
    return;
  }
  for (const [name, wanted] of members) {
    const problem = MEMBERS.includes(name)
      ? problemOf(name as keyof DataCondition, wanted)
      : `${JSON.stringify(name)} is not known; known: ${MEMBERS.join(', ')}.`;
    if (problem !== undefined) refuse([...path, name], problem);
  }
  if (isObject(value) && value['exists'] === false && members.length > 1) {
    refuse([...path, 'exists'], 'Beside "exists": false there is nothing to compare; leave one of the two out.');
  }
}

function problemOf(name: keyof DataCondition, value: unknown): string | undefined {
  switch (name) {
    case 'eq':
    case 'ne':
      return scalarProblem(value);
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte':
      return orderedProblem(value, ORDERED);
    case 'in':
      return listProblem(value);
    case 'prefix':
    case 'suffix':
      return typeof value === 'string' && value !== '' ? undefined : 'This must be a string that is not empty.';
    case 'exists':
      return typeof value === 'boolean' ? undefined : 'This must be true or false.';
  }
}

function listProblem(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > IN_MAX_COUNT) {
    return `This must be an array of 1 to ${IN_MAX_COUNT} values.`;
  }
  return value.map(scalarProblem).find((problem) => problem !== undefined);
}

function scalarProblem(value: unknown): string | undefined {
  return value === null || typeof value === 'boolean' ? undefined : orderedProblem(value, SCALAR);
}

function orderedProblem(value: unknown, expected: string): string | undefined {
  if (typeof value === 'string') return undefined;
  if (typeof value === 'number') return numberProblem(value);
  const decimal = isObject(value) && Object.keys(value).length === 1 ? value['decimal'] : undefined;
  if (decimal === undefined) return `This must be ${expected}.`;
  const isNumber = typeof decimal === 'string' && isJsonNumber(decimal);
  return isNumber ? undefined : 'decimal must be the text of a number, such as "12345678901234567890".';
}

/** What was written may have had more digits than arrived here. */
function numberProblem(value: number): string | undefined {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return undefined;
  return 'A number beyond ±9007199254740991 loses digits when it is read; write it as {"decimal": "…"}.';
}
