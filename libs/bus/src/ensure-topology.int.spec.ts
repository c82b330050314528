import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, silentLogger } from '#testkit/test-bus';
import { TopologyError } from './bus-errors.ts';
import { connectBus } from './connection.ts';
import { configDifferences } from './config-differences.ts';
import { ensureTopology } from './ensure-topology.ts';

jest.setTimeout(60_000);

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
