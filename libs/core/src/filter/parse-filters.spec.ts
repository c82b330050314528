import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { FILTERS_MAX_COUNT, parseFilters } from './parse-filters.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/subscriptions/filter-cases.json', import.meta.url), 'utf8'),
) as { rejectOnCreate: { filters: unknown; why: string }[] };

describe('parsing filters', () => {
  test('keeps valid filters as they came', () => {
    const filters = [
      { exact: { type: 'a', comexampleint: '5' } },
      { prefix: { source: '/' } },
      { suffix: { type: '.x' } },
    ];
    expect(parseFilters(filters)).toEqual({ ok: true, filters });
    expect(parseFilters([])).toEqual({ ok: true, filters: [] });
  });

  test.each(vectors.rejectOnCreate)('rejects: $why (FD-1, FD-2)', ({ filters }) => {
    expect(parseFilters(filters).ok).toBe(false);
  });

  test.each(['all', 'any', 'not', 'sql'])(
    'says that the standard dialect %s is not supported yet (SA-6)',
    (dialect) => {
      expect(parseFilters([{ [dialect]: [] }])).toEqual({
        ok: false,
        violations: [
          {
            rule: 'SA-6',
            path: [0, dialect],
            detail: `dialect ${dialect} is not supported yet; supported: exact, prefix, suffix`,
          },
        ],
      });
    },
  );

  test('names a custom dialect that it does not know (FD-6)', () => {
    expect(parseFilters([{ 'https://example.com/dialect': 1 }])).toMatchObject({
      violations: [{ path: [0, 'https://example.com/dialect'], detail: expect.stringContaining('is not known') }],
    });
  });

  test('lists every violation with its place', () => {
    const result = parseFilters([{ exact: { '': 'a', type: '' } }, { prefix: { Type: 'x', n: 5 } }, { suffix: {} }, 7]);
    expect(result.ok ? [] : result.violations.map(({ path }) => path)).toEqual([
      [0, 'exact', ''],
      [0, 'exact', 'type'],
      [1, 'prefix', 'Type'],
      [1, 'prefix', 'n'],
      [2, 'suffix'],
      [3],
    ]);
  });

  test('rejects a filter on data (FD-7), two dialects in one object, and too many filters', () => {
    expect(parseFilters([{ exact: { data: 'x' } }]).ok).toBe(false);
    expect(parseFilters([{ exact: { type: 'x' }, prefix: { type: 'x' } }]).ok).toBe(false);
    const many = Array.from({ length: FILTERS_MAX_COUNT + 1 }, () => ({ exact: { type: 'x' } }));
    expect(parseFilters(many).ok).toBe(false);
    expect(parseFilters(many.slice(1)).ok).toBe(true);
  });

  test('is not fooled by inherited names', () => {
    const hostile: unknown = JSON.parse('[{"exact":{"__proto__":"x"}},{"exact":{"constructor":"x"}},{"toString":{}}]');
    const result = parseFilters(hostile);
    expect(result.ok ? [] : result.violations.map(({ path }) => path)).toEqual([
      [0, 'exact', '__proto__'],
      [2, 'toString'],
    ]);
  });
});
