import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyFilter } from '#testkit/any-filter';
import { DATA_DIALECT } from './data-filter.ts';
import { FILTERS_MAX_COUNT, FILTERS_MAX_DEPTH, FILTERS_MAX_LENGTH, parseFilters } from './parse-filters.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/subscriptions/filter-cases.json', import.meta.url), 'utf8'),
) as { rejectOnCreate: { filters: unknown; why: string }[] };

const violationsOf = (filters: unknown) => {
  const parsed = parseFilters(filters);
  return parsed.ok ? [] : parsed.violations;
};
const pathsOf = (filters: unknown) => violationsOf(filters).map(({ path }) => path);

const nested = (depth: number): unknown =>
  depth === 1 ? { exact: { type: 'a' } } : depth % 2 === 0 ? { not: nested(depth - 1) } : { all: [nested(depth - 1)] };

describe('parsing filters', () => {
  test('keeps valid filters as they came (FD-1, FD-5, FD-6)', () => {
    const filters = [
      { exact: { type: 'a', comexampleint: '5' } },
      { prefix: { source: '/' } },
      { suffix: { type: '.x' } },
      { all: [{ any: [{ exact: { type: 'a' } }, { not: { prefix: { type: 'b' } } }] }] },
      { sql: "type = 'a'" },
      { [DATA_DIALECT]: { '': { exists: true }, '/a~1b/0': { gte: 5, lt: 10, ne: null } } },
    ];
    expect(parseFilters(filters)).toEqual({ ok: true, filters });
    expect(parseFilters([])).toEqual({ ok: true, filters: [] });
  });

  test('takes cesql for sql, and stores sql (FD-8)', () => {
    expect(parseFilters([{ not: { cesql: 'TRUE' } }])).toEqual({ ok: true, filters: [{ not: { sql: 'TRUE' } }] });
  });

  test.each(vectors.rejectOnCreate)('rejects: $why (FD-1 … FD-5)', ({ filters }) => {
    expect(parseFilters(filters).ok).toBe(false);
  });

  test.each(['https://example.com/dialect', 'regex', 'SQL', 'toString'])(
    'names the unknown dialect %s (SA-6)',
    (name) => {
      expect(violationsOf([{ [name]: 1 }])).toEqual([
        {
          rule: 'SA-6',
          path: [0, name],
          detail: `dialect "${name}" is not known; supported: exact, prefix, suffix, all, any, not, sql, ${DATA_DIALECT}`,
        },
      ]);
    },
  );

  test('says where an expression is wrong (FD-5, CQ-9)', () => {
    expect(violationsOf([{ exact: { type: 'a' } }, { any: [{ sql: "type =\n  'a' AND" }] }])).toEqual([
      {
        rule: 'FD-5',
        path: [1, 'any', 0, 'sql'],
        detail: 'The expression ends here; expected a value (line 2, column 10).',
        position: 16,
      },
    ]);
  });

  test('lists every violation with its place, however deep', () => {
    const filters = [
      { exact: { '': 'a', type: '' } },
      { prefix: { Type: 'x', n: 5 } },
      { suffix: {} },
      7,
      { all: [{ not: [] }, { any: [] }, { sql: 5 }, { all: { exact: { type: 'a' } } }] },
      { not: { not: { regex: {} } } },
    ];
    expect(pathsOf(filters)).toEqual([
      [0, 'exact', ''],
      [0, 'exact', 'type'],
      [1, 'prefix', 'Type'],
      [1, 'prefix', 'n'],
      [2, 'suffix'],
      [3],
      [4, 'all', 0, 'not'],
      [4, 'all', 1, 'any'],
      [4, 'all', 2, 'sql'],
      [4, 'all', 3, 'all'],
      [5, 'not', 'not', 'regex'],
    ]);
  });

  test('lists every violation of conditions on data (FD-6)', () => {
    const conditions = {
      'no-slash': { eq: 1 },
      '/~2': { eq: 1 },
      '/empty': {},
      '/a': { equals: 1, eq: [], lt: true, in: [], prefix: '', suffix: 5, exists: 'yes' },
      '/b': { eq: 2 ** 53, gt: { decimal: '1.' }, lte: { decimal: '1', more: 1 } },
      '/c': { exists: false, eq: 1 },
      '/d': { in: [1, {}] },
    };
    expect(pathsOf([{ [DATA_DIALECT]: conditions }]).map((path) => path.slice(2).join(' '))).toEqual([
      'no-slash',
      '/~2',
      '/empty',
      ...['equals', 'eq', 'lt', 'in', 'prefix', 'suffix', 'exists'].map((name) => `/a ${name}`),
      ...['eq', 'gt', 'lte'].map((name) => `/b ${name}`),
      '/c exists',
      '/d in',
    ]);
    expect(pathsOf([{ [DATA_DIALECT]: {} }])).toEqual([[0, DATA_DIALECT]]);
    expect(pathsOf([{ [DATA_DIALECT]: '/a' }])).toEqual([[0, DATA_DIALECT]]);
  });

  test('rejects an attribute called data, and says what to use instead (FD-7)', () => {
    expect(violationsOf([{ exact: { data: 'x' } }])).toMatchObject([{ detail: expect.stringContaining(DATA_DIALECT) }]);
  });

  test('bounds count, depth and size (FD-8)', () => {
    const many = Array.from({ length: FILTERS_MAX_COUNT + 1 }, () => ({ exact: { type: 'x' } }));
    expect(pathsOf(many)).toEqual([[]]);
    expect(pathsOf([{ any: many }])).toEqual([[0, 'any']]);
    expect(parseFilters(many.slice(1)).ok).toBe(true);
    expect(parseFilters([nested(FILTERS_MAX_DEPTH)]).ok).toBe(true);
    expect(violationsOf([nested(FILTERS_MAX_DEPTH + 1)])).toMatchObject([{ rule: 'FD-8' }]);
    const overhead = JSON.stringify([{ exact: { type: '' } }]).length;
    expect(parseFilters([{ exact: { type: 'x'.repeat(FILTERS_MAX_LENGTH - overhead) } }]).ok).toBe(true);
    expect(pathsOf([{ exact: { type: 'x'.repeat(FILTERS_MAX_LENGTH - overhead + 1) } }])).toEqual([[]]);
  });

  test('survives what is nested a hundred thousand deep', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    expect(pathsOf(deep)).toEqual([[]]);
    const nots: unknown = JSON.parse(`[${'{"not":'.repeat(5000)}1${'}'.repeat(5000)}]`);
    expect(violationsOf(nots)).toMatchObject([{ rule: 'FD-8' }]);
  });

  test('rejects two dialects in one object', () => {
    expect(parseFilters([{ exact: { type: 'x' }, prefix: { type: 'x' } }]).ok).toBe(false);
  });

  test('is not fooled by inherited names', () => {
    const hostile: unknown = JSON.parse('[{"exact":{"__proto__":"x"}},{"exact":{"constructor":"x"}},{"toString":{}}]');
    expect(pathsOf(hostile)).toEqual([
      [0, 'exact', '__proto__'],
      [2, 'toString'],
    ]);
  });

  test('takes whatever a valid filter is, and nothing that it says is changed', () => {
    fc.assert(
      fc.property(fc.array(anyFilter(), { maxLength: 3 }), (filters) => {
        expect(parseFilters(JSON.parse(JSON.stringify(filters)))).toEqual({ ok: true, filters });
      }),
      { numRuns: 500 },
    );
  });

  test('answers to any JSON', () => {
    const dialects = ['exact', 'prefix', 'suffix', 'all', 'any', 'not', 'sql', 'cesql', DATA_DIALECT, 'other'];
    const json = fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...dialects), fc.jsonValue(), { maxKeys: 1 }));
    fc.assert(
      fc.property(fc.array(json), (filters) => {
        const parsed = parseFilters(filters);
        if (!parsed.ok) expect(parsed.violations.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });
});
