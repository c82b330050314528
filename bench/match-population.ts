import type { CloudEvent } from '#core/event/cloud-event';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription, SubscriptionSpec } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';

export const BENCH_TENANT = 'bench' as TenantId;

export interface Population {
  readonly subscriptions: readonly Subscription[];
  /** Types that subscriptions are about; about 25 subscriptions name each. */
  readonly types: readonly string[];
}

type Interest = Partial<Pick<SubscriptionSpec, 'types' | 'source' | 'filters'>>;

/**
 * 90 % types or exact values, 8 % prefixes, 2 % sql, all of one tenant. The first 1,011 want one of three types that no
 * background event has, in the same mix, so that an event can match exactly 1, 10 or 1,000.
 */
export function makePopulation(size: number): Population {
  const typeCount = Math.max(20, Math.round(size / 20));
  const types = Array.from({ length: typeCount }, (_, i) => `com.area${i % 97}.thing${i}.changed`);
  const subscriptions = Array.from({ length: size }, (_, i) => {
    if (i < 1) return subscriptionFor(i, { types: ['com.hit.one'] });
    if (i < 11) return subscriptionFor(i, hit('com.hit.ten', i));
    if (i < 1011) return subscriptionFor(i, hit('com.hit.thousand', i));
    return subscriptionFor(i, background(i, types));
  });
  // The smallest size has room for 989 of the 1,000.
  for (let i = size; i < 1011; i++) subscriptions.push(subscriptionFor(i, hit('com.hit.thousand', i)));
  return { subscriptions, types };
}

/** An event with nine attributes; its subject and shop are one of many. */
export function eventFor(type: string, number: number, source = `/shops/${number % 200}`): CloudEvent {
  const attributes: [string, string | number][] = [
    ['specversion', '1.0'],
    ['id', `a2f1c9d0-${number}`],
    ['source', source],
    ['type', type],
    ['subject', `/orders/${number}/lines`],
    ['time', '2026-11-22T12:00:00.123Z'],
    ['datacontenttype', 'application/json'],
    ['region', 'eu-west-1'],
    ['amount', number % 1000],
  ];
  return { attributes: new Map(attributes) };
}

/** Gives an index nothing to look up: every event has to be asked. */
export function anOpaqueSubscription(number: number): Subscription {
  return subscriptionFor(10_000_000 + number, { filters: [{ sql: `amount > ${1000 + number}` }] });
}

function hit(type: string, i: number): Interest {
  const share = i % 10;
  if (share < 6) return { types: [type, `com.other.${i}`] };
  if (share < 8) return { filters: [{ exact: { type, region: 'eu-west-1' } }] };
  if (share < 9) return { filters: [{ prefix: { type: type.slice(0, -1) } }, { suffix: { type: type.slice(-3) } }] };
  return { filters: [{ sql: `type = '${type}' AND amount < 1000` }] };
}

function background(i: number, types: readonly string[]): Interest {
  const share = (i * 7919) % 100;
  const type = types[(i * 31) % types.length] ?? '';
  const another = types[(i * 17 + 5) % types.length] ?? '';
  if (share < 45) return { types: [type] };
  if (share < 55) return { types: [type, another, `com.rare.thing${i}`] };
  if (share < 70) return { types: [type], source: `/shops/${i % 200}` };
  if (share < 80) return { filters: [{ exact: { type, subject: `/orders/${i}/lines` } }] };
  if (share < 90) return { filters: [{ exact: { subject: `/users/${i}` } }] };
  if (share < 94) return { types: [type], filters: [{ prefix: { subject: `/orders/${i % 1000}` } }] };
  if (share < 98) return { filters: [{ prefix: { source: `/tenants/${i}/`, type: 'com.' } }] };
  if (share < 99) return { filters: [{ sql: `type = '${type}' AND amount >= ${i % 1000}` }] };
  return { filters: [{ sql: `source LIKE '/shops/${i}/%' OR subject = '/users/${i}' AND NOT EXISTS test` }] };
}

function subscriptionFor(number: number, interest: Interest): Subscription {
  return aSubscription({
    id: `sub_${String(number).padStart(26, '0')}` as SubscriptionId,
    tenant: BENCH_TENANT,
    spec: aSpec({ sink: `https://example.com/hooks/${number}`, ...interest }),
  });
}
