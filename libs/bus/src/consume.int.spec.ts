import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { consumeBatches, consumeEach } from './consume.ts';
import { makeSlots } from './slots.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

jest.setTimeout(60_000);

let nats: TestNats;
let bus: TestBus;

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url);
});

afterEach(async () => {
  await bus.close();
});

const SUBSCRIPTION = 'sub_a';

async function publishMany(count: number): Promise<void> {
  const subject = bus.topology.deliverSubject(SUBSCRIPTION);
  await Promise.all(Array.from({ length: count }, (_, i) => bus.publisher.publish(subject, bytes(`${i}`))));
}

function road(): { stream: string; consumer: string } {
  return { stream: bus.topology.streams.DELIVERIES, consumer: `fresh-${bus.topology.partitionOf(SUBSCRIPTION)}` };
}

async function storedCount(): Promise<number> {
  return (await bus.jsm.streams.info(bus.topology.streams.DELIVERIES)).state.messages;
}

async function unackedCount(): Promise<number> {
  const { stream, consumer } = road();
  return (await bus.jsm.consumers.info(stream, consumer)).num_ack_pending;
}

/** Succeeds long before the ack wait is over: so everything was given back. */
async function drainTheRoad(): Promise<void> {
  const consuming = consumeEach(bus, { ...road(), slots: 10 }, (message) => {
    message.ack();
    return Promise.resolve();
  });
  await eventually(async () => (await storedCount()) === 0);
  await consuming.stop();
}

describe('consumeEach', () => {
  test('hands out every message once, with where and when it was stored, never more at a time than there are slots', async () => {
    await publishMany(500);
    const seen: string[] = [];
    let running = 0;
    let most = 0;
    const consuming = consumeEach(bus, { ...road(), slots: 7 }, async (message) => {
      most = Math.max(most, ++running);
      await delay(1);
      running--;
      seen.push(text(message.data));
      expect(message.subject).toBe(bus.topology.deliverSubject(SUBSCRIPTION));
      expect(message.seq).toBe(Number(text(message.data)) + 1);
      expect(message.deliveryCount).toBe(1);
      expect(Math.abs(Date.now() - message.timestampMs)).toBeLessThan(60_000);
      message.ack();
    });
    await eventually(() => seen.length === 500);
    expect(consuming.isAlive()).toBe(true);
    await consuming.stop();
    expect(most).toBe(7);
    expect(new Set(seen).size).toBe(500);
    expect(await storedCount()).toBe(0);
  });

  test('brings a message again when the handler fails or forgets it, and only that one', async () => {
    await publishMany(3);
    const seen: string[] = [];
    const consuming = consumeEach(bus, { ...road(), slots: 3 }, (message) => {
      seen.push(`${text(message.data)}#${message.deliveryCount}`);
      if (message.deliveryCount === 1 && text(message.data) === '0') throw new Error('no');
      if (message.deliveryCount === 1 && text(message.data) === '1') return Promise.resolve();
      message.ack();
      return Promise.resolve();
    });
    await eventually(async () => (await storedCount()) === 0);
    expect(seen.toSorted()).toEqual(['0#1', '0#2', '1#1', '1#2', '2#1']);
    await consuming.stop();
  });

  test('stop waits for the handlers that run, and gives back the rest at once', async () => {
    await publishMany(100);
    const gate = Promise.withResolvers<void>();
    const done: string[] = [];
    const consuming = consumeEach(bus, { ...road(), slots: 4 }, async (message) => {
      await gate.promise;
      message.ack();
      done.push(text(message.data));
    });
    await eventually(async () => (await unackedCount()) >= 8);
    const stopped = consuming.stop();
    expect(await Promise.race([stopped, bus.nc.flush().then(() => 'waits')])).toBe('waits');
    expect(done).toEqual([]);
    gate.resolve();
    await stopped;
    expect(done).toHaveLength(4);
    expect(await storedCount()).toBe(96);
    await drainTheRoad();
  });

  test('never asks for more than it has room for, however long its handlers are stuck', async () => {
    await publishMany(200);
    const gate = Promise.withResolvers<void>();
    const consuming = consumeEach(bus, { ...road(), slots: 2, prefetch: 4 }, async (message) => {
      await gate.promise;
      message.ack();
    });
    const end = performance.now() + 6_000;
    await eventually(async () => {
      expect(await unackedCount()).toBeLessThanOrEqual(6);
      return performance.now() > end;
    });
    expect(consuming.isAlive()).toBe(true);
    gate.resolve();
    await eventually(async () => (await storedCount()) === 0);
    await consuming.stop();
  });

  test('shares slots among consumers, so that a full one leaves room to the other', async () => {
    const other = Array.from({ length: 50 }, (_, i) => `sub_${i}`).find(
      (id) => bus.topology.partitionOf(id) !== bus.topology.partitionOf(SUBSCRIPTION),
    );
    await publishMany(1000);
    await bus.publisher.publish(bus.topology.deliverSubject(other ?? ''), bytes('other'));
    const slots = makeSlots(2);
    const seen: string[] = [];
    const handle = async (message: { data: Uint8Array; ack(): void }): Promise<void> => {
      await delay(2);
      seen.push(text(message.data));
      message.ack();
    };
    const busy = consumeEach(bus, { ...road(), slots }, handle);
    const quiet = consumeEach(
      bus,
      { stream: bus.topology.streams.DELIVERIES, consumer: `fresh-${bus.topology.partitionOf(other ?? '')}`, slots },
      handle,
    );
    await eventually(() => seen.includes('other'));
    expect(seen.length).toBeLessThan(500);
    await Promise.all([busy.stop(), quiet.stop()]);
  });

  test('renews the ack wait of a long handler and of what waits behind it', async () => {
    const { stream, consumer } = road();
    const topology = {
      ...bus.topology,
      consumerConfigs: () =>
        bus.topology.consumerConfigs().map((c) => ({ ...c, config: { ...c.config, ack_wait: 1_000_000_000 } })),
    };
    await bus.jsm.consumers.update(stream, consumer, { ack_wait: 1_000_000_000 });
    await publishMany(2);
    const seen: string[] = [];
    const consuming = consumeEach({ ...bus, topology }, { ...road(), slots: 1 }, async (message) => {
      await delay(2_500);
      seen.push(`${text(message.data)}#${message.deliveryCount}`);
      message.ack();
    });
    await eventually(() => seen.length === 2);
    expect(seen).toEqual(['0#1', '1#1']);
    await consuming.stop();
  });

  test('goes on after a crash of the server, and sees again what it had not acknowledged', async () => {
    await publishMany(20);
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    const consuming = consumeEach(bus, { ...road(), slots: 10 }, async (message) => {
      if (Number(text(message.data)) >= 5) await gate.promise;
      seen.push(text(message.data));
      message.ack();
    });
    await eventually(async () => (await storedCount()) === 15);
    await nats.kill();
    gate.resolve();
    await nats.restart();
    await eventually(async () => (await storedCount()) === 0);
    await publishMany(5);
    await eventually(async () => (await storedCount()) === 0);
    expect(new Set(seen).size).toBe(20);
    await consuming.stop();
  });

  test('makes a consumer again that somebody deleted', async () => {
    const { stream, consumer } = road();
    const seen: string[] = [];
    const consuming = consumeEach(bus, { ...road(), slots: 10 }, (message) => {
      seen.push(text(message.data));
      message.ack();
      return Promise.resolve();
    });
    await bus.jsm.consumers.delete(stream, consumer);
    await publishMany(1);
    await eventually(() => seen.length === 1);
    await consuming.stop();
  });
});

