import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import { consumeEach } from './consume.ts';
import type { Delivered } from './delivered.ts';
import { makeMatchedFloor } from './matched-floor.ts';

let nats: TestNats;
let bus: TestBus;
let floor: () => Promise<number>;

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url);
  const matched = makeMatchedFloor(bus);
  floor = () => matched.floor('acme');
});

afterEach(async () => {
  await bus.close();
});

const publish = (): Promise<unknown> =>
  bus.publisher.publish(bus.topology.eventSubject('acme', 'com.example.x'), new Uint8Array());

describe('the floor of what is matched', () => {
  test('is below the first event that no matcher has acknowledged, whatever they have of later ones', async () => {
    const held = new Map<number, Delivered>();
    const source = { stream: bus.topology.streams.EVENTS, consumer: bus.topology.matcherOf('acme'), slots: 10 };
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
    const consumer = await bus.js.consumers.get(bus.topology.streams.EVENTS, bus.topology.matcherOf('acme'));
    await publish();
    const message = await consumer.next({ expires: 30_000 });
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

  test('is that of the tenant: what another partition has to do is no matter', async () => {
    const { topology, publisher, js } = bus;
    const other =
      ['globex', 'initech'].find((tenant) => topology.matcherOf(tenant) !== topology.matcherOf('acme')) ?? '';
    const { floor: floorOf } = makeMatchedFloor(bus);
    await publisher.publish(topology.eventSubject(other, 'com.example.x'), new Uint8Array());
    await publish();
    const consumer = await js.consumers.get(topology.streams.EVENTS, topology.matcherOf('acme'));
    await (await consumer.next({ expires: 30_000 }))?.ackAck();
    expect(await floorOf('acme')).toBe(2);
    expect(await floorOf(other)).toBe(0);
  });

  test('waits after an upgrade for the events that were stored before there were partitions', async () => {
    const { topology, publisher, js, jsm } = bus;
    const { EVENTS: stream } = topology.streams;
    const { subject_transform } = (await jsm.streams.info(stream)).config;
    await jsm.streams.update(stream, { subject_transform: undefined } as never);
    for (let i = 0; i < 2; i++) await publish();
    await jsm.streams.update(stream, { subject_transform } as never);
    await publisher.publish(topology.eventSubject('acme', 'com.example.x'), new Uint8Array());
    const [before, of] = await Promise.all(
      [topology.consumers.unpartitionedMatcher, topology.matcherOf('acme')].map((name) =>
        js.consumers.get(stream, name),
      ),
    );
    const matchNext = async (from = of): Promise<unknown> => (await from?.next({ expires: 30_000 }))?.ackAck();
    await matchNext();
    expect(await floor()).toBe(0);
    await matchNext(before);
    expect(await floor()).toBe(1);
    await matchNext(before);
    expect(await floor()).toBe(3);
  });
});
