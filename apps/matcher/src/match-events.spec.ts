import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { MessageTooLarge, PublishRefused } from '#bus/bus-errors';
import type { CloudEvent } from '#core/event/cloud-event';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { EventMatched } from '#contracts/bus/facts';
import { makeFairTurns } from './fair-turns.ts';
import { makeMatchEvent, SMALL_FAN_OUT_MAX, type MatchLimits, type MatchPorts } from './match-events.ts';
import type { StoredEvent } from './stored-event.ts';

const acme = 'acme' as TenantId;

function event(dataBytes = 0): CloudEvent {
  return {
    attributes: new Map([
      ['specversion', '1.0'],
      ['id', 'e1'],
      ['source', '/s'],
      ['type', 't'],
    ]),
    ...(dataBytes === 0 ? {} : { data: { bytes: new Uint8Array(dataBytes), form: 'bytes' as const } }),
  };
}

function stored(overrides: Partial<StoredEvent> = {}): StoredEvent {
  return {
    tenant: acme,
    subject: 'ce.acme.t',
    seq: 42,
    acceptedAtMs: 1000,
    parsed: { ok: true, event: event() },
    ...overrides,
  };
}

function subscriptions(count: number): SubscriptionId[] {
  return Array.from({ length: count }, (_, i) => `sub_${i}` as SubscriptionId);
}

function recorder(matches: SubscriptionId[], overrides: Partial<MatchPorts> = {}) {
  const tasks: DeliveryTask[] = [];
  const facts: EventMatched[] = [];
  const rejected: string[] = [];
  const roads: string[] = [];
  const woken: SubscriptionId[] = [];
  const ports: MatchPorts = {
    catchUp: () => Promise.resolve(),
    isKnownTenant: (tenant) => tenant === acme,
    match: () => matches,
    limitsOf: () => undefined,
    count: () => Promise.reject(new Error('nothing to count')),
    asksForOperationalEvents: () => false,
    roadOf: () => ({ road: 'common', isAsleep: false }),
    takeFromBudget: () => true,
    publishTask: (road, task) => Promise.resolve(void (tasks.push(task), roads.push(road))),
    wakeLane: (subscription) => Promise.resolve(void woken.push(subscription)),
    publishMatched: (fact) => Promise.resolve(void facts.push(fact)),
    publishRejected: (entry) => Promise.resolve(void rejected.push(...entry.violations.map(({ rule }) => rule))),
    eventSubject: (tenant, type) => `ce.${tenant}.${type}`,
    sha256: (text) => createHash('sha256').update(text).digest(),
    now: () => 2000,
    ...overrides,
  };
  const matchEvent = makeMatchEvent(ports, makeFairTurns({ maxUnderWay: 64 }), { maxEventBytes: 65_536 });
  return {
    tasks,
    facts,
    rejected,
    roads,
    woken,
    takesTurns: (given: StoredEvent) => matchEvent(given).takesTurns,
    matchEvent: (given: StoredEvent) => matchEvent(given).result,
  };
}

