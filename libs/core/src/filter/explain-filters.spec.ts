import { describe, expect, test } from '@jest/globals';
import type { CloudEvent } from '../event/cloud-event.ts';
import { DATA_DIALECT } from './data-filter.ts';
import { explainFilters } from './explain-filters.ts';
import type { Filter } from './filter.ts';
import { lintFilters } from './lint-filters.ts';

const event: CloudEvent = {
  attributes: new Map<string, string | number>([
    ['type', 'order.paid'],
    ['n', 5],
  ]),
  data: { bytes: new TextEncoder().encode('{"total":12345678901234567890,"items":[1]}'), form: 'json' },
};

describe('explaining filters', () => {
  test('says of every filter its verdict and what it saw, nested alike', () => {
    const filters: Filter[] = [
      { exact: { type: 'order.paid', n: '5', gone: 'x' } },
      {
        all: [{ any: [{ prefix: { type: 'order.' } }, { suffix: { type: '.open' } }] }, { not: { exact: { n: '5' } } }],
      },
      { [DATA_DIALECT]: { '/total': { gt: 5 }, '/gone': { exists: false } } },
    ];
    expect(explainFilters(filters, event)).toEqual({
      match: false,
      trace: [
        { ...filters[0], verdict: false, value: { type: 'order.paid', n: '5', gone: null } },
        {
          verdict: false,
          all: [
            {
              verdict: true,
              any: [
                { prefix: { type: 'order.' }, verdict: true, value: { type: 'order.paid' } },
                { suffix: { type: '.open' }, verdict: false, value: { type: 'order.paid' } },
              ],
            },
            { verdict: false, not: { exact: { n: '5' }, verdict: true, value: { n: '5' } } },
          ],
        },
        { ...filters[2], verdict: true, value: { '/total': { text: '12345678901234567890' } } },
      ],
    });
  });

  test('can be written as JSON, with all digits', () => {
    const filters: Filter[] = [{ [DATA_DIALECT]: { '/total': { gt: 5 }, '/items': { exists: true } } }];
    expect(JSON.parse(JSON.stringify(explainFilters(filters, event)))).toMatchObject({
      trace: [{ value: { '/total': { decimal: '12345678901234567890' }, '/items': [1] } }],
    });
  });

  test('shows the value and the errors of an expression (FD-5)', () => {
    const explain = (sql: string) => explainFilters([{ sql }], event).trace[0];
    expect(explain('n + 1')).toEqual({ sql: 'n + 1', verdict: false, value: 6, errors: [] });
    expect(explain('n = 5')).toEqual({ sql: 'n = 5', verdict: true, value: true, errors: [] });
    expect(explain("true AND gone = ''")).toEqual({
      sql: "true AND gone = ''",
      verdict: false,
      value: false,
      errors: [{ kind: 'missingAttribute', detail: 'The event has no attribute gone', position: 9 }],
    });
    expect(explain('NOPE(1)')).toMatchObject({ verdict: false, value: false, errors: [{ kind: 'missingFunction' }] });
  });

  test('matches without filters (SA-6)', () => {
    expect(explainFilters([], event)).toEqual({ match: true, trace: [] });
  });
});

describe('looking filters over', () => {
  test('warns about expressions that may mean something else (D4)', () => {
    const filters: Filter[] = [
      { any: [{ exact: { type: 'a' } }, { not: { sql: 'a = 1 AND b = 2\nOR c = 3' } }] },
      { all: [{ sql: 'NOT a = 1' }] },
      { sql: 'a = 1 AND (b = 2 OR c = 3)' },
    ];
    expect(lintFilters(filters)).toEqual([
      {
        path: [0, 'any', 1, 'not', 'sql'],
        detail: expect.stringMatching(/^AND, OR and XOR bind equally.* \(line 2, column 1\)\.$/),
        position: 16,
      },
      { path: [1, 'all', 0, 'sql'], detail: expect.stringContaining('NOT binds tighter than ='), position: 0 },
    ]);
  });
});
