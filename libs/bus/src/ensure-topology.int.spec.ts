import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, silentLogger } from '#testkit/test-bus';
import { TopologyError } from './bus-errors.ts';
import { connectBus, type Bus } from './connection.ts';
import { configDifferences } from './config-differences.ts';
import { consumeBatches, consumeEach } from './consume.ts';
import { ensureTopology } from './ensure-topology.ts';
import { EVENT_PARTITIONS } from './topology.ts';

let nats: TestNats;

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

describe('ensureTopology', () => {
  test('makes every stream and consumer, from five processes at once, and again', async () => {
    const bus = await makeTestBus(nats.url, { ensure: false });
    const others = await Promise.all([bus.another(), bus.another(), bus.another(), bus.another()]);
    await Promise.all([bus, ...others].map((each) => ensureTopology(each)));
    await ensureTopology(bus);
    for (const wanted of bus.topology.streamConfigs()) {
      const { config } = await bus.jsm.streams.info(wanted.name);
      expect(configDifferences(wanted, config)).toEqual([]);
    }
    for (const { stream, config: wanted } of bus.topology.consumerConfigs()) {
      const { config } = await bus.jsm.consumers.info(stream, wanted.durable_name);
      expect(configDifferences(wanted, config)).toEqual([]);
    }
    await bus.close();
  });

  test('leaves nothing of its self-test behind', async () => {
    const bus = await makeTestBus(nats.url);
    const { streams } = bus.topology;
    await eventually(async () => (await bus.jsm.streams.info(streams.RETRIES)).state.messages === 0, {
      deadlineMs: 15_000,
    });
    await bus.close();
  });

  test('changes what may change on a stream that is there', async () => {
    const bus = await makeTestBus(nats.url);
    const changed = await connectBus({
      servers: nats.url,
      name: 'changed',
      deployment: bus.deployment,
      topology: { deduplicationSeconds: 240, eventRetentionSeconds: 30 * 86_400 },
      logger: silentLogger,
    });
    await ensureTopology(changed);
    const { config } = await bus.jsm.streams.info(bus.topology.streams.EVENTS);
    expect(config.duplicate_window).toBe(240e9);
    expect(config.max_age).toBe(30 * 86_400e9);
    await changed.close();
    await bus.close();
  });

  test('refuses a stream that somebody made in another way, and says what to do', async () => {
    const bus = await makeTestBus(nats.url, { ensure: false });
    const { DELIVERIES: name } = bus.topology.streams;
    await bus.jsm.streams.add({ name, subjects: [`${bus.deployment}.deliver.*.*`] });
    const refused = await ensureTopology(bus).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(TopologyError);
    expect(String(refused)).toMatch(/FATAL nats: server \S+ 2\.\S+ at [^]*found: stream \S*DELIVERIES[^]*fix: {3}\S/);
    await bus.close();
  });

  test('refuses a server that would not take the largest event', async () => {
    const small = await startNats({ maxPayloadBytes: 1024 * 1024 });
    const bus = await makeTestBus(small.url, { ensure: false });
    await expect(ensureTopology(bus)).rejects.toThrow(/max_payload is 1048576 bytes[^]*set max_payload: 8MB/);
    await bus.close();
    await small.stop();
  });
});

/** The bus of a version without partitions of EVENTS. */
function beforePartitions(bus: Bus): Bus {
  const { topology } = bus;
  const { matchers, unpartitionedMatcher } = topology.consumers;
  return {
    ...bus,
    topology: {
      ...topology,
      streamConfigs: () => topology.streamConfigs().map(({ subject_transform: _none, ...config }) => config),
      consumerConfigs: () =>
        topology
          .consumerConfigs()
          .filter(({ config }) => !matchers.includes(config.durable_name))
          .map(({ stream, config }) => {
            if (config.durable_name !== unpartitionedMatcher) return { stream, config };
            const { filter_subject: _all, ...unfiltered } = config;
            return { stream, config: unfiltered };
          }),
    },
  };
}

describe('the partitions of EVENTS', () => {
  test('are those that tenants are looked for in, and no subject that anybody can publish onto', async () => {
    const bus = await makeTestBus(nats.url);
    const { topology, publisher, jsm } = bus;
    const stream = topology.streams.EVENTS;
    const used = new Set<string>();
    for (const tenant of Array.from({ length: 100 }, (_, i) => `tenant-${i}`)) {
      const { seq } = await publisher.publish(topology.eventSubject(tenant, 'com.example.x'), new Uint8Array());
      const stored = (await jsm.streams.getMessage(stream, { seq }))?.subject ?? '';
      const partition = topology.matcherOf(tenant).replace('matcher-', '');
      expect(stored).toBe(`${bus.deployment}.ce-p.${partition}.${tenant}.com.example.x`);
      used.add(partition);
    }
    expect(used.size).toBe(EVENT_PARTITIONS);
    await expect(bus.js.publish(`${bus.deployment}.ce-p.0.acme.com.example.x`, '{}')).rejects.toThrow(
      'jetstream is not enabled',
    );
    expect((await jsm.streams.info(stream)).state.last_seq).toBe(100);
    await bus.close();
  });

  test('come to a stream that is there and in use: each event is taken once, before, while and after', async () => {
    const bus = await makeTestBus(nats.url, { ensure: false });
    const { streams, consumers, eventSubject } = bus.topology;
    const stream = streams.EVENTS;
    const old = beforePartitions(bus);
    await ensureTopology(old);
    let published = 0;
    const publish = async (): Promise<{ seq: number; duplicate: boolean }> => {
      const n = published++;
      return bus.publisher.publish(eventSubject(`tenant-${n % 5}`, 'x'), new Uint8Array(), { msgId: `${n}` });
    };
    for (let i = 0; i < 10; i++) await publish();
    const [taken, held]: [number[], number[]] = [[], []];
    const matcher = { stream, consumer: consumers.unpartitionedMatcher };
    const matchingAsBefore = consumeEach(old, { ...matcher, slots: 4 }, (message) => {
      if (message.seq % 4 === 0 && message.deliveryCount === 1) {
        held.push(message.seq);
        message.nak(200);
      } else {
        taken.push(message.seq);
        message.ack();
      }
      return Promise.resolve();
    });
    await eventually(() => taken.length >= 5);
    const upgraded = new AbortController();
    const publishing = (async () => {
      while (!upgraded.signal.aborted) await publish();
    })();
    await Promise.all([ensureTopology(bus), ensureTopology(await bus.another())]);
    upgraded.abort();
    await publishing;
    await matchingAsBefore.stop();
    for (let i = 0; i < 10; i++) await publish();

    const matching = consumeBatches(
      bus,
      { stream, consumer: [consumers.unpartitionedMatcher, ...consumers.matchers], maxMessages: 10, maxWaitMs: 0 },
      (messages) => {
        taken.push(...messages.map(({ seq }) => seq));
        for (const message of messages) message.ack();
        return Promise.resolve();
      },
    );
    await eventually(() => taken.length >= published);
    expect(await publish()).toMatchObject({ seq: published, duplicate: false });
    await eventually(() => taken.includes(published));
    await matching.stop();
    expect(held).toContain(4);
    expect(taken.toSorted((a, b) => a - b)).toEqual(Array.from({ length: published }, (_, i) => i + 1));

    const again = { msgId: '2' }; // stored before there were partitions
    const answer = await bus.publisher.publish(eventSubject('tenant-2', 'x'), new Uint8Array(), again);
    expect(answer).toMatchObject({ seq: 3, duplicate: true });
    await bus.close();
  });
});