describe('matching an event', () => {
  test('it makes one task of attempt 1 for every match, and tells them in one fact', async () => {
    const { tasks, facts, matchEvent } = recorder(subscriptions(2));
    expect(await matchEvent(stored())).toEqual({ kind: 'matched', count: 2 });
    expect(tasks.map(({ subscription, attempt, eventSeq }) => [subscription, attempt, eventSeq])).toEqual([
      ['sub_0', 1, 42],
      ['sub_1', 1, 42],
    ]);
    expect(facts).toHaveLength(1);
    expect(facts[0]).toMatchObject({ matchCount: 2, eventSeq: 42, id: 'e1', source: '/s', type: 't' });
  });

  test('it carries the trace of the publish request, and nothing else that stands in its place', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const { tasks, matchEvent } = recorder(subscriptions(1));
    await matchEvent(stored({ traceparent }));
    await matchEvent(stored({ traceparent: 'x'.repeat(60_000) }));
    expect(tasks.map((task) => task.traceparent)).toEqual([traceparent, undefined]);
  });

  test('it makes the same ids when the same event comes again, even at another sequence (CE-2)', async () => {
    const first = recorder(subscriptions(3));
    const second = recorder(subscriptions(3));
    await first.matchEvent(stored());
    await second.matchEvent(stored({ seq: 99 }));
    expect(second.tasks.map((task) => task.delivery)).toEqual(first.tasks.map((task) => task.delivery));
    expect(new Set(first.tasks.map((task) => task.delivery)).size).toBe(3);
  });

  test('it records an event that nobody wants', async () => {
    const { tasks, facts, matchEvent } = recorder([]);
    expect(await matchEvent(stored())).toEqual({ kind: 'matched', count: 0 });
    expect(tasks).toEqual([]);
    expect(facts).toMatchObject([{ matchCount: 0, matches: [] }]);
  });

  test('it tells a large fan-out in several facts that together name every delivery once', async () => {
    const { facts, tasks, matchEvent } = recorder(subscriptions(1201));
    await matchEvent(stored());
    expect(facts.map(({ matches }) => matches.length)).toEqual([500, 500, 201]);
    expect(facts.flatMap(({ matches }) => matches.map(({ delivery }) => delivery))).toEqual(
      tasks.map(({ delivery }) => delivery),
    );
  });

  test('it sends a small event along and refers to a large one', async () => {
    const small = recorder(subscriptions(1));
    const large = recorder(subscriptions(1));
    await small.matchEvent(stored({ parsed: { ok: true, event: event(4000) } }));
    await large.matchEvent(stored({ parsed: { ok: true, event: event(5000) } }));
    expect(small.tasks[0]?.event.kind).toBe('inline');
    expect(large.tasks[0]?.event).toEqual({ kind: 'reference' });
  });

  test('it sets aside what is not a valid event, with every reason', async () => {
    const { rejected, facts, matchEvent } = recorder(subscriptions(1));
    const violations = [
      { rule: 'CE-1', pointer: 'ce-id', detail: 'missing' },
      { rule: 'CE-3', pointer: 'ce-source', detail: 'empty' },
    ];
    expect(await matchEvent(stored({ parsed: { ok: false, violations } }))).toEqual({ kind: 'rejected' });
    expect(rejected).toEqual(['CE-1', 'CE-3']);
    expect(facts).toEqual([]);
  });

  test('it sets aside an event of a tenant that does not exist', async () => {
    const { rejected, matchEvent } = recorder(subscriptions(1));
    expect(await matchEvent(stored({ tenant: 'nobody' as TenantId }))).toEqual({ kind: 'rejected' });
    expect(rejected).toEqual(['tenant-unknown']);
  });

  test('it sets aside an event that is larger than the gateway would accept, however it came (CE-12)', async () => {
    const { tasks, rejected, matchEvent } = recorder(subscriptions(1));
    expect(await matchEvent(stored({ parsed: { ok: true, event: event(65_536) } }))).toEqual({ kind: 'rejected' });
    expect(rejected).toEqual(['CE-12']);
    expect(tasks).toEqual([]);
  });

  test.each([
    [new MessageTooLarge('2 MB for journal.acme.matched'), 'CE-12'],
    [new PublishRefused('a header has a line break'), 'not-storable'],
  ])('it sets aside an event of which the bus refuses what follows: %s', async (error, rule) => {
    const { rejected, matchEvent } = recorder(subscriptions(1), { publishMatched: () => Promise.reject(error) });
    expect(await matchEvent(stored())).toEqual({ kind: 'rejected' });
    expect(rejected).toEqual([rule]);
  });

  test('it writes a small entry about whatever large thing is wrong', async () => {
    const entries: unknown[] = [];
    const { matchEvent } = recorder([], { publishRejected: (entry) => Promise.resolve(void entries.push(entry)) });
    const large = '\u0001'.repeat(100_000);
    const violations = Array.from({ length: 10_000 }, () => ({ rule: 'CE-6', pointer: large, detail: large }));
    await matchEvent(stored({ subject: large, parsed: { ok: false, violations } }));
    await matchEvent(stored({ tenant: 'a'.repeat(4000) as TenantId }));
    expect(entries).toMatchObject([{ eventSeq: 42 }, { tenant: 'a'.repeat(64) }]);
    for (const entry of entries) expect(JSON.stringify(entry).length).toBeLessThan(110_000);
  });

  test('it tells nothing when a task can not be stored, so that the event is matched again', async () => {
    const { facts, matchEvent } = recorder(subscriptions(1), {
      publishTask: () => Promise.reject(new Error('no leader')),
    });
    await expect(matchEvent(stored())).rejects.toThrow('no leader');
    expect(facts).toEqual([]);
  });
});

describe('a subscription with limits', () => {
  const [limited, free] = ['sub_limited', 'sub_free'] as SubscriptionId[];
  const matchAt = async (acceptedAtMs: number, limits: MatchLimits, number = 1) => {
    const counted: string[] = [];
    const { tasks, facts, matchEvent } = recorder(
      [limited, free].filter((id) => id !== undefined),
      {
        limitsOf: (id) => (id === limited ? limits : undefined),
        count: (id) => Promise.resolve(void counted.push(id)).then(() => number),
      },
    );
    await matchEvent(stored({ acceptedAtMs }));
    expect(facts[0]?.matchCount).toBe(tasks.length);
    return { matched: tasks.map(({ subscription }) => subscription), counted };
  };

  test('it gets events that were accepted up to its end, however late they are matched', async () => {
    expect((await matchAt(1000, { untilMs: 1000 })).matched).toEqual([limited, free]);
    expect((await matchAt(1001, { untilMs: 1000 })).matched).toEqual([free]);
  });

  test('it gets as many events as it wants, and only they are counted', async () => {
    expect(await matchAt(1, { untilMs: Infinity, maxEvents: 3 }, 3)).toEqual({
      matched: [limited, free],
      counted: [limited],
    });
    expect((await matchAt(1, { untilMs: Infinity, maxEvents: 3 }, 4)).matched).toEqual([free]);
    expect((await matchAt(2, { untilMs: 1, maxEvents: 3 })).counted).toEqual([]);
  });
});