describe('consumeBatches', () => {
  test('gathers while a handler runs, and never waits longer than asked for the first', async () => {
    const sizes: number[] = [];
    let running = 0;
    const consuming = consumeBatches(bus, { ...road(), maxMessages: 50, maxWaitMs: 5 }, async (messages) => {
      expect(++running).toBe(1);
      sizes.push(messages.length);
      await delay(5);
      for (const message of messages) message.ack();
      running--;
    });
    await publishMany(1);
    await eventually(async () => (await storedCount()) === 0);
    expect(sizes).toEqual([1]);
    await publishMany(500);
    await eventually(async () => (await storedCount()) === 0);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(50);
    expect(sizes.length).toBeLessThan(60);
    await consuming.stop();
  });

  test('brings again only those of a failed batch that were not settled', async () => {
    await publishMany(10);
    const seen: string[] = [];
    const consuming = consumeBatches(bus, { ...road(), maxMessages: 10, maxWaitMs: 50 }, (messages) => {
      for (const message of messages) {
        seen.push(text(message.data));
        if (text(message.data) === '3' && message.deliveryCount === 1) throw new Error('poison');
        message.ack();
      }
      return Promise.resolve();
    });
    await eventually(async () => (await storedCount()) === 0);
    expect(seen.filter((each) => Number(each) < 3)).toHaveLength(3);
    expect(seen.filter((each) => each === '3')).toHaveLength(2);
    await consuming.stop();
  });

  test('stop finishes the batch that runs and gives back what has gathered', async () => {
    const gate = Promise.withResolvers<void>();
    const begun: number[] = [];
    const consuming = consumeBatches(bus, { ...road(), maxMessages: 10, maxWaitMs: 5 }, async (messages) => {
      begun.push(messages.length);
      await gate.promise;
      for (const message of messages) message.ack();
    });
    await publishMany(30);
    await eventually(async () => begun.length === 1 && (await unackedCount()) > 10);
    const stopped = consuming.stop();
    gate.resolve();
    await stopped;
    expect(begun).toHaveLength(1);
    expect(await storedCount()).toBe(30 - (begun[0] ?? 0));
    await drainTheRoad();
  });
});
