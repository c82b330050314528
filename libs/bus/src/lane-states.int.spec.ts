import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { SubscriptionId } from '#core/ids';
import type { LaneState } from '#core/lane/lane-state';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { openLaneStates, type LaneStates } from './lane-states.ts';

const a = 'sub_a' as SubscriptionId;
const b = 'sub_b' as SubscriptionId;
const at = (sinceMs: number): LaneState => ({ circuit: { kind: 'closed', sinceMs } });
const since = (state: LaneState | undefined): number => state?.circuit.sinceMs ?? 0;
const increment = (before: LaneState | undefined): LaneState => at(since(before) + 1);

let nats: TestNats;
let bus: TestBus;
let opened: LaneStates[];

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url);
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((states) => states.stop()));
  await bus.close();
});

async function open(on: Bus, tombstoneSeconds = 60): Promise<LaneStates> {
  const states = await openLaneStates(on, { tombstoneSeconds });
  opened.push(states);
  return states;
}

const stored = async (): Promise<number> => (await bus.jsm.streams.info(bus.topology.streams.CIRCUITS)).state.messages;

describe('openLaneStates', () => {
  test('shows an update here at once, and to another process without being asked', async () => {
    const [mine, others] = [await open(bus), await open(await bus.another())];
    const heard = Promise.withResolvers<LaneState | undefined>();
    others.onChange((_, now) => heard.resolve(now));
    expect(await mine.update(a, () => at(7))).toEqual(at(7));
    expect(mine.of(a)).toEqual(at(7));
    expect(await heard.promise).toEqual(at(7));
    expect([...others.states()]).toEqual([[a, at(7)]]);
  });

  test('has what was there before, without telling it as a change', async () => {
    await (await open(bus)).update(a, () => at(1));
    const later = await open(await bus.another());
    const told: string[] = [];
    later.onChange((lane) => told.push(lane));
    expect(later.of(a)).toEqual(at(1));
    await later.update(b, () => at(2));
    expect(told).toEqual([b]);
  });

  test('loses no update of two processes that count at once', async () => {
    const both = [await open(bus), await open(await bus.another())];
    await Promise.all(
      both.map(async (states) => {
        for (let i = 0; i < 100; i++) await states.update(a, increment);
      }),
    );
    await Promise.all(both.map((states) => states.catchUp()));
    expect(both.map((states) => since(states.of(a)))).toEqual([200, 200]);
  });

  test('takes updates of one process in turn, with one of another in between', async () => {
    const [mine, others] = [await open(bus), await open(await bus.another())];
    await Promise.all([...Array.from({ length: 50 }, () => mine.update(a, increment)), others.update(a, increment)]);
    await mine.catchUp();
    expect(since(mine.of(a))).toBe(51);
  });

  test('stores nothing when the state stays, and passes on what the change throws', async () => {
    const states = await open(bus);
    await states.update(a, (before) => before);
    expect(await stored()).toBe(0);
    await states.update(a, () => at(1));
    const before = states.of(a);
    expect(await states.update(a, (same) => same)).toBe(before);
    await expect(
      states.update(a, () => {
        throw new RangeError('a fault of the caller');
      }),
    ).rejects.toThrow(RangeError);
    expect((await bus.jsm.streams.info(bus.topology.streams.CIRCUITS)).state.last_seq).toBe(1);
  });

  test('leaves no trace of a state that was removed, and begins anew after that', async () => {
    const [mine, others] = [await open(bus, 1), await open(await bus.another(), 1)];
    await mine.update(a, () => at(1));
    await mine.update(a, () => undefined);
    expect(mine.of(a)).toBeUndefined();
    await eventually(async () => (await stored()) === 0);
    await eventually(() => others.of(a) === undefined);
    expect([...mine.states(), ...others.states()]).toEqual([]);
    await others.update(a, () => at(2));
    await mine.catchUp();
    expect(mine.of(a)).toEqual(at(2));
  });

  test('can have a state again while the trace of its removal is there', async () => {
    const [mine, others] = [await open(bus), await open(await bus.another())];
    await mine.update(a, () => at(1));
    await mine.update(a, () => undefined);
    await others.update(a, (before) => at(since(before) + 2));
    await mine.update(a, increment);
    await others.catchUp();
    expect([since(mine.of(a)), since(others.of(a)), await stored()]).toEqual([3, 3, 1]);
  });

  test('finds out what was removed while it heard nothing for longer than the trace of that stays', async () => {
    const told: (LaneState | undefined)[] = [];
    let isReachable = true;
    const states = await open({ ...bus, isConnected: () => isReachable && bus.isConnected() }, 1);
    await states.update(a, () => at(1));
    await states.update(b, () => at(2));
    states.onChange((_, now) => told.push(now));
    isReachable = false;
    const since = performance.now();
    await bus.jsm.streams.purge(bus.topology.streams.CIRCUITS, { filter: bus.topology.circuitSubject(a) });
    await eventually(() => performance.now() - since > 700);
    expect(states.of(a)).toEqual(at(1));
    isReachable = true;
    await eventually(() => told.length > 0);
    expect([states.of(a), states.of(b), told]).toEqual([undefined, at(2), [undefined]]);
    expect(await states.update(a, increment)).toEqual(at(1));
  });

  test('goes on after a crash of the broker, and updates wait for it', async () => {
    const [mine, others] = [await open(bus), await open(await bus.another())];
    await mine.update(a, () => at(1));
    await nats.kill();
    await eventually(() => !mine.isLive());
    const updating = mine.update(a, increment);
    await nats.restart();
    expect(await updating).toEqual(at(2));
    await others.catchUp(15_000);
    await eventually(() => mine.isLive() && others.isLive());
    expect(others.of(a)).toEqual(at(2));
  });

  test('says so when the broker does not confirm an update, and keeps what it knows', async () => {
    const states = await open(bus);
    await states.update(a, () => at(1));
    await nats.halt();
    await expect(states.update(a, increment, { timeoutMs: 300 })).rejects.toThrow(BusUnavailable);
    expect(states.of(a)).toEqual(at(1));
    await nats.restart();
    await eventually(() => states.isLive());
  });

  test('gives up when others are always faster', async () => {
    const states = await open(bus);
    const subject = bus.topology.circuitSubject(a);
    let calls = 0;
    const rushed = states.update(a, (before) => {
      calls++;
      // Stored before the update is: both leave in this order at the end of this turn.
      void bus.publisher.publish(subject, new TextEncoder().encode(JSON.stringify(at(1000 + calls))));
      return increment(before);
    });
    await expect(rushed).rejects.toThrow(BusUnavailable);
    expect(calls).toBe(20);
  });
});
