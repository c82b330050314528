import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyFilter, anyFilteredEvent } from '#testkit/any-filter';
import { interpretFilter } from '#testkit/filter-interpreter';
import { fuzzRuns } from '#testkit/fuzz-runs';
import type { AttributeValue, CloudEvent } from '../event/cloud-event.ts';
import { compileFilters } from './compile-filters.ts';
import { DATA_DIALECT, type DataCondition } from './data-filter.ts';
import { makeEventView } from './event-view.ts';
import { explainFilters } from './explain-filters.ts';
import type { Filter } from './filter.ts';
import { ExactNumber } from './json-data.ts';
import { parseFilters } from './parse-filters.ts';

const FUZZ_TIMEOUT_MS = 30 * 60_000;

const vectors = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/subscriptions/filter-cases.json', import.meta.url), 'utf8'),
) as {
  events: Record<string, Record<string, AttributeValue>>;
  cases: { filters: unknown; event: string; deliver: boolean; note?: string }[];
};

const eventOf = (attributes: Record<string, AttributeValue>): CloudEvent => ({
  attributes: new Map(Object.entries(attributes)),
});

const withData = (json: string): CloudEvent => ({
  ...eventOf({ type: 'a' }),
  data: { bytes: new TextEncoder().encode(json), form: 'json' },
});

const isPassed = (filters: readonly Filter[], event: CloudEvent): boolean =>
  compileFilters(filters).passes(makeEventView(event));

const passes = (filter: unknown, event: CloudEvent): boolean => {
  const parsed = parseFilters([filter]);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return isPassed(parsed.filters, event);
};

