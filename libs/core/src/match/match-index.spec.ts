import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { anyFilter, anyFilteredEvent } from '#testkit/any-filter';
import { fuzzRuns } from '#testkit/fuzz-runs';
import { attributeOf, type CloudEvent } from '../event/cloud-event.ts';
import { compileFilters } from '../filter/compile-filters.ts';
import { makeEventView } from '../filter/event-view.ts';
import type { Filter } from '../filter/filter.ts';
import type { SubscriptionId, TenantId } from '../ids.ts';
import type { Subscription, SubscriptionSpec } from '../registry/subscription.ts';
import { makeMatchIndex, type MatchIndex } from './match-index.ts';

const FUZZ_TIMEOUT_MS = 60 * 60_000;

type Interest = Partial<Pick<SubscriptionSpec, 'types' | 'source' | 'filters'>>;

function subscription(id: string, tenant: string, interest: Interest = {}): Subscription {
  return aSubscription({ id: id as SubscriptionId, tenant: tenant as TenantId, spec: aSpec(interest) });
}

function event(type: string, source: string, subject = 's'): CloudEvent {
  return { attributes: new Map(Object.entries({ specversion: '1.0', id: '1', source, type, subject })) };
}

/** Every subscription asked in turn: SA-3, SA-4, SA-6. */
function scan(subscriptions: Iterable<Subscription>, tenant: string, wanted: CloudEvent): string[] {
  return [...subscriptions]
    .filter(
      ({ tenant: owner, spec }) =>
        owner === tenant &&
        (spec.types === undefined || spec.types.includes(attributeOf(wanted, 'type') ?? '')) &&
        (spec.source === undefined || spec.source === attributeOf(wanted, 'source')) &&
        compileFilters(spec.filters).passes(makeEventView(wanted)),
    )
    .map(({ id }) => id)
    .sort();
}

const acme = 'acme' as TenantId;

/** The matches, and how often an attribute of the event was read for them. */
function matchCounting(index: MatchIndex, { attributes }: CloudEvent): { matches: string[]; reads: number } {
  let reads = 0;
  const get = (name: string) => {
    reads++;
    return attributes.get(name);
  };
  const counted = { attributes: Object.assign(new Map(attributes), { get }) };
  return { matches: index.match(acme, counted).sort(), reads };
}

/** A subscription that is put, or the id of one that is removed. */
function anyChange(): fc.Arbitrary<Subscription | string> {
  const types = fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 1, maxLength: 2 });
  const interest = fc.record(
    { types, source: fc.constantFrom('a', 'b'), filters: fc.array(anyFilter(), { maxLength: 2 }) },
    { requiredKeys: ['filters'] },
  );
  const id = fc.nat({ max: 60 }).map((number) => `s${number}`);
  const put = fc.tuple(id, fc.constantFrom('acme', 'acme', 'acme', 'other'), interest);
  return fc.oneof({ arbitrary: put.map((made) => subscription(...made)), weight: 4 }, { arbitrary: id, weight: 1 });
}

