import { describe, expect, test } from '@jest/globals';
import { deadLettersQuery, deliveriesQuery, eventQuery, pageQuery } from './page-query.ts';
import { parseQuery } from './violations.ts';

const subscription = `sub_${'0'.repeat(26)}`;

describe('a query', () => {
  test('reads what it knows', () => {
    expect(parseQuery(deliveriesQuery, { event: 'e', source: '/s', subscription, state: 'dead', limit: '10' })).toEqual(
      {
        ok: true,
        value: { event: 'e', source: '/s', subscription, state: 'dead', limit: 10 },
      },
    );
    expect(parseQuery(pageQuery, {})).toEqual({ ok: true, value: {} });
  });

  test.each([
    [pageQuery, { limit: '0' }, ['limit']],
    [pageQuery, { limit: '251' }, ['limit']],
    [pageQuery, { limit: '1e2' }, ['limit']],
    [pageQuery, { limit: ['1', '2'] }, ['limit']],
    [pageQuery, { after: '' }, ['after']],
    [pageQuery, { offset: '3' }, ['offset']],
    [deliveriesQuery, { state: 'failed', subscription: 'x', tenant: 'other' }, ['subscription', 'state', 'tenant']],
    [deliveriesQuery, { source: '/s' }, ['source']],
    [deadLettersQuery, { kind: 'x' }, ['kind']],
    [eventQuery, { source: '' }, ['source']],
  ])('refuses, and names the parameters (%#)', (schema, query, names) => {
    const parsed = parseQuery(schema, query);
    expect(parsed.ok ? [] : parsed.violations.map(({ pointer }) => pointer)).toEqual(names);
  });
});
