import type { CloudEvent } from '#core/event/cloud-event';
import { DATA_DIALECT, type DataCondition, type DataConditions } from '#core/filter/data-filter';
import type { Filter } from '#core/filter/filter';
import { parseCesql } from '#core/filter/sql/parse-cesql';
import { interpretCesql } from './cesql-interpreter.ts';

/**
 * What the Subscriptions API says of filters, line by line, without a thought for speed: what compiled filters are
 * compared with.
 */
export function interpretFilter(filter: Filter, event: CloudEvent): boolean {
  if ('all' in filter) return filter.all.every((each) => interpretFilter(each, event));
  if ('any' in filter) return filter.any.some((each) => interpretFilter(each, event));
  if ('not' in filter) return !interpretFilter(filter.not, event);
  if ('sql' in filter) return interpretSql(filter.sql, event);
  if ('exact' in filter) return everyPair(filter.exact, event, (text, wanted) => text === wanted);
  if ('prefix' in filter) return everyPair(filter.prefix, event, (text, wanted) => text.indexOf(wanted) === 0);
  if ('suffix' in filter) {
    return everyPair(filter.suffix, event, (text, wanted) => text.slice(-wanted.length) === wanted);
  }
  return interpretConditions(filter[DATA_DIALECT], event);
}

function everyPair(
  pairs: Readonly<Record<string, string>>,
  event: CloudEvent,
  isMatch: (text: string, wanted: string) => boolean,
): boolean {
  return Object.entries(pairs).every(([name, wanted]) => {
    const value = event.attributes.get(name);
    return value !== undefined && isMatch(`${value}`, wanted);
  });
}

function interpretSql(sql: string, event: CloudEvent): boolean {
  const parsed = parseCesql(sql);
  if (!parsed.ok) throw new Error(`the filter is invalid: ${parsed.error.detail}`);
  const { value, error } = interpretCesql(parsed.expression, event.attributes);
  return value === true && error === undefined;
}

/** Numbers as their texts, marked, so that no digit is lost. */
class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function interpretConditions(conditions: DataConditions, event: CloudEvent): boolean {
  const data = dataOf(event);
  return Object.entries(conditions).every(([pointer, condition]) => {
    const found = follow(data, pointer);
    if (found === undefined) return condition.exists === false;
    return Object.entries(condition).every(([name, wanted]) =>
      isMet(name as keyof DataCondition, found.value, wanted as never),
    );
  });
}

function dataOf({ data }: CloudEvent): { readonly value: unknown } | undefined {
  if (data?.form !== 'json') return undefined;
  const keepText = (_key: string, value: unknown, context?: { readonly source: string }) =>
    typeof value === 'number' ? new NumberText(context?.source ?? '') : value;
  try {
    return { value: JSON.parse(new TextDecoder().decode(data.bytes), keepText) as unknown };
  } catch {
    return undefined;
  }
}

function follow(
  from: { readonly value: unknown } | undefined,
  pointer: string,
): { readonly value: unknown } | undefined {
  let found = from;
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    const value = found?.value;
    const isContainer = typeof value === 'object' && value !== null && !(value instanceof NumberText);
    if (!isContainer || !Object.keys(value).includes(name)) return undefined;
    found = { value: (value as Record<string, unknown>)[name] };
  }
  return found;
}

function isMet(name: keyof DataCondition, value: unknown, wanted: unknown): boolean {
  switch (name) {
    case 'exists':
      return wanted === true;
    case 'eq':
      return isSame(value, wanted);
    case 'ne':
      return !isSame(value, wanted);
    case 'in':
      return (wanted as unknown[]).some((each) => isSame(value, each));
    case 'prefix':
      return typeof value === 'string' && value.indexOf(wanted as string) === 0;
    case 'suffix':
      return typeof value === 'string' && value.slice(-(wanted as string).length) === wanted;
    case 'lt':
      return order(value, wanted) === -1;
    case 'lte':
      return [-1, 0].includes(order(value, wanted) ?? 9);
    case 'gt':
      return order(value, wanted) === 1;
    case 'gte':
      return [1, 0].includes(order(value, wanted) ?? 9);
  }
}

function isSame(value: unknown, wanted: unknown): boolean {
  return value === wanted || order(value, wanted) === 0;
}

function order(value: unknown, wanted: unknown): -1 | 0 | 1 | undefined {
  if (typeof value === 'string' && typeof wanted === 'string') return value === wanted ? 0 : value < wanted ? -1 : 1;
  const right = typeof wanted === 'number' ? String(wanted) : (wanted as { decimal?: string } | null)?.decimal;
  if (!(value instanceof NumberText) || right === undefined) return undefined;
  const [x, y] = [scaled(value.text), scaled(right)];
  return x === y ? 0 : x < y ? -1 : 1;
}

/** The number times 10^500: a whole one, for all numbers of the tests. */
function scaled(text: string): bigint {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return BigInt(whole + fraction) * 10n ** BigInt(500 + Number(exponent) - fraction.length);
}
