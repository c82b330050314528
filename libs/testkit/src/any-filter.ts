import fc from 'fast-check';
import type { AttributeValue, CloudEvent } from '#core/event/cloud-event';
import { DATA_DIALECT, type DataCondition, type DataScalar } from '#core/filter/data-filter';
import type { Filter } from '#core/filter/filter';
import { printCesql } from '#core/filter/sql/print-cesql';
import { anyCesql } from './any-cesql.ts';

/** Few names and letters, so that filters and events meet. */
const name = fc.constantFrom('type', 'source', 'subject', 'a', 'b');
const text = fc.oneof(
  { arbitrary: fc.constantFrom('a', 'b', 'ab', 'a.b', 'b.a'), weight: 3 },
  {
    arbitrary: fc.string({ unit: fc.constantFrom('a', 'b', 'A', '.', '5', '😀'), minLength: 1, maxLength: 4 }),
    weight: 1,
  },
);
const value = fc.oneof({ arbitrary: text, weight: 4 }, fc.integer({ min: -6, max: 60 }), fc.boolean());
const expected = fc.oneof({ arbitrary: text, weight: 4 }, fc.constantFrom('5', 'true', 'tr', 'e', '-'));
const pairs = fc.dictionary(name, expected, { minKeys: 1, maxKeys: 2, noNullPrototype: true });

/** The texts of numbers; some of them are different, but not to floating point. */
const number = fc.constantFrom(
  '0',
  '-0',
  '1',
  '1.0',
  '10',
  '1e1',
  '-1.5',
  '0.1',
  '0.1000000000000000055',
  '1e400',
  '1e-400',
  '1e23',
  '100000000000000000000000',
  '9007199254740992',
  '9007199254740993',
  '-9007199254740993',
);
const pointer = fc.constantFrom('', '/n', '/s', '/o/n', '/o', '/l/0', '/l/1', '/l/-', '/l/01', '/~1~0', '/gone');

/** Filters of every dialect. */
export function anyFilter(): fc.Arbitrary<Filter> {
  const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3, depthIdentifier: 'filter' },
      anyFlatFilter(),
      fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
      fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
      tie('filter').map((not) => ({ not })),
    ),
  }));
  return filter;
}

function anyFlatFilter(): fc.Arbitrary<Filter> {
  return fc.oneof(
    { arbitrary: pairs.map((exact) => ({ exact })), weight: 3 },
    { arbitrary: pairs.map((prefix) => ({ prefix })), weight: 2 },
    { arbitrary: pairs.map((suffix) => ({ suffix })), weight: 2 },
    { arbitrary: anySimpleSql().map((sql) => ({ sql })), weight: 2 },
    { arbitrary: anyCesql().map((expression) => ({ sql: printCesql(expression) })), weight: 1 },
    { arbitrary: anyDataFilter(), weight: 2 },
  );
}

/** What people write, and what the match index looks up. */
function anySimpleSql(): fc.Arbitrary<string> {
  const simple = text.filter((each) => !each.includes("'"));
  const term = fc.oneof(
    fc.tuple(name, simple).map(([left, right]) => `${left} = '${right}'`),
    fc
      .tuple(name, simple, fc.constantFrom('%x', 'x%', 'x', '%x%', '_x%'))
      .map(([left, right, pattern]) => `${left} LIKE '${pattern.replace('x', right)}'`),
    fc.tuple(name, simple).map(([left, right]) => `${left} IN ('${right}', 'a')`),
    name.map((each) => `EXISTS ${each}`),
    fc.tuple(name, fc.nat({ max: 60 })).map(([left, right]) => `${left} >= ${right}`),
  );
  const join = (operator: string) =>
    fc.array(term, { minLength: 1, maxLength: 3 }).map((terms) => terms.join(operator));
  return fc.oneof(
    join(' AND '),
    join(' OR '),
    term.map((each) => `NOT (${each})`),
  );
}

function anyDataFilter(): fc.Arbitrary<Filter> {
  return fc
    .dictionary(pointer, anyCondition(), { minKeys: 1, maxKeys: 2, noNullPrototype: true })
    .map((conditions) => ({ [DATA_DIALECT]: conditions }));
}

function anyCondition(): fc.Arbitrary<DataCondition> {
  const decimal = number.map((each) => ({ decimal: each }));
  const safe = fc.constantFrom(0, 1, 10, -1.5, 0.1, 9007199254740991);
  const ordered = fc.oneof(text, safe, decimal);
  const scalar: fc.Arbitrary<DataScalar> = fc.oneof(ordered, fc.boolean(), fc.constant(null));
  const comparison = fc.record(
    {
      eq: scalar,
      ne: scalar,
      lt: ordered,
      lte: ordered,
      gt: ordered,
      gte: ordered,
      prefix: text,
      suffix: text,
      in: fc.array(scalar, { minLength: 1, maxLength: 3 }),
      exists: fc.constant(true),
    },
    { requiredKeys: [], noNullPrototype: true },
  );
  // With one member mostly: with more of them, hardly any value passes.
  const one = comparison.map((all) => Object.fromEntries(Object.entries(all).slice(0, 1)) as DataCondition);
  const isCondition = (condition: DataCondition) => Object.keys(condition).length > 0;
  return fc.oneof(one.filter(isCondition), comparison.filter(isCondition), fc.constant({ exists: false }));
}

/** Events that {@link anyFilter} is about; not all of them have a type. */
export function anyFilteredEvent(): fc.Arbitrary<CloudEvent> {
  const attributes = fc.dictionary(name, value, { minKeys: 2, noNullPrototype: true });
  return fc.tuple(attributes, anyData()).map(([pairsOfEvent, json]) => {
    const event = { attributes: new Map<string, AttributeValue>(Object.entries(pairsOfEvent)) };
    if (json === undefined) return event;
    const bytes = new TextEncoder().encode(json);
    return { ...event, data: { bytes, form: json.startsWith('\n') ? ('bytes' as const) : ('json' as const) } };
  });
}

function anyData(): fc.Arbitrary<string | undefined> {
  const scalar = fc.oneof(
    number,
    text.map((each) => JSON.stringify(each)),
    fc.constantFrom('true', 'false', 'null'),
  );
  const object = fc
    .record({
      n: scalar,
      s: scalar,
      o: fc.oneof(
        scalar,
        scalar.map((each) => `{"n":${each}}`),
      ),
      '/~': scalar,
      l: scalar,
    })
    .map((members) => {
      const list = `[${members.l},{"n":1}]`;
      const texts = Object.entries({ ...members, l: list }).map(([key, json]) => `${JSON.stringify(key)}:${json}`);
      return `{${texts.join(',')}}`;
    });
  return fc.oneof(fc.constantFrom(undefined, 'no json', '\n{}'), scalar, object, object, object);
}
