import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DeliveryId, RedeliveryId, SubscriptionId, TenantId } from '#core/ids';
import { redeliveryDecider } from '#core/registry/redelivery-decider';
import type { Redelivery, RedeliveryCommand } from '#core/registry/redelivery';
import type { EndedDelivery, RoundBegun } from './begin-round.ts';
import {
  makeRunRedelivery,
  PART_MAX,
  partLimit,
  type RedeliverySet,
  type RunRedeliveryPorts,
} from './run-redelivery.ts';

const tenant = 'acme' as TenantId;
const id = 'red_1' as RedeliveryId;
const REQUESTED_AT_MS = 1_000_000;

class ReadSideAway extends Error {}
class BusAway extends Error {}

interface Row extends EndedDelivery {
  readonly changedAtMs: number;
}

interface Start {
  readonly id: string;
  readonly atMs: number;
}

/**
 * A job over `size` deliveries on a clock that only moves when somebody sleeps, in a world in which a delivery has left the set as
 * soon as its round began, unless the projection is `behind`.
 */
function setUp({ size = 10, requestsPerMinute = 6_000, isBehind = false } = {}) {
  let nowMs = REQUESTED_AT_MS;
  let job: Redelivery | undefined;
  let isStopping = false;
  const starts: Start[] = [];
  const trouble: unknown[] = [];
  const commands: RedeliveryCommand[] = [];
  const asked: { readonly atMs: number; readonly by: string }[] = [];
  const rows = new Map<string, Row>(
    Array.from({ length: size }, (_, i): [string, Row] => {
      const name = `dlv_${String(i).padStart(6, '0')}` as DeliveryId;
      const subscription = 'sub_1' as SubscriptionId;
      return [name, { id: name, tenant, subscription, eventSeq: i, acceptedAtMs: i, lastAttempt: 1, changedAtMs: 0 }];
    }),
  );

  function decide(command: RedeliveryCommand, by = 'redelivery'): boolean {
    const decision = redeliveryDecider.decide(command, job, { nowMs, by });
    if (!decision.ok) return false;
    for (const event of decision.events) job = redeliveryDecider.evolve(job, event);
    return true;
  }

  function matching({ unchangedSinceMs, after }: RedeliverySet): Row[] {
    return [...rows.values()].filter(
      (row) => row.changedAtMs <= unchangedSinceMs && (after === undefined || row.id > after.id),
    );
  }

  const ports: RunRedeliveryPorts = {
    find: () => job,
    select: (set, limit) => Promise.resolve(matching(set).slice(0, limit)),
    count: (set) => Promise.resolve(matching(set).length),
    beginRound(delivery, round) {
      starts.push({ id: delivery.id, atMs: nowMs });
      asked.push(round);
      const row = rows.get(delivery.id);
      if (row !== undefined && !isBehind) rows.set(row.id, { ...row, changedAtMs: round.atMs });
      return Promise.resolve<RoundBegun>({ kind: 'accepted', attempt: 2 });
    },
    record(_job, command) {
      commands.push(command);
      return Promise.resolve(decide(command));
    },
    isReadSideAway: (error) => error instanceof ReadSideAway,
    isBusAway: (error) => error instanceof BusAway,
    onTrouble: (error) => trouble.push(error),
    now: () => nowMs,
    sleep(ms) {
      nowMs += ms;
      return Promise.resolve();
    },
    isStopping: () => isStopping,
  };
  decide(
    {
      kind: 'RequestRedelivery',
      id,
      tenant,
      selection: { states: ['dead'], untilMs: REQUESTED_AT_MS },
      requestsPerMinute,
      count: size,
    },
    'key_1',
  );
  return {
    starts,
    trouble,
    commands,
    asked,
    rows,
    decide,
    job: () => job as Redelivery,
    now: () => nowMs,
    stop: (stopping = true) => {
      isStopping = stopping;
    },
    run: (change: Partial<RunRedeliveryPorts> = {}, isTakeover = false) =>
      makeRunRedelivery({ ...ports, ...change }).run(tenant, id, isTakeover),
    ports,
  };
}

const idsOf = (starts: readonly Start[]): readonly string[] => starts.map((start) => start.id);

const sorted = (ids: readonly string[]): readonly string[] => [...ids].sort();

