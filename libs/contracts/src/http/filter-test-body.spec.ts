import { describe, expect, test } from '@jest/globals';
import { parseFilterTest } from './filter-test-body.ts';

const event = { specversion: '1.0', id: '1', source: '/s', type: 'a' };
const filters = [{ exact: { type: 'a' } }];

const parse = (body: unknown) => parseFilterTest(body, JSON.stringify(body));

describe('the body of a filter test', () => {
  test('takes an event as it stands, to the byte', () => {
    const json = `{"filters":[], "event" : {"specversion":"1.0","id":"1","source":"/s","type":"a","data": 1.10 }}`;
    const parsed = parseFilterTest(JSON.parse(json), json);
    const about = parsed.ok ? parsed.value.about : undefined;
    const bytes = about?.kind === 'event' ? about.event.data?.bytes : undefined;
    expect(new TextDecoder().decode(bytes)).toBe('1.10');
  });

  test('takes the id of a stored event', () => {
    expect(parse({ filters, eventId: 'e', source: '/s' })).toEqual({
      ok: true,
      value: { filters, about: { kind: 'stored', id: 'e', source: '/s' } },
    });
  });

  test.each<[string, unknown, string[]]>([
    ['neither event nor id', { filters }, ['/event']],
    ['both', { filters, event, eventId: 'e' }, ['/eventId']],
    ['a source without an id', { filters, event, source: '/s' }, ['/source']],
    ['an event that is none', { filters, event: 'x' }, ['/event']],
    ['no filters', { event }, ['/filters']],
    ['members that nobody knows', { filters, event, more: 1 }, ['/more']],
    ['what is no object', [], ['']],
    ['null', null, ['']],
    [
      'everything at once',
      { filters: [{ sql: 'type =' }, { regex: {} }], event: { ...event, id: '', type: 5 } },
      ['/filters/0/sql', '/filters/1/regex', '/event/id', '/event/type'],
    ],
  ])('refuses %s', (_, body, pointers) => {
    const parsed = parse(body);
    expect(parsed.ok ? [] : parsed.violations.map(({ pointer }) => pointer)).toEqual(pointers);
  });

  test('says where an expression is wrong', () => {
    expect(parse({ filters: [{ sql: 'type =' }], event })).toMatchObject({
      violations: [
        { rule: 'FD-5', pointer: '/filters/0/sql', position: 6, detail: expect.stringContaining('column 7') },
      ],
    });
  });
});
