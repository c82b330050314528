import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { SubjectOccupied } from './bus-errors.ts';
import type { Consuming } from './consume.ts';
import { consumeDueWakes, makeWakes, type Wakes } from './wake.ts';

let nats: TestNats;
let bus: TestBus;
let wakes: Wakes;
/** Subjects of the wakes that were published, refused ones as well. */
let published: string[];
/** What the next wake has to wait for before it leaves. */
let beforeNext: Promise<void> | undefined;
let dueWakes: Consuming | undefined;

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url);
  published = [];
  beforeNext = undefined;
  wakes = makeWakes(watched(), { asleepGapMs: 400 });
});

afterEach(async () => {
  await dueWakes?.stop();
  dueWakes = undefined;
  await wakes.stop();
  await bus.close();
});

function watched(): Pick<TestBus, 'publisher' | 'topology' | 'logger'> {
  const { publisher } = bus;
  return {
    ...bus,
    publisher: {
      ...publisher,
      async publish(subject, payload, options) {
        published.push(subject);
        if (beforeNext !== undefined) await beforeNext;
        return publisher.publish(subject, payload, options);
      },
    },
  };
}

const stored = async (stream: string): Promise<number> => (await bus.jsm.streams.info(stream)).state.messages;
const lanesAwake = (): Promise<number> => stored(bus.topology.streams.WAKE);

/** Lanes whose timer has fired, and that nobody has woken yet. */
async function dueCount(): Promise<number> {
  const { streams } = bus.topology;
  const { state } = await bus.jsm.streams.info(streams.RETRIES, {
    subjects_filter: bus.topology.retryWakeSubject('*'),
  });
  return Object.keys(state.subjects ?? {}).length;
}

/** As its holder does it. */
async function takeOne(): Promise<void> {
  const consumer = await bus.js.consumers.get(bus.topology.streams.WAKE, bus.topology.consumers.lanes);
  await (await consumer.next({ expires: 30_000 }))?.ackAck();
}

describe('wake', () => {
  test('is stored once, however often, and again when it was taken', async () => {
    await wakes.wake('sub_a');
    await wakes.wake('sub_a');
    expect(await lanesAwake()).toBe(1);
    await takeOne();
    expect(await lanesAwake()).toBe(0);
    await wakes.wake('sub_a');
    expect(await lanesAwake()).toBe(1);
  });

  test('is one for all who ask within 50 ms, published after the last of them asked', async () => {
    const subject = bus.topology.wakeSubject('sub_a');
    const first = wakes.wake('sub_a');
    beforeNext = first.then(takeOne);
    // In the same turn of the event loop: no timer can be faster.
    const later = Array.from({ length: 100 }, () => wakes.wake('sub_a'));
    expect(published).toEqual([subject]);
    await Promise.all(later);
    expect(published).toEqual([subject, subject]);
    expect(await lanesAwake()).toBe(1);
  });

  test('of a lane that sleeps comes at the end of the interval, once, and is not waited for', async () => {
    for (let i = 0; i < 50; i++) await wakes.wake('sub_a', { isAsleep: true });
    expect(published).toEqual([]);
    await eventually(async () => (await lanesAwake()) === 1);
    expect(published).toHaveLength(1);
  });

  test('of a lane that was thought to sleep is the one that was put off', async () => {
    await wakes.wake('sub_a', { isAsleep: true });
    await wakes.wake('sub_a');
    await takeOne();
    await wakes.wake('sub_b', { isAsleep: true });
    await eventually(async () => (await lanesAwake()) === 1);
    expect(published).toEqual([bus.topology.wakeSubject('sub_a'), bus.topology.wakeSubject('sub_b')]);
  });

  test('that was put off is published when the process stops', async () => {
    await Promise.all(['sub_a', 'sub_b'].map((lane) => wakes.wake(lane, { isAsleep: true })));
    await wakes.stop();
    expect(await lanesAwake()).toBe(2);
  });

  test('of five thousand lanes at once are all stored', async () => {
    const start = performance.now();
    await Promise.all(Array.from({ length: 5_000 }, (_, i) => wakes.wake(`sub_${i}`)));
    process.stderr.write(`5 000 wakes: ${Math.round(performance.now() - start)} ms\n`);
    expect(await lanesAwake()).toBe(5_000);
  });

  test('outlives a crash of the broker in the middle', async () => {
    await nats.kill();
    const waking = wakes.wake('sub_a');
    await nats.restart();
    await waking;
    expect(await lanesAwake()).toBe(1);
  });

  test('is refused as its own kind of error, not as a mistake', async () => {
    const again = () => bus.publisher.publish(bus.topology.wakeSubject('sub_a'), new Uint8Array());
    await again();
    await expect(again()).rejects.toThrow(SubjectOccupied);
  });
});

describe('wakeAt', () => {
  test('wakes the lane then, not before, and leaves no timer behind', async () => {
    dueWakes = consumeDueWakes(bus, wakes);
    const atMs = Date.now() + 600;
    await wakes.wakeAt('sub_a', atMs);
    await eventually(async () => (await lanesAwake()) === 1);
    expect(Date.now()).toBeGreaterThanOrEqual(atMs);
    await eventually(async () => (await stored(bus.topology.streams.RETRIES)) === 0);
  });

  test('has those that are due wait while there is no room for them: a lane that has news is before them', async () => {
    let hasRoom = false;
    const fired: number[] = [];
    dueWakes = consumeDueWakes(bus, wakes, {
      hasRoom: () => hasRoom,
      isNeeded: (lane, firedAtMs) => fired.push(firedAtMs) > 0 && lane !== 'sub_7',
    });
    const start = Date.now();
    await Promise.all(Array.from({ length: 20 }, (_, i) => wakes.wakeAt(`sub_${i}`, Date.now())));
    await eventually(async () => (await dueCount()) === 20);
    await wakes.wake('sub_news');
    expect(await lanesAwake()).toBe(1);
    const openedAtMs = Date.now();
    hasRoom = true;
    await eventually(async () => (await dueCount()) === 0);
    // One of them was woken otherwise while it waited.
    expect(await lanesAwake()).toBe(20);
    expect(Math.min(...fired)).toBeGreaterThanOrEqual(start);
    expect(Math.max(...fired)).toBeLessThanOrEqual(openedAtMs);
  });

  test('is replaced by a later call, by an earlier instant and back to the first', async () => {
    const timer = bus.topology.wakeTimerSubject('sub_a');
    const start = Date.now();
    for (const atMs of [start + 3_600_000, start + 60_000, start + 3_600_000]) await wakes.wakeAt('sub_a', atMs);
    const { streams } = bus.jsm;
    const last = await streams.getMessage(bus.topology.streams.RETRIES, { last_by_subj: timer });
    expect(last?.header.get('Nats-Schedule')).toBe(`@at ${new Date(start + 3_600_000).toISOString()}`);
    await eventually(async () => (await stored(bus.topology.streams.RETRIES)) === 1);
    dueWakes = consumeDueWakes(bus, wakes);
    await wakes.wakeAt('sub_a', start);
    await eventually(async () => (await lanesAwake()) === 1);
    await eventually(async () => (await stored(bus.topology.streams.RETRIES)) === 0);
  });

  test('fires after a crash of the broker', async () => {
    dueWakes = consumeDueWakes(bus, wakes);
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => wakes.wakeAt(`sub_${i}`, Date.now() + (i < 10 ? 50 : 1_500))),
    );
    await nats.kill();
    await nats.restart();
    await eventually(async () => (await lanesAwake()) === 20);
  });
});
