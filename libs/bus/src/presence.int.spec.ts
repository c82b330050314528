import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { openPresence, type Presence } from './presence.ts';

const EVERYTHING_BUT_INTERVALS = [
  'Date',
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'cancelAnimationFrame',
  'cancelIdleCallback',
  'clearImmediate',
  'clearTimeout',
  'requestAnimationFrame',
  'requestIdleCallback',
  'setImmediate',
  'setTimeout',
] as const;

let nats: TestNats;
let bus: TestBus;
let present: Presence[];

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url, { ensure: false });
  present = [];
});

/** From now on nobody says each second that it is there, nor looks who was silent. */
function stopBeats(): void {
  jest.useFakeTimers({ doNotFake: [...EVERYTHING_BUT_INTERVALS] });
}

afterEach(async () => {
  jest.useRealTimers();
  await Promise.all(present.map((presence) => presence.stop()));
  await bus.close();
});

async function join(): Promise<Presence> {
  const presence = openPresence(await bus.another());
  present.push(presence);
  return presence;
}

const counts = (): number[] => present.map((presence) => presence.workers());

describe('openPresence', () => {
  test('counts itself, and a newcomer without waiting for the next second', async () => {
    stopBeats();
    const first = await join();
    expect(first.workers()).toBe(1);
    await join();
    await join();
    await eventually(() => counts().every((count) => count === 3));
  });

  test('does not count who only listens, and tells them who is there', async () => {
    const worker = await join();
    const listener = openPresence(await bus.another(), { isSilent: true });
    present.push(listener);
    expect(listener.workers()).toBe(0);
    await eventually(() => listener.workers() === 1);
    await join();
    await eventually(() => listener.workers() === 2 && worker.workers() === 2);
  });

  test('is not told of who only listens, who soon knows all', async () => {
    await join();
    await join();
    await eventually(() => counts().every((count) => count === 2));
    const listening = openPresence(await bus.another(), { isSilent: true });
    expect(listening.workers()).toBe(0);
    await eventually(() => listening.workers() === 2);
    expect(counts()).toEqual([2, 2]);
    await listening.stop();
    await join();
    await eventually(() => counts().every((count) => count === 3));
  });

  test('forgets at once who leaves', async () => {
    stopBeats();
    await join();
    const leaving = await join();
    await eventually(() => counts().every((count) => count === 2));
    present.pop();
    await leaving.stop();
    await eventually(() => present[0]?.workers() === 1);
  });

  test('forgets who was killed, and keeps who goes on', async () => {
    await join();
    await join();
    const killed = await bus.another();
    openPresence(killed);
    await eventually(() => counts().every((count) => count === 3));
    const since = performance.now();
    await killed.close();
    await eventually(() => counts().every((count) => count === 2));
    expect(performance.now() - since).toBeGreaterThan(2_500);
  });

  test('keeps the count while the broker is away for longer than that', async () => {
    await join();
    await join();
    await eventually(() => counts().every((count) => count === 2));
    const seen = new Set<number>();
    await nats.kill();
    const since = performance.now();
    await eventually(() => {
      for (const count of counts()) seen.add(count);
      return performance.now() - since > 5_500;
    });
    await nats.restart();
    const third = await join();
    await eventually(() => {
      for (const presence of present.slice(0, 2)) seen.add(presence.workers());
      return third.workers() === 3;
    });
    await eventually(() => counts().every((count) => count === 3));
    expect(Math.min(...seen)).toBe(2);
  });
});
