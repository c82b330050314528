import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { takeLease } from './lease.ts';

let nats: TestNats;
let bus: TestBus;
let subject: string;

beforeAll(async () => {
  nats = await startNats();
});
afterAll(async () => {
  await nats.stop();
});
beforeEach(async () => {
  bus = await makeTestBus(nats.url);
  subject = bus.topology.leaseSubject('sub_1');
});
afterEach(async () => {
  await bus.close();
});

describe('a lease', () => {
  test('is held by one of many that want it at once', async () => {
    const taken = await Promise.all(Array.from({ length: 20 }, () => takeLease(bus, subject)));
    expect(taken.filter((lease) => lease !== undefined)).toHaveLength(1);
    expect(await takeLease(bus, subject)).toBeUndefined();
  });

  test('can be taken by another one when it was given back, again and again', async () => {
    const other = await bus.another();
    for (const who of [bus, other, bus]) {
      const lease = await takeLease(who, subject);
      expect(lease).toBeDefined();
      await lease?.release();
    }
  });

  test('is given back by its holder only', async () => {
    const first = await takeLease(bus, subject);
    await first?.release();
    const second = await takeLease(bus, subject);
    await first?.release();
    expect(second).toBeDefined();
    expect(await takeLease(bus, subject)).toBeUndefined();
  });

  test('of one that was killed is free when the server has forgotten it', async () => {
    await takeLease(bus, subject);
    const { config } = await bus.jsm.streams.info(bus.topology.streams.LEASES);
    expect(config.max_age).toBe(60e9);
    await bus.jsm.streams.purge(bus.topology.streams.LEASES); // what its age does
    expect(await takeLease(bus, subject)).toBeDefined();
  });
});