describe('a redelivery job', () => {
  test('begins a round for every delivery of the set, in order, and completes', async () => {
    const world = setUp({ size: 1_200, requestsPerMinute: 60_000 });
    expect(await world.run()).toBe('over');
    expect(idsOf(world.starts)).toEqual([...world.rows.keys()]);
    expect(world.job()).toMatchObject({ state: 'completed', done: 1_200, skipped: {}, checkpoint: 3 });
  });

  test('does so in the name of who asked, and never before the request whatever the clock says', async () => {
    const world = setUp({ size: 2 });
    await world.run({ now: () => world.now() - 60_000 });
    expect(world.asked).toEqual([
      { atMs: REQUESTED_AT_MS + 1, by: 'key_1' },
      { atMs: REQUESTED_AT_MS + 1, by: 'key_1' },
    ]);
  });

  test('completes at once when there is nothing', async () => {
    const world = setUp({ size: 0 });
    expect(await world.run()).toBe('over');
    expect(world.job()).toMatchObject({ state: 'completed', done: 0, checkpoint: 0 });
  });

  test('counts what it passes over, by reason', async () => {
    const world = setUp({ size: 6 });
    const results: RoundBegun[] = [
      { kind: 'event_gone' },
      { kind: 'subscription_deleted', subscription: 'sub_1' as SubscriptionId },
      { kind: 'subscription_ended', subscription: 'sub_1' as SubscriptionId, state: 'disabled' },
      { kind: 'event_gone' },
    ];
    await world.run({
      beginRound: () => Promise.resolve(results.shift() ?? { kind: 'accepted', attempt: 2 }),
    });
    expect(world.job()).toMatchObject({
      state: 'completed',
      done: 2,
      skipped: { event_gone: 2, subscription_deleted: 1, subscription_ended: 1 },
    });
  });

  test('does not pick what died again after the request', async () => {
    const world = setUp({ size: 3 });
    world.rows.set('dlv_000001', { ...(world.rows.get('dlv_000001') as Row), changedAtMs: REQUESTED_AT_MS + 1 });
    await world.run();
    expect(idsOf(world.starts)).toEqual(['dlv_000000', 'dlv_000002']);
  });

  test.each([1, 30, 600, 6_000, 60_000])('keeps a pace of %i per minute, evenly', async (requestsPerMinute) => {
    const world = setUp({ size: 100, requestsPerMinute });
    await world.run();
    const distanceMs = 60_000 / requestsPerMinute;
    const first = world.starts[0]?.atMs ?? 0;
    for (const [i, { atMs }] of world.starts.entries()) {
      expect(Math.abs(atMs - first - i * distanceMs)).toBeLessThan(1);
    }
    expect(world.starts).toHaveLength(100);
  });

  test('writes no more checkpoints than one in 500 deliveries or 5 s, and fewer when it is old', async () => {
    const fast = setUp({ size: 5_000, requestsPerMinute: 60_000 });
    await fast.run();
    expect(fast.job().checkpoint).toBe(10);
    const slow = setUp({ size: 1_000, requestsPerMinute: 6 });
    await slow.run();
    expect(slow.now() - REQUESTED_AT_MS).toBeGreaterThan(9_900_000);
    expect(slow.job().checkpoint).toBeLessThan(500);
    expect(partLimit({ ...slow.job(), requestsPerMinute: 60_000 }, slow.now())).toBe(PART_MAX);
  });

  test('begins nothing more within a second of a cancellation, and records what it has begun', async () => {
    const world = setUp({ size: 100, requestsPerMinute: 60 });
    const cancelAtMs = REQUESTED_AT_MS + 20_300;
    const cancelWhenDue = (): void => {
      if (world.now() >= cancelAtMs && world.job().state === 'running') world.decide({ kind: 'CancelRedelivery' });
    };
    const end = await world.run({
      async sleep(ms) {
        await world.ports.sleep(ms);
        cancelWhenDue();
      },
    });
    expect(end).toBe('over');
    expect(world.starts).toHaveLength(21);
    expect(world.now() - cancelAtMs).toBeLessThan(1_000);
    expect(world.job()).toMatchObject({ state: 'cancelled', done: 21 });
  });

  test('stops with its process, records what it has begun, and another one goes on', async () => {
    const world = setUp({ size: 50, requestsPerMinute: 600 });
    const end = await world.run({
      async sleep(ms) {
        await world.ports.sleep(ms);
        if (world.starts.length === 20) world.stop();
      },
    });
    expect(end).toBe('stopped');
    expect(world.job()).toMatchObject({ state: 'running', done: 20 });
    world.stop(false);
    expect(await world.run({}, true)).toBe('over');
    expect(idsOf(world.starts)).toEqual([...world.rows.keys()]);
    expect(world.job()).toMatchObject({ state: 'completed', done: 50 });
  });

  test('waits while the read side is away, and goes on', async () => {
    const world = setUp({ size: 20, requestsPerMinute: 60 });
    let tries = 0;
    const flaky =
      <Arguments extends unknown[], Result>(query: (...args: Arguments) => Promise<Result>) =>
      (...args: Arguments): Promise<Result> =>
        ++tries % 3 === 0 ? query(...args) : Promise.reject(new ReadSideAway());
    const end = await world.run({ select: flaky(world.ports.select), count: flaky(world.ports.count) }, true);
    expect(end).toBe('over');
    expect(idsOf(world.starts)).toEqual([...world.rows.keys()]);
    expect(world.job()).toMatchObject({ state: 'completed', done: 20 });
    expect(world.trouble.length).toBeGreaterThan(8);
  });

  test('is given back when the bus is away, with what was recorded, and another one goes on', async () => {
    const world = setUp({ size: 20 });
    const beginRound: RunRedeliveryPorts['beginRound'] = (delivery, round) =>
      delivery.eventSeq === 7 ? Promise.reject(new BusAway()) : world.ports.beginRound(delivery, round);
    await expect(world.run({ beginRound })).rejects.toThrow(BusAway);
    expect(world.job()).toMatchObject({ state: 'running', done: 7 });
    await expect(world.run({ record: () => Promise.reject(new BusAway()) }, true)).rejects.toThrow(BusAway);
    expect(await world.run({}, true)).toBe('over');
    expect(world.job()).toMatchObject({ state: 'completed', done: 20 });
    expect(sorted(idsOf(world.starts))).toEqual([...world.rows.keys()]);
  });

  test('records only what has no gap before it, so that a late failure is not skipped', async () => {
    const world = setUp({ size: 10, requestsPerMinute: 60_000 });
    const later = Promise.withResolvers<never>();
    const beginRound: RunRedeliveryPorts['beginRound'] = (delivery, round) => {
      if (delivery.eventSeq === 3) return later.promise;
      if (delivery.eventSeq === 6) later.reject(new BusAway());
      return world.ports.beginRound(delivery, round);
    };
    await expect(world.run({ beginRound })).rejects.toThrow(BusAway);
    expect(world.job()).toMatchObject({ state: 'running', done: 3, cursor: { id: 'dlv_000002' } });
    expect(await world.run({}, true)).toBe('over');
    expect(sorted(idsOf(world.starts))).toEqual([...world.rows.keys()]);
    expect(world.job()).toMatchObject({ state: 'completed', done: 10 });
  });

  test('fails when trying again cannot help, tells how far it came, and the log why', async () => {
    const world = setUp({ size: 20 });
    await world.run({
      beginRound: (delivery, round) =>
        delivery.eventSeq === 7 ? Promise.reject(new Error('no such thing')) : world.ports.beginRound(delivery, round),
    });
    expect(world.job()).toMatchObject({ state: 'failed', failure: expect.any(String), done: 7 });
    expect(world.job().failure).not.toContain('no such thing');
    expect(world.trouble).toEqual([new Error('no such thing')]);
  });

  test('stands by when another one has overtaken it, and goes on when that one is silent', async () => {
    const world = setUp({ size: 2_000, requestsPerMinute: 6_000 });
    let others = 0;
    const end = await world.run({
      // A second process is at work: three of its checkpoints come before ours.
      record(job, command) {
        if (command.kind === 'RecordProgress' && others === 0) {
          world.decide({ ...command, cursor: { acceptedAtMs: 499, id: 'dlv_000499' as DeliveryId } });
          others++;
        }
        return world.ports.record(job, command);
      },
      async sleep(ms) {
        await world.ports.sleep(ms);
        const { checkpoint, cursor, done } = world.job();
        if (cursor === undefined || others > 2 || world.now() % 60_000 > 500) return;
        world.decide({ kind: 'RecordProgress', continues: checkpoint, cursor, done, skipped: {} });
        others++;
      },
    });
    expect(end).toBe('over');
    expect(others).toBe(3);
    expect(world.job()).toMatchObject({ state: 'completed', done: 2_000 });
    expect(new Set(idsOf(world.starts))).toEqual(new Set(world.rows.keys()));
  });

  test('goes on at its pace when the clock is set back while it waits', async () => {
    const world = setUp({ size: 60, requestsPerMinute: 60 });
    let backMs = 0;
    const end = await world.run({
      now: () => world.now() - backMs,
      async sleep(ms) {
        await world.ports.sleep(ms);
        if (world.starts.length === 30) backMs = 3_600_000;
      },
    });
    expect(end).toBe('over');
    expect(world.job()).toMatchObject({ state: 'completed', done: 60 });
    expect(world.now() - REQUESTED_AT_MS).toBeLessThan(2 * 60_000);
  });

  test('loses nothing and repeats at most a part, wherever it crashes and however far the projection is behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 4 }),
        fc.boolean(),
        async (crashes, isBehind) => {
          const world = setUp({ size: 1_300, requestsPerMinute: 60_000, isBehind });
          for (const crashAfter of crashes) {
            let left = crashAfter;
            // A crash: everything hangs from here on, and what was begun may not have been recorded.
            const crashed = Promise.withResolvers<'crashed'>();
            const hang = new Promise<never>(() => undefined);
            const dying =
              <Arguments extends unknown[], Result>(work: (...args: Arguments) => Promise<Result>) =>
              (...args: Arguments): Promise<Result> => {
                if (--left > 0) return work(...args);
                crashed.resolve('crashed');
                return hang;
              };
            const change = { beginRound: dying(world.ports.beginRound), record: dying(world.ports.record) };
            await Promise.race([world.run(change, true), crashed.promise]);
          }
          await world.run({}, true);
          expect(world.job()).toMatchObject({ state: 'completed', done: 1_300 });
          expect(new Set(idsOf(world.starts))).toEqual(new Set(world.rows.keys()));
          const repeated = world.starts.length - 1_300;
          expect(repeated).toBeLessThanOrEqual(isBehind ? crashes.length * PART_MAX : 0);
        },
      ),
      { numRuns: 30 },
    );
  });
});