describe('compiled filters', () => {
  test('have vectors to run', () => expect(vectors.cases.length).toBeGreaterThanOrEqual(26));

  test.each(vectors.cases)('give $deliver for $filters (FD-2 … FD-5, SA-6)', ({ filters, event, deliver }) => {
    const parsed = parseFilters(filters ?? []);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
    const cloudEvent = eventOf(vectors.events[event] ?? {});
    expect(isPassed(parsed.filters, cloudEvent)).toBe(deliver);
    expect(explainFilters(parsed.filters, cloudEvent).match).toBe(deliver);
  });

  test('tell the filter not from the operator NOT where an attribute is missing (FD-4, D13)', () => {
    const event = eventOf({ type: 'a' });
    expect(passes({ not: { exact: { missing: 'x' } } }, event)).toBe(true);
    expect(passes({ not: { sql: "missing = 'x'" } }, event)).toBe(true);
    expect(passes({ sql: "NOT (missing = 'x')" }, event)).toBe(false);
    expect(passes({ sql: "NOT EXISTS missing OR NOT (missing = 'x')" }, event)).toBe(true);
  });

  const order = `{"id":9007199254740993,"total":99.5,"big":12345678901234567890,"state":"paid","note":null,
    "lines":[{"sku":"A-1"}],"a/b":{"m~n":true},"tiny":1e-400,"":{"":"empty"}}`;

  test.each<[string, DataCondition, boolean]>([
    ['/state', { eq: 'paid' }, true],
    ['/state', { ne: 'paid' }, false],
    ['/state', { ne: 5 }, true],
    ['/state', { in: ['open', 'paid'] }, true],
    ['/state', { prefix: 'pa', suffix: 'id' }, true],
    ['/state', { gt: 'open', lte: 'paid' }, true],
    ['/state', { gt: 5 }, false],
    ['/total', { gte: 99.5, lt: 100 }, true],
    ['/total', { eq: { decimal: '99.50' } }, true],
    ['/total', { eq: '99.5' }, false],
    ['/total', { prefix: '99' }, false],
    ['/id', { eq: { decimal: '9007199254740993' } }, true],
    ['/id', { eq: { decimal: '9007199254740992' } }, false],
    ['/id', { gt: 9007199254740991 }, true],
    ['/big', { eq: { decimal: '1234567890123456789e1' } }, true],
    ['/big', { in: [1, { decimal: '12345678901234567890' }] }, true],
    ['/tiny', { gt: 0 }, true],
    ['/note', { eq: null }, true],
    ['/note', { exists: true }, true],
    ['/note', { exists: false }, false],
    ['/note', { lt: 5 }, false],
    ['/lines/0/sku', { eq: 'A-1' }, true],
    ['/lines/1', { exists: false }, true],
    ['/lines/00', { exists: false }, true],
    ['/lines/-', { exists: false }, true],
    ['/lines/length', { exists: false }, true],
    ['/lines', { exists: true }, true],
    ['/lines', { ne: 'x' }, true],
    ['/a~1b/m~0n', { eq: true }, true],
    ['//', { eq: 'empty' }, true],
    ['/state/0', { exists: false }, true],
    ['/gone', { ne: 1 }, false],
    ['/__proto__', { exists: false }, true],
    ['/toString', { exists: false }, true],
    ['', { exists: true }, true],
  ])('look at %s of the data: %j is %s (FD-6)', (pointer, condition, wanted) => {
    expect(passes({ [DATA_DIALECT]: { [pointer]: condition } }, withData(order))).toBe(wanted);
  });

  test('see text as one string, and nothing in bytes or where there is no data', () => {
    const text = { bytes: new TextEncoder().encode('hello'), form: 'text' as const };
    const filter = { [DATA_DIALECT]: { '': { prefix: 'he' } } };
    expect(passes(filter, { ...eventOf({}), data: text })).toBe(true);
    expect(passes(filter, { ...eventOf({}), data: { ...text, form: 'bytes' } })).toBe(false);
    expect(passes(filter, eventOf({}))).toBe(false);
    expect(passes({ [DATA_DIALECT]: { '': { exists: false } } }, eventOf({}))).toBe(true);
  });

  test('parse the data once, and only when nothing cheaper has decided', () => {
    let reads = 0;
    const data = {
      form: 'json' as const,
      get bytes() {
        reads++;
        return new TextEncoder().encode('{"a":1}');
      },
    };
    const view = makeEventView({ ...eventOf({ type: 'a' }), data });
    const condition = { [DATA_DIALECT]: { '/a': { eq: 1 } } };
    const ask = (filters: readonly Filter[]) => compileFilters(filters).passes(view);
    expect(ask([condition, { exact: { type: 'b' } }])).toBe(false);
    expect(ask([{ any: [condition, { sql: "type = 'a'" }] }])).toBe(true);
    expect(reads).toBe(0);
    expect(ask([condition, condition])).toBe(true);
    expect(ask([{ not: condition }])).toBe(false);
    expect(reads).toBe(1);
  });

  test('read a long number once, however many it is compared with', () => {
    let reads = 0;
    const number = Object.defineProperty(new ExactNumber(''), 'text', {
      get() {
        reads++;
        return '1'.repeat(1000);
      },
    });
    const none = { [DATA_DIALECT]: { '': { in: Array.from({ length: 1000 }, (_, i) => i) } } };
    const view = { ...makeEventView(eventOf({})), data: () => number };
    expect(compileFilters([none]).passes(view)).toBe(false);
    expect(compileFilters([none, { not: none }]).passes(view)).toBe(false);
    expect(reads).toBe(1);
  });

  test('have one limit of what they may cost for an event, however many expressions they are (FD-8)', () => {
    const event = eventOf({ a: 'x'.repeat(200_000) });
    const sql = (times: number): Filter => ({ sql: `LENGTH(CONCAT(${Array(times).fill('a').join()})) > 0` });
    expect(isPassed([sql(20)], event)).toBe(true);
    expect(isPassed([sql(20), { not: { not: sql(20) } }], event)).toBe(false);
    expect(isPassed([{ any: [sql(40), sql(1)] }], event)).toBe(true);
    expect(explainFilters([sql(20), sql(20)], event)).toMatchObject({
      match: false,
      trace: [{ verdict: true }, { verdict: false, errors: [{ kind: 'generic' }] }],
    });
  });

  test(
    'are the same as a naive interpreter, and as their explanation, for any filters and event',
    () => {
      fc.assert(
        fc.property(fc.array(anyFilter(), { maxLength: 2 }), anyFilteredEvent(), (filters, event) => {
          const wanted = filters.every((filter) => interpretFilter(filter, event));
          const { match, trace } = explainFilters(filters, event);
          const verdicts = trace.every(({ verdict }) => verdict);
          const got = isPassed(filters, event);
          // Plain comparisons: a million calls of expect() take minutes.
          if (got !== wanted || match !== wanted || verdicts !== wanted) {
            expect({ filters, got, match, verdicts }).toEqual({
              filters,
              got: wanted,
              match: wanted,
              verdicts: wanted,
            });
          }
        }),
        { numRuns: fuzzRuns(3000) },
      );
    },
    FUZZ_TIMEOUT_MS,
  );

  test('obey De Morgan', () => {
    const filters = fc.array(anyFilter(), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(filters, anyFilteredEvent(), (parts, event) => {
        const is = (filter: Filter) => isPassed([filter], event);
        const negated = parts.map((not) => ({ not }));
        expect(is({ not: { all: parts } })).toBe(is({ any: negated }));
        expect(is({ not: { any: parts } })).toBe(is({ all: negated }));
        expect(is({ not: { not: { all: parts } } })).toBe(is({ all: parts }));
      }),
      { numRuns: 500 },
    );
  });
});