describe('which road a delivery takes', () => {
  const lane = { road: 'lane', isAsleep: false } as const;

  test('the common one for an event that few want', async () => {
    const { roads, matchEvent, takesTurns } = recorder(subscriptions(SMALL_FAN_OUT_MAX));
    await matchEvent(stored());
    expect(new Set(roads)).toEqual(new Set(['common']));
    expect(takesTurns(stored())).toBe(false);
  });

  test('the bulk one, in turns, for an event that many want', async () => {
    const { roads, matchEvent, takesTurns } = recorder(subscriptions(SMALL_FAN_OUT_MAX + 1));
    await matchEvent(stored());
    expect(roads).toEqual(Array.from({ length: SMALL_FAN_OUT_MAX + 1 }, () => 'bulk'));
    expect(takesTurns(stored())).toBe(true);
  });

  test('the bulk one, in turns, for a tenant that is over its budget; a large fan-out takes nothing from it', async () => {
    const asked: number[] = [];
    const takeFromBudget = (_: TenantId, count: number): boolean => asked.push(count) < 2;
    const few = recorder(subscriptions(3), { takeFromBudget });
    await few.matchEvent(stored());
    await few.matchEvent(stored());
    expect(few.roads).toEqual(['common', 'common', 'common', 'bulk', 'bulk', 'bulk']);
    await recorder(subscriptions(1000), { takeFromBudget }).matchEvent(stored());
    expect(asked).toEqual([3, 3]);
  });

  test.each([3, 1000])('the lane for who goes by its lane, woken after the append, among %d matches', async (count) => {
    const ordered = 'sub_1' as SubscriptionId;
    const order: string[] = [];
    const { roads, matchEvent, facts } = recorder(subscriptions(count), {
      roadOf: (subscription) => (subscription === ordered ? lane : { road: 'end', isAsleep: false }),
      publishTask: async (road, { subscription }) => {
        await new Promise(setImmediate);
        if (subscription === ordered || road === 'lane') order.push(`${road} ${subscription}`);
      },
      wakeLane: (subscription) => Promise.resolve(void order.push(`wake ${subscription}`)),
    });
    expect(await matchEvent(stored())).toEqual({ kind: 'matched', count });
    expect(order).toEqual(['lane sub_1', 'wake sub_1']);
    expect(roads).toEqual([]);
    expect(facts.flatMap(({ matches }) => matches)).toHaveLength(count);
  });

  test('an event of which a lane was not woken is matched again', async () => {
    const { matchEvent } = recorder(subscriptions(1), {
      roadOf: () => lane,
      wakeLane: () => Promise.reject(new Error('no leader')),
    });
    await expect(matchEvent(stored())).rejects.toThrow('no leader');
  });

  test('an event with lanes takes turns: whoever waits for its batch would wait for the wakes', () => {
    const { takesTurns } = recorder(subscriptions(2), {
      roadOf: (id) => (id === 'sub_1' ? lane : { ...lane, road: 'common' }),
    });
    expect(takesTurns(stored())).toBe(true);
  });
});

describe('an operational event', () => {
  const [about, asking, other] = ['sub_about', 'sub_asking', 'sub_other'] as SubscriptionId[] as [
    SubscriptionId,
    SubscriptionId,
    SubscriptionId,
  ];
  const type = 'io.posthaste.delivery.dead';
  const told = (overrides: Partial<StoredEvent> = {}) => {
    const attributes = new Map([...event().attributes, ['type', type], ['subject', about]]);
    return stored({
      subject: `ce.acme.${type}`,
      isMarkedOperational: true,
      parsed: { ok: true, event: { attributes } },
      ...overrides,
    });
  };
  const everybody = () =>
    recorder([about, asking, other], { asksForOperationalEvents: (id) => id === asking || id === about });

  test('goes to those that name it, never to the one that it is about', async () => {
    const { tasks, matchEvent } = everybody();
    await matchEvent(told());
    expect(tasks.map(({ subscription }) => subscription)).toEqual([asking]);
  });

  test.each([
    ['without the mark of ours', { isMarkedOperational: false }],
    ['on the subject of another type, which producers may use', { subject: 'ce.acme.com.example.order' }],
    ['on the subject of another tenant', { subject: `ce.other.${type}` }],
  ])('is set aside when it came %s', async (_, overrides) => {
    const { tasks, rejected, matchEvent } = everybody();
    expect(await matchEvent(told(overrides))).toEqual({ kind: 'rejected' });
    expect(rejected).toEqual(['reserved-type']);
    expect(tasks).toEqual([]);
  });

  test('the mark does nothing for another type', async () => {
    const { tasks, matchEvent } = everybody();
    await matchEvent(stored({ isMarkedOperational: true }));
    expect(tasks).toHaveLength(3);
  });
});
