import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import { consumeEach } from './consume.ts';
import type { Delivered } from './delivered.ts';
import { makeMatchedFloor, type MatchedFloor } from './matched-floor.ts';

jest.setTimeout(60_000);

let nats: TestNats;
let bus: TestBus;
let floor: MatchedFloor['floor'];

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url);
  ({ floor } = makeMatchedFloor(bus));
});

afterEach(async () => {
  await bus.close();
});

const publish = (): Promise<unknown> =>
  bus.publisher.publish(bus.topology.eventSubject('acme', 'com.example.x'), new Uint8Array());

describe('the floor of what is matched', () => {
  test('is below the first event that no matcher has acknowledged, whatever they have of later ones', async () => {
    const held = new Map<number, Delivered>();
    const source = { stream: bus.topology.streams.EVENTS, consumer: bus.topology.consumers.matcher, slots: 10 };
    const release = Promise.withResolvers<void>();
    const consuming = consumeEach(bus, source, async (message) => {
      held.set(message.seq, message);
      await release.promise;
    });
    expect(await floor()).toBe(0);
    for (let i = 0; i < 5; i++) await publish();
    await eventually(() => held.size === 5);
    expect(await floor()).toBe(0);
    for (const [acknowledged, expected] of [
      [4, 0],
      [1, 1],
      [2, 2],
      [3, 4],
      [5, 5],
    ] as const) {
      held.get(acknowledged)?.ack();
      await eventually(async () => (await floor()) === expected);
    }
    release.resolve();
    await consuming.stop();
    await publish();
    expect(await floor()).toBe(5);
  });

  test('does not count an event that was given back', async () => {
    const consumer = await bus.js.consumers.get(bus.topology.streams.EVENTS, bus.topology.consumers.matcher);
    await publish();
    const message = await consumer.next({ expires: 5_000 });
    message?.nak(60_000);
    await bus.nc.flush();
    expect(await floor()).toBe(0);
  });

  test('is told by the leader, or it is said that it is not known', async () => {
    await nats.halt();
    await expect(floor()).rejects.toThrow(BusUnavailable);
    await nats.restart();
    expect(await eventually(async () => (await floor()) === 0)).toBe(true);
  });
});
