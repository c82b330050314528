import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_RETRY_POLICY } from '../delivery/retry-policy.ts';
import { attributeOf, type CloudEvent } from '../event/cloud-event.ts';
import { compileFilters } from '../filter/compile-filters.ts';
import type { SubscriptionId, TenantId } from '../ids.ts';
import type { Subscription, SubscriptionSpec } from '../registry/subscription.ts';
import { makeMatchIndex } from './match-index.ts';

type Interest = Partial<Pick<SubscriptionSpec, 'types' | 'source' | 'filters'>>;

function subscription(id: string, tenant: string, interest: Interest = {}): Subscription {
  return {
    id: id as SubscriptionId,
    tenant: tenant as TenantId,
    spec: {
      sink: 'https://example.com',
      protocol: 'HTTP',
      filters: [],
      config: { contentMode: 'structured', signature: { profile: 'none' }, retry: DEFAULT_RETRY_POLICY },
      ...interest,
    },
    createdAtMs: 0,
    updatedAtMs: 0,
  };
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
        compileFilters(spec.filters)(wanted),
    )
    .map(({ id }) => id)
    .sort();
}

const acme = 'acme' as TenantId;

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

  test('answers as a scan of all subscriptions would, after any changes', () => {
    const types = fc.option(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 2 }), {
      nil: undefined,
    });
    const source = fc.option(fc.constantFrom('/x', '/y'), { nil: undefined });
    const filters = fc.constantFrom<SubscriptionSpec['filters']>(
      [],
      [{ exact: { subject: 'q' } }],
      [{ prefix: { type: 'a' } }],
    );
    const tenant = fc.constantFrom('acme', 'other');
    const id = fc.constantFrom('s1', 's2', 's3', 's4');
    const put = fc
      .tuple(id, tenant, types, source, filters)
      .map(([key, owner, t, s, f]) =>
        subscription(key, owner, { filters: f, ...(t && { types: t }), ...(s && { source: s }) }),
      );
    const events = ['a', 'b', 'd'].flatMap((type) =>
      ['/x', '/z'].flatMap((s) => ['q', 'r'].map((q) => event(type, s, q))),
    );

    fc.assert(
      fc.property(fc.array(fc.oneof(put, id)), (changes) => {
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
      }),
      { numRuns: 200 },
    );
  });

  test('looks only at candidates, not at the subscriptions to other types', () => {
    const index = makeMatchIndex();
    for (let i = 0; i < 1000; i++) index.put(subscription(`s${i}`, 'acme', { types: [`t${i}`] }));
    index.put(subscription('hit', 'acme', { types: ['wanted'], filters: [{ exact: { type: 'wanted' } }] }));
    const { attributes } = event('wanted', '/x');
    let reads = 0;
    const get = (name: string) => {
      reads++;
      return attributes.get(name);
    };
    expect(index.match(acme, { attributes: Object.assign(new Map(attributes), { get }) })).toEqual(['hit']);
    expect(reads).toBeLessThan(10);
  });
});
