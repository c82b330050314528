import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ApiKeyId, TenantId } from '#core/ids';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import { makeKeyUses } from './key-uses.ts';

const tenant = 'acme' as TenantId;
const key = 'key_01' as ApiKeyId;
let nats: TestNats;
let bus: TestBus;

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
});

afterAll(async () => {
  await bus.close();
  await nats.stop();
});

test('the last use of a key is told at most once a minute, and every process can read it', async () => {
  let nowMs = 1_000_000;
  const mine = makeKeyUses(bus, () => nowMs);
  const theirs = makeKeyUses(await bus.another(), () => nowMs);
  expect(await theirs.lastUse(tenant, key)).toBeUndefined();

  mine.used(tenant, key, '192.0.2.1');
  expect(await eventually(() => theirs.lastUse(tenant, key))).toEqual({ atMs: nowMs, from: '192.0.2.1' });

  mine.used(tenant, key, '192.0.2.2'); // within the minute: not told
  nowMs += 60_000;
  mine.used(tenant, key, '192.0.2.3');
  await eventually(async () => (await theirs.lastUse(tenant, key))?.atMs === nowMs);
  expect(await theirs.lastUse(tenant, key)).toEqual({ atMs: nowMs, from: '192.0.2.3' });
  expect((await bus.jsm.streams.info(bus.topology.streams.KEYUSES)).state).toMatchObject({ messages: 1, last_seq: 2 });
  expect(await theirs.lastUse('other' as TenantId, key)).toBeUndefined();
});

test('a use is told when the clock was set back since the last one', async () => {
  let nowMs = 86_400_000;
  const uses = makeKeyUses(bus, () => nowMs);
  const other = 'key_03' as ApiKeyId;
  uses.used(tenant, other, '192.0.2.1');
  await eventually(async () => (await uses.lastUse(tenant, other))?.atMs === nowMs);
  nowMs = 1_000_000;
  uses.used(tenant, other, '192.0.2.2');
  expect(await eventually(async () => (await uses.lastUse(tenant, other))?.from === '192.0.2.2')).toBe(true);
});

test.each([
  ['an answer of the server', '{"type":"io.nats.jetstream.api.v1.stream_info_response"}'],
  ['no JSON', 'an event'],
  ['no instant', '{"atMs":1e300,"from":"192.0.2.1"}'],
  ['no address', '{"atMs":1,"from":{}}'],
  ['null', 'null'],
])('what stands in its place and is none, %s, is not known to be a use', async (_what, payload) => {
  const forged = 'key_02' as ApiKeyId;
  await bus.publisher.publish(bus.topology.keyUseSubject(tenant, forged), Buffer.from(payload));
  expect(await makeKeyUses(bus, Date.now).lastUse(tenant, forged)).toBeUndefined();
});

test('that the broker is away is not the same as a key that nobody has used', async () => {
  const other = await bus.another();
  await other.close();
  await expect(makeKeyUses(other, Date.now).lastUse(tenant, key)).rejects.toThrow(BusUnavailable);
});
