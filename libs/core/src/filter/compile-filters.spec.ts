import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AttributeValue, CloudEvent } from '../event/cloud-event.ts';
import { compileFilters } from './compile-filters.ts';
import type { Filter } from './filter.ts';
import { parseFilters } from './parse-filters.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/subscriptions/filter-cases.json', import.meta.url), 'utf8'),
) as {
  events: Record<string, Record<string, AttributeValue>>;
  cases: { filters: unknown; event: string; deliver: boolean; note?: string }[];
};

const eventOf = (attributes: Record<string, AttributeValue>): CloudEvent => ({
  attributes: new Map(Object.entries(attributes)),
});

/** The specification as it reads: FD-2 and SA-6, attribute by attribute. */
function interpret(filters: readonly Filter[], event: CloudEvent): boolean {
  return filters.every((filter) =>
    Object.entries(filter).every(([dialect, pairs]) =>
      Object.entries(pairs as Record<string, string>).every(([name, expected]) => {
        const value = event.attributes.get(name);
        if (value === undefined) return false;
        const text = `${value}`;
        if (dialect === 'exact') return text === expected;
        if (dialect === 'prefix') return text.slice(0, expected.length) === expected;
        return text.length >= expected.length && text.slice(text.length - expected.length) === expected;
      }),
    ),
  );
}

const name = fc.constantFrom('type', 'source', 'subject', 'n', 'b');
const text = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '.', '5', '😀'), minLength: 1, maxLength: 4 });
const value = fc.oneof(text, fc.integer({ min: -6, max: 60 }), fc.boolean());
const expected = fc.oneof(text, fc.constantFrom('5', 'true', 'tr', 'e', '-'));
const pairs = fc.dictionary(name, expected, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
const filter: fc.Arbitrary<Filter> = fc.oneof(
  pairs.map((exact) => ({ exact })),
  pairs.map((prefix) => ({ prefix })),
  pairs.map((suffix) => ({ suffix })),
);
const attributes = fc.dictionary(name, value, { noNullPrototype: true });

describe('compiled filters', () => {
  const supported = vectors.cases.filter(({ filters }) => filters === null || parseFilters(filters).ok);

  test('have vectors to run', () => expect(supported.length).toBeGreaterThanOrEqual(11));

  test.each(supported)('give $deliver for $filters (FD-2)', ({ filters, event, deliver }) => {
    const parsed = parseFilters(filters ?? []);
    if (!parsed.ok) throw new Error('the vector is not supported');
    expect(compileFilters(parsed.filters)(eventOf(vectors.events[event] ?? {}))).toBe(deliver);
  });

  test('agree with a naive interpreter on any filters and event', () => {
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 3 }), attributes, (filters, values) => {
        const event = eventOf(values);
        expect(compileFilters(filters)(event)).toBe(interpret(filters, event));
      }),
      { numRuns: 1000 },
    );
  });

  test('give the same whether the filters were parsed or made here', () => {
    fc.assert(fc.property(fc.array(filter), (filters) => expect(parseFilters(filters)).toEqual({ ok: true, filters })));
  });
});
