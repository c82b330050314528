import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { ConsumerInfo } from '@nats-io/jetstream';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import type { Bus } from './connection.ts';
import type { Consuming } from './consume.ts';
import type { LaneLease } from './lane-lease.ts';
import { makeLaneStore } from './lane-store.ts';
import { leaseLanes } from './lease-lanes.ts';
import { makeWakes } from './wake.ts';

jest.setTimeout(120_000);

/** For tests that wait until it is over. */
const ACK_WAIT_MS = 2_000;
/** Where a lease has to be renewed in time, however busy the machine is. */
const AMPLE_MS = 8_000;
/** Longer than anybody here waits: what comes does not come because it is over. */
const ENDLESS_MS = 600_000;
const LANES_PER_PULL = 16;
const until = (signal: AbortSignal): Promise<unknown> => delay(60_000, undefined, { signal }).catch(() => 'aborted');

let nats: TestNats;
let bus: TestBus;
let leasings: Consuming[];

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  leasings = [];
});

afterEach(async () => {
  await Promise.all(leasings.map((leasing) => leasing.stop()));
  await bus.close();
});

async function open(ackWaitMs: number): Promise<void> {
  bus = await makeTestBus(nats.url, { topology: { ackWaitSeconds: ackWaitMs / 1000 } });
}

function lease(on: Bus, onLease: (lease: LaneLease) => Promise<void>, maxLanes = 1_000): Consuming {
  const leasing = leaseLanes(on, { maxLanes }, onLease);
  leasings.push(leasing);
  return leasing;
}

const wake = (lane: string): Promise<unknown> =>
  bus.publisher.publish(bus.topology.wakeSubject(lane), new Uint8Array()).catch(() => undefined);
const lanesAwake = async (): Promise<number> => (await bus.jsm.streams.info(bus.topology.streams.WAKE)).state.messages;

