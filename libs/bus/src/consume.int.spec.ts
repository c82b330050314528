import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { consumeAtOnce, consumeBatches, consumeEach } from './consume.ts';
import { makeSlots } from './slots.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

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

/** Where its renewal is looked at: it is renewed at half of it, and a busy machine may be late by the other half. */
const ACK_WAIT_MS = 4_000;

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

async function unackedCount(consumer = road().consumer): Promise<number> {
  return (await bus.jsm.consumers.info(road().stream, consumer)).num_ack_pending;
}

/**
 * One more message for the road of {@link road}. When it is confirmed, what consumers of the stream were given before is here:
 * the stream sends both through one queue.
 */
async function publishBehind(): Promise<void> {
  await bus.publisher.publish(bus.topology.deliverSubject(SUBSCRIPTION), bytes('behind'));
}

/** The server takes acknowledgements as they come, a little behind: an answer to another question proves nothing about them. */
async function untilStored(count: number): Promise<void> {
  await eventually(async () => {
    const stored = await storedCount();
    if (stored !== count) throw new Error(`${stored} messages are stored, not ${count}`);
    return true;
  });
}

/** Succeeds long before the ack wait is over: so everything was given back. */
async function drainTheRoad(): Promise<void> {
  const consuming = consumeEach(bus, { ...road(), slots: 10 }, (message) => {
    message.ack();
    return Promise.resolve();
  });
  await untilStored(0);
  await consuming.stop();
}

