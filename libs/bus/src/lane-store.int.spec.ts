import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import { makeLaneStore, type LaneStore } from './lane-store.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const texts = (entries: readonly { data: Uint8Array }[]): string[] =>
  entries.map(({ data }) => new TextDecoder().decode(data));

jest.setTimeout(180_000);

let nats: TestNats;
let bus: TestBus;
let store: LaneStore;
let nextId = 0;

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url);
  store = makeLaneStore(bus);
});

afterEach(async () => {
  store.close();
  await bus.close();
});

/** Sequences in LANES. */
async function fill(lane: string, payloads: readonly string[]): Promise<number[]> {
  const acks = await Promise.all(
    payloads.map((text) => store.append(lane, bytes(text), { msgId: `m${nextId++}`, timeoutMs: 15_000 })),
  );
  return acks.map(({ seq }) => seq);
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

describe('a lane', () => {
  test('gives what was put on it in order, and nothing of its neighbours', async () => {
    const start = Date.now();
    const [seqs] = await Promise.all([fill('sub_a', ['a1', 'a2', 'a3']), fill('sub_b', ['b1', 'b2'])]);
    const entries = await store.read('sub_a', { maxMessages: 10 });
    expect(texts(entries)).toEqual(['a1', 'a2', 'a3']);
    expect(entries.map(({ laneSeq }) => laneSeq)).toEqual(seqs);
    for (const { storedAtMs } of entries) expect(Math.abs(storedAtMs - start)).toBeLessThan(60_000);
  });

  test('is read piece by piece up to the end that the leader told, and nothing is skipped', async () => {
    await Promise.all([fill('sub_a', numbers(500)), fill('sub_b', numbers(500))]);
    const end = await store.lastSeq('sub_a');
    const read: string[] = [];
    for (let fromSeq = 1; fromSeq <= end;) {
      const entries = await store.read('sub_a', { fromSeq, maxMessages: 37 });
      expect(entries.length).toBeLessThanOrEqual(37);
      read.push(...texts(entries));
      fromSeq = (entries.at(-1)?.laneSeq ?? 0) + 1;
    }
    expect(read).toEqual(numbers(500));
    expect(await store.read('sub_a', { fromSeq: end + 1, maxMessages: 10 })).toEqual([]);
  });

  test('is read by bytes, one entry at least however large', async () => {
    await fill('sub_a', ['x'.repeat(100_000), 'y'.repeat(1_000), 'z'.repeat(1_000)]);
    expect(await store.read('sub_a', { maxMessages: 10, maxBytes: 10 })).toHaveLength(1);
    expect(await store.read('sub_a', { fromSeq: 2, maxMessages: 10, maxBytes: 1_500 })).toHaveLength(2);
    expect(await store.read('sub_a', { maxMessages: 10, maxBytes: 1_000_000 })).toHaveLength(3);
  });

  test('takes the same message once', async () => {
    const first = await store.append('sub_a', bytes('1'), { msgId: 'same' });
    expect(first.duplicate).toBe(false);
    expect(await store.append('sub_a', bytes('1'), { msgId: 'same' })).toEqual({ seq: first.seq, duplicate: true });
    expect(await store.count('sub_a')).toBe(1);
  });

  test('loses what is removed, in any order, also when it is removed twice or was never there', async () => {
    const seqs = await fill('sub_a', numbers(5));
    const [first = 0, , third = 0] = seqs;
    await Promise.all([third, first, third, 999_999].map((seq) => store.remove(seq)));
    expect(texts(await store.read('sub_a', { maxMessages: 10 }))).toEqual(['1', '3', '4']);
    expect(await store.oldest('sub_a')).toMatchObject({ laneSeq: seqs[1], data: bytes('1') });
    expect(await store.count('sub_a')).toBe(3);
  });

  test('that is empty has no end, no oldest entry and no count, and leaves no trace', async () => {
    const seqs = await fill('sub_a', numbers(300));
    await Promise.all(seqs.map((seq) => store.remove(seq)));
    expect(await store.lastSeq('sub_a')).toBe(0);
    expect(await store.oldest('sub_a')).toBeUndefined();
    expect(await store.read('sub_a', { maxMessages: 10 })).toEqual([]);
    expect(await store.count('sub_a')).toBe(0);
    expect(await store.counts()).toEqual(new Map());
    const { state } = await bus.jsm.streams.info(bus.topology.streams.LANES);
    expect(state).toMatchObject({ messages: 0, consumer_count: 0 });
  });

  test('is purged as a whole', async () => {
    await Promise.all([fill('sub_a', numbers(20)), fill('sub_b', numbers(3))]);
    expect(await store.purge('sub_a')).toBe(20);
    expect(await store.counts()).toEqual(new Map([['sub_b', 3]]));
  });

  test('keeps what is on it over a crash of the broker, and removals go on until it is back', async () => {
    const seqs = await fill('sub_a', numbers(100));
    await nats.kill();
    const removing = Promise.all(seqs.slice(0, 50).map((seq) => store.remove(seq)));
    await expect(store.read('sub_a', { maxMessages: 10 })).rejects.toThrow(BusUnavailable);
    await nats.restart();
    await removing;
    expect(texts(await store.read('sub_a', { maxMessages: 100 }))).toEqual(numbers(100).slice(50));
  });
});

describe('ten thousand lanes', () => {
  /** In parts, so that the last ones do not wait for all others before their time to be stored is over. */
  async function fillEach(lanes: readonly string[], payloads: readonly string[]): Promise<void> {
    for (let from = 0; from < lanes.length; from += 2_000) {
      await Promise.all(lanes.slice(from, from + 2_000).map((lane) => fill(lane, payloads)));
    }
  }

  test('cost no consumer, are counted in one call, and are there again after a restart of the broker', async () => {
    const lanes = Array.from({ length: 10_000 }, (_, i) => `sub_${i}`);
    await fillEach(lanes, ['1', '2']);
    const beforeCount = performance.now();
    const counts = await store.counts();
    const countMs = performance.now() - beforeCount;
    expect(counts).toEqual(new Map(lanes.map((lane) => [lane, 2])));
    expect((await bus.jsm.streams.info(bus.topology.streams.LANES)).state.consumer_count).toBe(0);
    await nats.kill();
    const beforeRestart = performance.now();
    await nats.restart();
    const restartMs = performance.now() - beforeRestart;
    await expect(store.append('sub_0', bytes('3'), { msgId: 'after' })).resolves.toBeDefined();
    expect((await store.counts()).size).toBe(10_000);
    process.stderr.write(`10 000 lanes: counts() ${Math.round(countMs)} ms, restart ${Math.round(restartMs)} ms\n`);
  });

  test('and more than the broker tells at once are counted page by page', async () => {
    const lanes = Array.from({ length: 100_500 }, (_, i) => `sub_${i}`);
    await fillEach(lanes, ['1']);
    expect((await store.counts()).size).toBe(100_500);
  });
});