describe('a lease', () => {
  test('is one worker’s while it is renewed, for longer than the ack wait, and gone when it is released', async () => {
    await open(AMPLE_MS);
    const [mine, others]: LaneLease[][] = [[], []];
    const hold = (held: LaneLease[]) => async (one: LaneLease) => {
      held.push(one);
      await until(one.signal);
    };
    lease(bus, hold(mine ?? []));
    lease(await bus.another(), hold(others ?? []));
    await wake('sub_a');
    const [held] = await eventually(() => [...(mine ?? []), ...(others ?? [])].length === 1 && [mine, others].flat());
    const heldSince = performance.now();
    await eventually(() => performance.now() - heldSince > 1.25 * AMPLE_MS);
    expect([mine, others].flat()).toHaveLength(1);
    expect([held?.subscription, held?.takenOver, held?.isSafe()]).toEqual(['sub_a', false, true]);
    expect(held?.safeForMs()).toBeLessThanOrEqual(AMPLE_MS / 2);
    expect(await held?.release()).toBe(true);
    expect([await lanesAwake(), held?.isSafe(), await held?.release()]).toEqual([0, false, false]);
    await wake('sub_a');
    await eventually(() => [mine, others].flat().length === 2);
  });

  test('of a worker that was killed is another’s after the ack wait, who is told that it took it over', async () => {
    await open(ACK_WAIT_MS);
    const killed = await bus.another();
    const before = Promise.withResolvers<LaneLease>();
    lease(killed, async (one) => {
      before.resolve(one);
      await until(one.signal);
    });
    await wake('sub_a');
    const first = await before.promise;
    const after = Promise.withResolvers<LaneLease>();
    const wasSafe: boolean[] = [];
    lease(bus, async (one) => {
      wasSafe.push(first.isSafe());
      after.resolve(one);
      await until(one.signal);
    });
    await killed.close();
    expect((await after.promise).takenOver).toBe(true);
    expect(wasSafe).toEqual([false]);
    expect(first.signal.aborted).toBe(true);
    expect([await first.release(), await first.giveBack()]).toEqual([false, false]);
    expect(await lanesAwake()).toBe(1);
  });

  test('is not safe any more before it can be another’s when the broker is not heard of, and never again', async () => {
    await open(ACK_WAIT_MS);
    const held: LaneLease[] = [];
    lease(bus, async (one) => {
      held.push(one);
      await until(one.signal);
    });
    await wake('sub_a');
    const first = await eventually(() => held[0]);
    process.kill(nats.pid, 'SIGSTOP');
    try {
      const endsAt = performance.now() + ACK_WAIT_MS / 2;
      await eventually(() => performance.now() > endsAt);
      expect(first.isSafe()).toBe(false);
    } finally {
      process.kill(nats.pid, 'SIGCONT');
    }
    await eventually(() => first.signal.aborted);
    const second = await eventually(() => held.slice(1).find((one) => one.isSafe()));
    expect([second.takenOver, first.isSafe()]).toEqual([true, false]);
  });

  test('is lost at once when the broker crashes just after it gave it, and whoever gets it next is warned', async () => {
    await open(AMPLE_MS);
    const held: LaneLease[] = [];
    const hold = async (one: LaneLease) => {
      held.push(one);
      await until(one.signal);
    };
    lease(bus, hold);
    lease(await bus.another(), hold);
    await wake('sub_a');
    const first = await eventually(() => held[0], { everyMs: 1 });
    await nats.kill();
    await eventually(() => first.signal.aborted);
    expect([first.isSafe(), await first.release()]).toEqual([false, false]);
    await nats.restart();
    const second = await eventually(() => held.slice(1).find((one) => one.isSafe()));
    expect(second.takenOver).toBe(true);
  });

  test('that is no longer young outlives a crash of the broker', async () => {
    await open(60_000);
    const held: LaneLease[] = [];
    lease(bus, async (one) => {
      held.push(one);
      await until(one.signal);
    });
    await wake('sub_a');
    const first = await eventually(() => held[0]);
    const since = performance.now();
    await eventually(() => performance.now() - since > 2_500);
    await nats.kill();
    await nats.restart();
    await eventually(() => bus.isConnected());
    expect([first.isSafe(), await first.release()]).toEqual([true, true]);
    expect(held).toHaveLength(1);
  });

  test('whose wake somebody removed is lost with the next renewal', async () => {
    await open(AMPLE_MS);
    const held: LaneLease[] = [];
    lease(bus, async (one) => {
      held.push(one);
      await until(one.signal);
    });
    await wake('sub_a');
    const first = await eventually(() => held[0]);
    await bus.jsm.streams.purge(bus.topology.streams.WAKE);
    await eventually(() => first.signal.aborted);
    expect(first.isSafe()).toBe(false);
  });

  test('that is given back is another’s at once', async () => {
    await open(ENDLESS_MS);
    const given = Promise.withResolvers<boolean>();
    const first = lease(bus, async (one) => given.resolve(await one.giveBack()), 1);
    await wake('sub_a');
    expect(await given.promise).toBe(true);
    await first.stop();
    const next = Promise.withResolvers<LaneLease>();
    lease(await bus.another(), async (one) => {
      next.resolve(one);
      await until(one.signal);
    });
    expect((await next.promise).takenOver).toBe(true);
  });

  test('comes again when its handler fails or forgets it', async () => {
    await open(AMPLE_MS);
    let calls = 0;
    lease(bus, async (one) => {
      calls++;
      if (calls === 1) throw new Error('a fault of the handler');
      if (calls > 2) await one.release();
    });
    await wake('sub_a');
    await eventually(async () => calls >= 3 && (await lanesAwake()) === 0);
  });
});