describe('consumeEach', () => {
  test('hands out every message once, with where and when it was stored, never more at a time than there are slots', async () => {
    await publishMany(500);
    const seen: string[] = [];
    const allBusy = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    const consuming = consumeEach(bus, { ...road(), slots: 7 }, async (message) => {
      most = Math.max(most, ++running);
      if (running === 7) allBusy.resolve();
      await allBusy.promise;
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
    await untilStored(0);
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
    await untilStored(0);
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
    await untilStored(96);
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
    await untilStored(0);
    await consuming.stop();
  });

  test('shares slots among consumers, so that a full one leaves room to the other', async () => {
    const other = Array.from({ length: 50 }, (_, i) => `sub_${i}`).find(
      (id) => bus.topology.partitionOf(id) !== bus.topology.partitionOf(SUBSCRIPTION),
    );
    await publishMany(100);
    const slots = makeSlots(2);
    const gate = Promise.withResolvers<void>();
    const seen: string[] = [];
    const handle = async (message: { data: Uint8Array; ack(): void }): Promise<void> => {
      await gate.promise;
      seen.push(text(message.data));
      message.ack();
    };
    const busy = consumeEach(bus, { ...road(), slots }, handle);
    await eventually(async () => (await unackedCount()) === 4);
    const quietRoad = { stream: road().stream, consumer: `fresh-${bus.topology.partitionOf(other ?? '')}` };
    const quiet = consumeEach(bus, { ...quietRoad, slots }, handle);
    await bus.publisher.publish(bus.topology.deliverSubject(other ?? ''), bytes('other'));
    await eventually(async () => (await unackedCount(quietRoad.consumer)) === 1);
    await publishBehind();
    gate.resolve();
    await eventually(() => seen.length === 102);
    // Behind those that had the slots, and one that was in line before it.
    expect(seen.slice(0, 4)).toContain('other');
    await Promise.all([busy.stop(), quiet.stop()]);
  });

  test('renews the ack wait of a long handler and of what waits behind it', async () => {
    const { stream, consumer } = road();
    const topology = {
      ...bus.topology,
      consumerConfigs: () =>
        bus.topology.consumerConfigs().map((c) => ({ ...c, config: { ...c.config, ack_wait: ACK_WAIT_MS * 1e6 } })),
    };
    await bus.jsm.consumers.update(stream, consumer, { ack_wait: ACK_WAIT_MS * 1e6 });
    await publishMany(2);
    const seen: string[] = [];
    const consuming = consumeEach({ ...bus, topology }, { ...road(), slots: 1 }, async (message) => {
      if (text(message.data) === '0') await delay(1.25 * ACK_WAIT_MS);
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
    await untilStored(15);
    await nats.kill();
    gate.resolve();
    await nats.restart();
    await untilStored(0);
    await publishMany(5);
    await untilStored(0);
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

describe('consumeAtOnce', () => {
  test('hands out no more than may wait, and another one for each that goes on', async () => {
    await publishMany(20);
    const waiting: { goOn: () => void; end: () => void }[] = [];
    const consuming = consumeAtOnce(bus, { ...road(), prefetch: 4 }, async (message, goOn) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push({ goOn, end: resolve });
      await promise;
      message.ack();
    });
    await eventually(() => waiting.length === 4);
    for (const { goOn } of waiting) goOn();
    await eventually(() => waiting.length === 8);
    expect(await unackedCount()).toBe(8);
    for (let ended = 0; ended < 20; ended++) (await eventually(() => waiting[ended])).end();
    await untilStored(0);
    expect(waiting).toHaveLength(20);
    await consuming.stop();
  });

  test('gives back what arrives after its end began, and waits for what it has begun', async () => {
    await publishMany(10);
    let begun = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const consuming = consumeAtOnce(bus, { ...road(), prefetch: 3 }, async (message) => {
      begun++;
      await promise;
      message.ack();
    });
    await eventually(() => begun === 3);
    const stopped = consuming.stop();
    resolve();
    await stopped;
    await untilStored(7);
    await drainTheRoad();
  });
});

describe('consumeBatches', () => {
  test('gathers while a handler runs, and never waits longer than asked for the first', async () => {
    const gate = Promise.withResolvers<void>();
    const sizes: number[] = [];
    let running = 0;
    const consuming = consumeBatches(bus, { ...road(), maxMessages: 50, maxWaitMs: 5 }, async (messages) => {
      expect(++running).toBe(1);
      sizes.push(messages.length);
      await gate.promise;
      for (const message of messages) message.ack();
      running--;
    });
    await publishMany(1);
    await eventually(() => sizes.length === 1);
    await publishMany(500);
    await eventually(async () => (await unackedCount()) === 51);
    await publishBehind();
    gate.resolve();
    await untilStored(0);
    expect(sizes.slice(0, 2)).toEqual([1, 50]);
    expect(Math.max(...sizes)).toBe(50);
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
    await untilStored(0);
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
    await untilStored(30 - (begun[0] ?? 0));
    await drainTheRoad();
  });
});

describe('consumeBatches with messages that go on beside their batch', () => {
  test('begins the next batches meanwhile, renews what goes on, and waits for it at the end', async () => {
    const { stream, consumer } = road();
    const topology = {
      ...bus.topology,
      consumerConfigs: () =>
        bus.topology.consumerConfigs().map((c) => ({ ...c, config: { ...c.config, ack_wait: ACK_WAIT_MS * 1e6 } })),
    };
    await bus.jsm.consumers.update(stream, consumer, { ack_wait: ACK_WAIT_MS * 1e6 });
    const gate = Promise.withResolvers<void>();
    const seen: string[] = [];
    const longAgo = performance.now() + 1.25 * ACK_WAIT_MS;
    const consuming = consumeBatches(
      { ...bus, topology },
      { ...road(), maxMessages: 5, maxWaitMs: 0 },
      async (messages) => {
        seen.push(...messages.map(({ data, deliveryCount }) => `${text(data)}#${deliveryCount}`));
        const [slow, ...others] = messages.filter(({ data }) => text(data) === '0');
        expect(others).toEqual([]);
        for (const message of messages) if (message !== slow) message.ack();
        return slow === undefined ? [] : [{ message: slow, work: gate.promise.then(() => slow.ack()) }];
      },
    );
    await publishMany(20);
    await untilStored(1);
    await eventually(async () => {
      expect(await unackedCount()).toBe(1);
      return performance.now() > longAgo;
    });
    expect(seen.toSorted()).toEqual(Array.from({ length: 20 }, (_, i) => `${i}#1`).toSorted());
    const stopped = consuming.stop();
    expect(await Promise.race([stopped, bus.nc.flush().then(() => 'waits')])).toBe('waits');
    gate.resolve();
    await stopped;
    await untilStored(0);
  });

  test('brings again what failed, or was forgotten, beside its batch', async () => {
    await publishMany(2);
    const seen: string[] = [];
    const consuming = consumeBatches(bus, { ...road(), maxMessages: 5, maxWaitMs: 0 }, async (messages) =>
      messages.map((message) => {
        const name = `${text(message.data)}#${message.deliveryCount}`;
        seen.push(name);
        const fails = name === '0#1' ? Promise.reject(new Error('no')) : Promise.resolve();
        return { message, work: fails.then(() => (name === '1#1' ? undefined : message.ack())) };
      }),
    );
    await untilStored(0);
    expect(seen.toSorted()).toEqual(['0#1', '0#2', '1#1', '1#2']);
    await consuming.stop();
  });

  test.each([
    ['messages', { messages: 3, bytes: Infinity }],
    ['bytes', { messages: Infinity, bytes: 3 * 1000 }],
  ])('begins no other batch while too many %s go on', async (_, maxDetached) => {
    const subject = bus.topology.deliverSubject(SUBSCRIPTION);
    await Promise.all(Array.from({ length: 10 }, () => bus.publisher.publish(subject, new Uint8Array(1000))));
    const going: { ack: () => void; end: PromiseWithResolvers<void> }[] = [];
    const consuming = consumeBatches(bus, { ...road(), maxMessages: 1, maxWaitMs: 0, maxDetached }, async (messages) =>
      messages.map((message) => {
        const end = Promise.withResolvers<void>();
        going.push({ ack: message.ack, end });
        return { message, work: end.promise };
      }),
    );
    let ended = 0;
    for (let most = 3; most <= 10; most++) {
      await eventually(() => going.length === most);
      await bus.nc.flush();
      expect(going).toHaveLength(most);
      going[ended]?.ack();
      going[ended++]?.end.resolve();
    }
    for (const { ack, end } of going) {
      ack();
      end.resolve();
    }
    await consuming.stop();
    await untilStored(0);
  });
});

describe('consumeBatches of several consumers', () => {
  const [MANY, FEW] = [0, 1];
  const several = () => ({
    stream: bus.topology.streams.DELIVERIES,
    consumer: bus.topology.consumers.fresh.slice(0, 2),
  });
  const publishTo = (partition: number, count: number): Promise<unknown> =>
    Promise.all(
      Array.from({ length: count }, (_, i) =>
        bus.publisher.publish(`${bus.deployment}.deliver.${partition}.x`, Buffer.from(`${partition}-${i}`)),
      ),
    );
  test('has one of each in every batch, however much another has', async () => {
    await publishTo(MANY, 100);
    const gate = Promise.withResolvers<void>();
    const batches: string[][] = [];
    const consuming = consumeBatches(bus, { ...several(), maxMessages: 10, maxWaitMs: 0 }, async (messages) => {
      batches.push(messages.map(({ data }) => text(data)));
      await gate.promise;
      for (const message of messages) message.ack();
    });
    await eventually(() => batches.length === 1);
    await publishTo(FEW, 3);
    await eventually(async () => (await unackedCount(bus.topology.consumers.fresh[FEW])) === 3);
    await publishTo(MANY, 1); // as with publishBehind()
    gate.resolve();
    await untilStored(0);
    expect(batches[1]?.filter((name) => name.startsWith(`${FEW}-`))).toEqual(['1-0', '1-1', '1-2']);
    const ofMany = batches.flat().filter((name) => name.startsWith(`${MANY}-`));
    expect(ofMany).toEqual([...Array.from({ length: 100 }, (_, i) => `0-${i}`), '0-0']);
    await consuming.stop();
  });

  test('leaves room for others beside what of one goes on', async () => {
    const begun: string[] = [];
    const gate = Promise.withResolvers<void>();
    const consuming = consumeBatches(
      bus,
      { ...several(), maxMessages: 1, maxWaitMs: 0, maxDetached: { messages: 6, bytes: Infinity } },
      async (messages) =>
        messages.map((message) => {
          begun.push(text(message.data));
          return { message, work: gate.promise.then(() => message.ack()) };
        }),
    );
    await publishTo(MANY, 10);
    await eventually(() => begun.length === 3);
    await publishTo(FEW, 1);
    await eventually(() => begun.length === 4);
    expect(begun).toEqual(['0-0', '0-1', '0-2', '1-0']);
    gate.resolve();
    await untilStored(0);
    expect(begun).toHaveLength(11);
    await consuming.stop();
  });
});

describe('consumeBatches by bytes', () => {
  test('never holds more than it has room for, and takes what is larger than the rest of its room', async () => {
    const small = await startNats({ maxPayloadBytes: 2 * 1024 * 1024 });
    const own = await makeTestBus(small.url);
    const maxBytes = 3_000_000;
    const sizes = [800_000, 300, 1_800_000, 2_000_000, 10, 1_400_000, 1_400_000, 1_400_000, 2_000_000, 1, 2, 3];
    const subject = own.topology.deliverSubject(SUBSCRIPTION);
    for (const size of sizes) await own.publisher.publish(subject, new Uint8Array(size));
    const source = { stream: own.topology.streams.DELIVERIES, consumer: road().consumer };
    const batches: number[][] = [];
    const gate = Promise.withResolvers<void>();
    const consuming = consumeBatches(
      own,
      { ...source, maxMessages: 100, maxBytes, maxWaitMs: 50 },
      async (messages) => {
        batches.push(messages.map(({ data }) => data.length));
        await gate.promise;
        for (const message of messages) message.ack();
      },
    );
    await eventually(() => batches.length === 1);
    gate.resolve();
    await eventually(() => batches.flat().length === sizes.length);
    expect(batches.flat()).toEqual(sizes);
    for (const batch of batches) expect(batch.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(maxBytes);
    await consuming.stop();
    await own.close();
    await small.stop();
  });

  test('takes the end of a request for what it is: nothing is wrong with the consumer', async () => {
    await publishMany(500);
    let looks = 0;
    const watched = {
      info(...given: Parameters<typeof bus.jsm.consumers.info>) {
        looks++;
        return bus.jsm.consumers.info(...given);
      },
    };
    const jsm = Object.create(bus.jsm, { consumers: { value: watched } }) as typeof bus.jsm;
    const seen: string[] = [];
    const source = { ...road(), maxMessages: 20, maxBytes: 1, maxWaitMs: 0 };
    const consuming = consumeBatches({ ...bus, jsm }, source, (messages) => {
      for (const message of messages) {
        seen.push(text(message.data));
        message.ack();
      }
      return Promise.resolve();
    });
    await untilStored(0);
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => `${i}`));
    expect(looks).toBe(0);
    await consuming.stop();
  });
});
