import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { consumeEach, type Consuming } from './consume.ts';
import { scheduleRetry } from './schedule.ts';

interface Fired {
  readonly payload: string;
  readonly atMs: number;
  readonly subject: string;
}

let nats: TestNats;
let bus: TestBus;
let consumings: Consuming[];
const fired: Fired[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  consumings = bus.topology.consumers.retry.map((consumer) =>
    consumeEach(bus, { stream: bus.topology.streams.RETRIES, consumer, slots: 4 }, (message) => {
      fired.push({ payload: new TextDecoder().decode(message.data), atMs: Date.now(), subject: message.subject });
      message.ack();
      return Promise.resolve();
    }),
  );
});

afterAll(async () => {
  await Promise.all(consumings.map((consuming) => consuming.stop()));
  await bus.close();
  await nats.stop();
});

const storedCount = async (): Promise<number> =>
  (await bus.jsm.streams.info(bus.topology.streams.RETRIES)).state.messages;

function schedule(delivery: string, attempt: number, atMs: number): Promise<void> {
  const payload = new TextEncoder().encode(`${delivery}:${attempt}@${atMs}`);
  return scheduleRetry(bus, { atMs, subscription: 'sub_a', delivery, eventSeq: 1, attempt, payload });
}

describe('scheduleRetry', () => {
  test('fires every retry once, on the road of its subscription, never early, and leaves nothing behind', async () => {
    const start = Date.now();
    await Promise.all(Array.from({ length: 200 }, (_, i) => schedule(`dlv_${i}`, 2, start + 200 + i * 5)));
    await eventually(() => fired.length >= 200);
    await eventually(async () => (await storedCount()) === 0);
    expect(new Set(fired.map(({ payload }) => payload)).size).toBe(200);
    expect(fired).toHaveLength(200);
    for (const { payload, atMs, subject } of fired) {
      expect(subject).toBe(bus.topology.retryDueSubject('sub_a'));
      expect(atMs).toBeGreaterThanOrEqual(Number(payload.split('@')[1]));
    }
  });

  test('takes the same attempt again as a duplicate, and the next one as a replacement', async () => {
    fired.length = 0;
    const start = Date.now();
    await schedule('dlv_x', 2, start + 800);
    await schedule('dlv_x', 2, start + 900);
    await schedule('dlv_y', 2, start + 60_000);
    await schedule('dlv_y', 3, start + 800);
    await eventually(() => fired.length >= 2);
    await eventually(async () => (await storedCount()) === 0);
    expect(fired.map(({ payload }) => payload).toSorted()).toEqual([
      `dlv_x:2@${start + 800}`,
      `dlv_y:3@${start + 800}`,
    ]);
  });

  test('fires after a crash of the server, both what became due meanwhile and what did not', async () => {
    fired.length = 0;
    const start = Date.now();
    await Promise.all(Array.from({ length: 40 }, (_, i) => schedule(`dlv_c${i}`, 2, start + (i < 20 ? 100 : 3_000))));
    await nats.kill();
    await nats.restart();
    await eventually(() => new Set(fired.map(({ payload }) => payload)).size === 40);
    for (const { payload, atMs } of fired) expect(atMs).toBeGreaterThanOrEqual(Number(payload.split('@')[1]));
  });
});