describe('leaseLanes', () => {
  test('takes no more lanes than it has room for, and spreads them over workers', async () => {
    await open(60_000);
    const counts = new Map<string, number>([
      ['a', 0],
      ['b', 0],
    ]);
    const hold = (worker: string) => async (one: LaneLease) => {
      counts.set(worker, (counts.get(worker) ?? 0) + 1);
      await until(one.signal);
    };
    lease(bus, hold('a'), 30);
    lease(await bus.another(), hold('b'), 500);
    // Each has asked for its first ones when they come.
    await eventually(async () => (await laneConsumer()).num_waiting === 2);
    await Promise.all(Array.from({ length: 100 }, (_, i) => wake(`sub_${i}`)));
    await eventually(() => (counts.get('a') ?? 0) + (counts.get('b') ?? 0) === 100);
    expect(counts.get('a')).toBeLessThanOrEqual(30);
    expect(counts.get('a')).toBeGreaterThanOrEqual(LANES_PER_PULL);
  });

  test('drains five thousand lanes that wake at once with room for two hundred', async () => {
    await open(AMPLE_MS);
    const drained = new Set<string>();
    let most = 0;
    let now = 0;
    lease(
      bus,
      async (one) => {
        most = Math.max(most, ++now);
        if (await one.release()) drained.add(one.subscription);
        else await wake(one.subscription); // whether it is released is not certain
        now--;
      },
      200,
    );
    const start = performance.now();
    await Promise.all(Array.from({ length: 5_000 }, (_, i) => wake(`sub_${i}`)));
    await eventually(() => drained.size === 5_000, { deadlineMs: 90_000 });
    process.stderr.write(`5 000 lanes woken, leased and released: ${Math.round(performance.now() - start)} ms\n`);
    expect(most).toBeLessThanOrEqual(200);
    expect(await lanesAwake()).toBe(0);
  });

  test('tells its handlers to end when it stops, waits for them, and gives back what they leave', async () => {
    await open(ENDLESS_MS);
    const told: unknown[] = [];
    let begun = 0;
    const first = leaseLanes(bus, { maxLanes: 10 }, async (one) => {
      begun++;
      await until(one.signal);
      told.push(one.isSafe());
    });
    await Promise.all(['sub_a', 'sub_b'].map(wake));
    await eventually(() => begun === 2);
    await first.stop();
    expect(told).toEqual([true, true]);
    expect(first.isAlive()).toBe(false);
    const next: string[] = [];
    lease(bus, async (one) => {
      next.push(one.subscription);
      await until(one.signal);
    });
    await eventually(() => next.length === 2);
  });

  test('makes its consumer again when somebody deleted it', async () => {
    await open(AMPLE_MS);
    const drained: string[] = [];
    lease(bus, async (one) => {
      if (await one.release()) drained.push(one.subscription);
    });
    await wake('sub_a');
    await eventually(() => drained.length === 1);
    await bus.jsm.consumers.delete(bus.topology.streams.WAKE, bus.topology.consumers.lanes);
    await wake('sub_b');
    await eventually(() => drained.length === 2);
  });

  function laneConsumer(): Promise<ConsumerInfo> {
    return bus.jsm.consumers.info(bus.topology.streams.WAKE, bus.topology.consumers.lanes);
  }
});

describe('append, wake, drain, release and look once more', () => {
  test('leave nothing on a lane and never have two holders, with two workers that come and go', async () => {
    await open(20_000);
    const LANES = 20;
    const store = makeLaneStore(bus);
    const holders = new Map<string, number>();
    const overlaps: string[] = [];
    const taken: number[] = [];
    let nextId = 0;

    const worker = (on: Bus): Consuming => {
      const own = makeLaneStore(on);
      const wakes = makeWakes(on);
      return lease(on, async (one) => {
        const { subscription: lane } = one;
        holders.set(lane, (holders.get(lane) ?? 0) + 1);
        if ((holders.get(lane) ?? 0) > 1) overlaps.push(lane);
        for (;;) {
          const entries = await own.read(lane, { maxMessages: 3 });
          if (entries.length === 0) break;
          await Promise.all(entries.map(({ laneSeq }) => own.remove(laneSeq)));
          taken.push(...entries.map(({ laneSeq }) => laneSeq));
        }
        holders.set(lane, (holders.get(lane) ?? 1) - 1);
        const isReleased = await one.release();
        if (!isReleased || (await own.lastSeq(lane)) > 0) await wakes.wake(lane);
      });
    };

    worker(bus);
    const leaving = worker(await bus.another());
    const producers = [makeWakes(bus), makeWakes(await bus.another())];
    const produce = async (wakes: (typeof producers)[number], lane: string): Promise<void> => {
      for (let i = 0; i < 30; i++) {
        await store.append(lane, new Uint8Array(), { msgId: `m${nextId++}` });
        await wakes.wake(lane);
      }
    };
    const lanes = Array.from({ length: LANES }, (_, i) => `sub_${i}`);
    const producing = producers.flatMap((wakes) => lanes.map((lane) => produce(wakes, lane)));
    await eventually(() => taken.length > 300);
    await leaving.stop();
    worker(await bus.another());
    await Promise.all(producing);
    await eventually(() => taken.length >= 2 * LANES * 30, { deadlineMs: 60_000 });
    await eventually(async () => (await store.counts()).size === 0 && (await lanesAwake()) === 0);
    expect(overlaps).toEqual([]);
    expect(new Set(taken).size).toBe(2 * LANES * 30);
    expect(taken).toHaveLength(2 * LANES * 30);
  });
});
