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

  test('is renewed by its holder: the server counts its age anew', async () => {
    const other = await bus.another();
    const lease = await takeLease(bus, subject);
    const held = async () => (await bus.jsm.streams.info(bus.topology.streams.LEASES)).state.last_seq;
    const before = await held();
    await lease?.renew();
    expect(await held()).toBe(before + 1);
    expect(await takeLease(other, subject)).toBeUndefined();
    await lease?.release();
    expect(await takeLease(other, subject)).toBeDefined();
  });

  test('that the server has forgotten is renewed while nobody else has taken it, and not taken away from one who has', async () => {
    const forget = () => bus.jsm.streams.purge(bus.topology.streams.LEASES); // what its age does
    const first = await takeLease(bus, subject);
    await forget();
    await first?.renew();
    expect(await takeLease(bus, subject)).toBeUndefined();
    await forget();
    const second = await takeLease(bus, subject);
    await first?.renew();
    await first?.release();
    expect(await takeLease(bus, subject)).toBeUndefined();
    await second?.release();
    expect(await takeLease(bus, subject)).toBeDefined();
  });
});