describe('the match index', () => {
  test('matches by type (SA-4), by source (SA-3) and by filters (SA-6)', () => {
    const index = makeMatchIndex();
    index.put(subscription('any', 'acme'));
    index.put(subscription('typed', 'acme', { types: ['a', 'b'] }));
    index.put(subscription('sourced', 'acme', { source: '/x' }));
    index.put(subscription('filtered', 'acme', { types: ['a'], filters: [{ prefix: { subject: 'q' } }] }));
    expect(index.match(acme, event('a', '/y')).sort()).toEqual(['any', 'typed']);
    expect(index.match(acme, event('c', '/x')).sort()).toEqual(['any', 'sourced']);
    expect(index.match(acme, event('a', '/y', 'q1')).sort()).toEqual(['any', 'filtered', 'typed']);
  });

  test('never shows one tenant the events of another', () => {
    const index = makeMatchIndex();
    index.put(subscription('theirs', 'other'));
    expect(index.match(acme, event('a', '/x'))).toEqual([]);
  });

  test('names a subscription once, however often it lists a type', () => {
    const index = makeMatchIndex();
    index.put(subscription('twice', 'acme', { types: ['a', 'a'] }));
    expect(index.match(acme, event('a', '/x'))).toEqual(['twice']);
  });

  test(
    'answers as a scan of all subscriptions would, after any changes',
    () => {
      fc.assert(
        fc.property(
          fc.array(anyChange(), { maxLength: 80, size: 'max' }),
          fc.array(anyFilteredEvent()),
          (changes, events) => {
            const index = makeMatchIndex();
            const all = new Map<string, Subscription>();
            for (const change of changes) {
              if (typeof change === 'string') {
                index.remove(change as SubscriptionId);
                all.delete(change);
              } else {
                index.put(change);
                all.set(change.id, change);
              }
            }
            expect(index.size()).toBe(all.size);
            for (const owner of ['acme', 'other']) {
              for (const each of events) {
                expect(index.match(owner as TenantId, each).sort()).toEqual(scan(all.values(), owner, each));
              }
            }
          },
        ),
        { numRuns: fuzzRuns(200, 200) },
      );
    },
    FUZZ_TIMEOUT_MS,
  );

  test('answers as a scan would for lists that together are too long to look up', () => {
    const index = makeMatchIndex();
    const all = Array.from({ length: 30 }, (_, i) => {
      const types = Array.from({ length: 60 }, (_unused, j) => `t${(i + j) % 70}`);
      const subjects = Array.from({ length: 60 }, (_unused, j) => `subject = 's${(i * 7 + j) % 70}'`);
      return subscription(`s${i}`, 'acme', { types, filters: [{ sql: subjects.join(' OR ') }] });
    });
    all.forEach(index.put);
    for (let i = 0; i < 75; i++) {
      const wanted = event(`t${i}`, '/x', `s${(i * 3) % 75}`);
      expect(index.match(acme, wanted).sort()).toEqual(scan(all, 'acme', wanted));
    }
  });

  test('finds as many by any attribute, with exact values, prefixes, suffixes, sql and any', () => {
    const index = makeMatchIndex();
    const filters = (i: number): Filter[][] => [
      [{ exact: { subject: `s${i}` } }],
      [{ prefix: { subject: `s${i}/` } }],
      [{ suffix: { subject: `/${i}` } }],
      [{ sql: `subject = 's${i}' AND source LIKE '/%'` }],
      [{ sql: `NOT EXISTS gone AND subject LIKE 's${i}/%'` }],
      [{ any: [{ exact: { subject: `s${i}` } }, { all: [{ exact: { user: `u${i}` } }, { prefix: { type: 'a' } }] }] }],
      [
        { prefix: { source: '/' } },
        { prefix: { type: 'a' } },
        { not: { exact: { gone: 'x' } } },
        { exact: { user: `u${i}` } },
      ],
    ];
    for (let i = 0; i < 500; i++) {
      for (const [kind, each] of filters(i).entries()) {
        index.put(subscription(`${kind}:${i}`, 'acme', { types: ['a', 'b'], filters: each }));
      }
    }
    const subjects = {
      s7: ['0:7', '3:7', '5:7'],
      's7/': ['1:7', '4:7'],
      'x/7': ['2:7'],
      's7/x/8': ['1:7', '2:8', '4:7'],
    };
    for (const [subject, expected] of Object.entries(subjects)) {
      const { matches, reads } = matchCounting(index, event('a', '/x', subject));
      expect(matches).toEqual(expected);
      expect(reads).toBeLessThan(100);
    }
    const user = event('a', '/x');
    const { matches, reads } = matchCounting(index, { attributes: new Map(user.attributes).set('user', 'u9') });
    expect(matches).toEqual(['5:9', '6:9']);
    expect(reads).toBeLessThan(100);
  });

  test('changes one among 20,000 in less than a millisecond, also one with 1,000 types', () => {
    const index = makeMatchIndex();
    const many = Array.from({ length: 1000 }, (_, i) => `t${i}`);
    for (let i = 0; i < 20_000; i++) index.put(subscription(`s${i}`, 'acme', { types: [`t${i % 1000}`] }));
    const median = (work: (i: number) => void) => {
      const times = Array.from({ length: 51 }, (_, i) => {
        const startMs = performance.now();
        work(i);
        return performance.now() - startMs;
      });
      return times.sort((a, b) => a - b)[25];
    };
    const one = median((i) => index.put(subscription(`s${i}`, 'acme', { types: ['t5'], source: `/${i}` })));
    const thousand = median((i) => index.put(subscription(`s${i}`, 'acme', { types: many })));
    expect(one).toBeLessThan(1);
    expect(thousand).toBeLessThan(5);
  });

  test('looks only at candidates, not at the subscriptions to other types', () => {
    const index = makeMatchIndex();
    for (let i = 0; i < 1000; i++) index.put(subscription(`s${i}`, 'acme', { types: [`t${i}`] }));
    index.put(subscription('hit', 'acme', { types: ['wanted'], filters: [{ exact: { type: 'wanted' } }] }));
    const { matches, reads } = matchCounting(index, event('wanted', '/x'));
    expect(matches).toEqual(['hit']);
    expect(reads).toBeLessThan(30);
  });
});
