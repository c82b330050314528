import type { DataCondition, DataConditions, DataNumber, DataOrdered, DataScalar } from './data-filter.ts';
import { compareDecimals, parseDecimal } from './decimal.ts';
import type { EventView } from './event-view.ts';
import { ExactNumber, parsePointer, valueAt, type JsonValue } from './json-data.ts';

/** Answers for a value that is there. */
type ValueTest = (value: JsonValue) => boolean;

/** One predicate for all conditions of a data filter. */
export function compileDataFilter(conditions: DataConditions): (view: EventView) => boolean {
  const tests = Object.entries(conditions).map(([pointer, condition]) => ({
    tokens: parsePointer(pointer) ?? [],
    mayBeMissing: condition.exists === false,
    passes: compileCondition(condition),
  }));
  return (view) => {
    const data = view.data();
    return tests.every(({ tokens, mayBeMissing, passes }) => {
      const value = valueAt(data, tokens);
      return value === undefined ? mayBeMissing : passes(value);
    });
  };
}

function compileCondition(condition: DataCondition): ValueTest {
  const tests = Object.entries(condition).map(([name, wanted]) => compileTest(name as keyof DataCondition, wanted));
  return (value) => tests.every((passes) => passes(value));
}

function compileTest(name: keyof DataCondition, wanted: unknown): ValueTest {
  switch (name) {
    case 'eq':
      return (value) => isEqual(value, wanted as DataScalar);
    case 'ne':
      return (value) => !isEqual(value, wanted as DataScalar);
    case 'lt':
      return (value) => compare(value, wanted as DataOrdered) < 0;
    case 'lte':
      return (value) => compare(value, wanted as DataOrdered) <= 0;
    case 'gt':
      return (value) => compare(value, wanted as DataOrdered) > 0;
    case 'gte':
      return (value) => compare(value, wanted as DataOrdered) >= 0;
    case 'in':
      return compileIn(wanted as readonly DataScalar[]);
    case 'prefix':
      return (value) => typeof value === 'string' && value.startsWith(wanted as string);
    case 'suffix':
      return (value) => typeof value === 'string' && value.endsWith(wanted as string);
    case 'exists':
      return () => wanted === true;
  }
}

function compileIn(wanted: readonly DataScalar[]): ValueTest {
  const texts = new Set(wanted.filter((each) => typeof each === 'string'));
  const others = wanted.filter((each) => typeof each !== 'string');
  return (value) => (typeof value === 'string' ? texts.has(value) : others.some((each) => isEqual(value, each)));
}

function isEqual(value: JsonValue, wanted: DataScalar): boolean {
  return value === wanted || compare(value, wanted) === 0;
}

/** NaN, which no comparison likes, where there is no order. */
function compare(value: JsonValue, wanted: DataScalar): number {
  if (typeof value === 'string') {
    if (typeof wanted !== 'string') return NaN;
    return value < wanted ? -1 : value > wanted ? 1 : 0;
  }
  const isNumber = typeof value === 'number' || value instanceof ExactNumber;
  if (!isNumber || wanted === null || typeof wanted === 'string' || typeof wanted === 'boolean') return NaN;
  return compareNumbers(value, wanted);
}

function compareNumbers(value: number | ExactNumber, wanted: DataNumber): number {
  if (typeof value === 'number' && typeof wanted === 'number') return value - wanted;
  const left = typeof value === 'number' ? parseDecimal(String(value)) : value.decimal;
  return compareDecimals(left, parseDecimal(typeof wanted === 'number' ? String(wanted) : wanted.decimal));
}
