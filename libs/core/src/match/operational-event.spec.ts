import { describe, expect, test } from '@jest/globals';
import { DATA_DIALECT } from '../filter/data-filter.ts';
import type { Filter } from '../filter/filter.ts';
import { asksForOperationalEvents, isOperationalType, reservedType } from './operational-event.ts';

const DEAD = 'io.posthaste.delivery.dead';
const asks = (filter: Filter): boolean => asksForOperationalEvents({ filters: [filter] });

describe('operational events', () => {
  test.each([
    [DEAD, true],
    ['io.posthaste.', true],
    ['io.posthaste', false],
    ['io.posthastes.own', false],
    ['com.example.io.posthaste.x', false],
  ])('the type %s is one of theirs: %s', (type, expected) => {
    expect(isOperationalType(type)).toBe(expected);
  });

  test('a producer learns why its type is refused and what to do, however long it is', () => {
    expect(reservedType(DEAD).detail).toContain(
      `"${DEAD}" can not be published. Give the event a type under a domain of yours`,
    );
    expect(reservedType(`io.posthaste.${'x'.repeat(10_000)}`).detail.length).toBeLessThan(400);
  });
});

describe('a subscription asks for operational events', () => {
  test('when it names one among its types', () => {
    expect(asksForOperationalEvents({ types: ['com.example.a', DEAD], filters: [] })).toBe(true);
  });

  test.each<[string, Filter]>([
    ['an exact type', { exact: { type: DEAD } }],
    ['a prefix', { prefix: { type: 'io.posthaste.circuit.', source: '/posthaste/' } }],
    ['one of several', { any: [{ prefix: { type: 'com.example.' } }, { prefix: { type: 'io.posthaste.' } }] }],
    ['one among others', { all: [{ suffix: { subject: 'x' } }, { exact: { type: DEAD } }] }],
    ['sql: equal', { sql: `type = '${DEAD}'` }],
    ['sql: LIKE', { sql: "type LIKE 'io.posthaste.%' AND source = '/posthaste/acme'" }],
    ['sql: IN', { sql: `type IN ('a', '${DEAD}')` }],
    ['sql: a function', { sql: "LEFT(type, 13) = 'io.posthaste.'" }],
  ])('when a filter compares with one: %s', (_, filter) => {
    expect(asks(filter)).toBe(true);
  });

  test.each<[string, Filter]>([
    ['excludes them', { not: { prefix: { type: 'io.posthaste.' } } }],
    ['excludes one of them', { sql: `type != '${DEAD}'` }],
    [
      'excludes some',
      { sql: `NOT (type = '${DEAD}') AND type NOT LIKE 'io.posthaste.x%' AND type NOT IN ('${DEAD}')` },
    ],
    ['takes whatever ends so', { suffix: { type: '.dead' } }],
    ['takes whatever starts with less', { prefix: { type: 'io.' } }],
    ['means another attribute', { exact: { subject: DEAD } }],
    ['looks into data', { [DATA_DIALECT]: { '/type': { eq: DEAD } } }],
  ])('but not when a filter only %s', (_, filter) => {
    expect(asks(filter)).toBe(false);
  });

  test('and not when it takes everything', () => {
    expect(asksForOperationalEvents({ filters: [] })).toBe(false);
  });
});
