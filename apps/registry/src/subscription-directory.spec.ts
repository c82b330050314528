import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeSubscriptionDirectory } from './subscription-directory.ts';

const acme = 'acme' as TenantId;
const globex = 'globex' as TenantId;

/** A registry that changes, and tells of it. */
function aRegistry(initial: readonly Subscription[] = []) {
  const all = new Map(initial.map((one) => [one.id, one]));
  const listeners: ((id: SubscriptionId, now: Subscription | undefined) => void)[] = [];
  const directory = makeSubscriptionDirectory({
    subscriptions: () => all.values(),
    subscription: (tenant, id) => (all.get(id)?.tenant === tenant ? all.get(id) : undefined),
    onSubscriptionChange: (listener) => void listeners.push(listener),
  });
  return {
    all,
    directory,
    put(one: Subscription) {
      all.set(one.id, one);
      for (const listener of listeners) listener(one.id, one);
    },
    remove(id: SubscriptionId) {
      all.delete(id);
      for (const listener of listeners) listener(id, undefined);
    },
  };
}

const numbered = (n: number) => `sub_${String(n).padStart(26, '0')}` as SubscriptionId;
const idsOf = (subscriptions: readonly Subscription[]) => subscriptions.map(({ id }) => id);

describe('the directory of subscriptions', () => {
  test('filters by sink, source, type and state, newest first', () => {
    const one = aSubscription({ id: numbered(1), spec: aSpec({ sink: 'https://a.example/', source: '/s' }) });
    const two = aSubscription({ id: numbered(2), spec: aSpec({ sink: 'https://b.example/', types: ['t', 'u'] }) });
    const three = aSubscription({ id: numbered(3), state: 'paused', spec: aSpec({ sink: 'https://a.example/' }) });
    const { directory } = aRegistry([two, one, three]);
    const list = (filter: Parameters<typeof directory.list>[1]) => idsOf(directory.list(acme, filter, {}).data);
    expect(list({})).toEqual([three.id, two.id, one.id]);
    expect(list({ sink: 'https://a.example/' })).toEqual([three.id, one.id]);
    expect(list({ source: '/s' })).toEqual([one.id]);
    expect(list({ type: 'u' })).toEqual([two.id]);
    expect(list({ state: 'paused' })).toEqual([three.id]);
    expect(list({ sink: 'https://a.example/', state: 'active' })).toEqual([one.id]);
  });

  test('answers for any history what a search through all would', () => {
    const sinks = ['https://a.example/', 'https://b.example/'];
    const change = fc.record({
      n: fc.integer({ min: 1, max: 8 }),
      sink: fc.constantFrom(...sinks),
      tenant: fc.constantFrom(acme, globex),
      isRemoval: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), (changes, limit) => {
        const { all, directory, put, remove } = aRegistry();
        for (const { n, sink, tenant: wanted, isRemoval } of changes) {
          const id = numbered(n);
          const tenant = all.get(id)?.tenant ?? wanted; // never moves to another
          if (isRemoval) remove(id);
          else put(aSubscription({ id, tenant, spec: aSpec({ sink }) }));
        }
        for (const tenant of [acme, globex]) {
          const expected = [...all.values()].filter((one) => one.tenant === tenant);
          const seen: SubscriptionId[] = [];
          let after: string | undefined;
          do {
            const page = directory.list(tenant, {}, { limit, after });
            expect(page.data.length).toBeLessThanOrEqual(limit);
            seen.push(...idsOf(page.data));
            after = page.next;
          } while (after !== undefined);
          expect(seen).toEqual(idsOf(expected).sort().reverse());
          for (const sink of sinks) {
            const sharing = expected.filter(({ spec }) => spec.sink === sink);
            expect(idsOf(directory.withSink(tenant, sink))).toEqual(idsOf(sharing).sort());
          }
        }
      }),
    );
  });
});
