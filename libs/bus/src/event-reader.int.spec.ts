import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import { makeEventReader } from './event-reader.ts';

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

async function store(size: number): Promise<number> {
  const subject = bus.topology.eventSubject('acme', 'com.example.x');
  const ack = await bus.publisher.publish(subject, new Uint8Array(size), { headers: [['ce-id', 'Ä 1']] });
  return ack.seq;
}

describe('makeEventReader', () => {
  test('reads subject, headers, bytes and instant of an event', async () => {
    const seq = await store(5000);
    const event = await makeEventReader(bus)(seq);
    expect(event?.subject).toBe(bus.topology.eventSubject('acme', 'com.example.x'));
    expect(event?.headers.get('ce-id')).toBe('Ä 1');
    expect(event?.payload).toEqual(new Uint8Array(5000));
    expect(Math.abs(Date.now() - (event?.timestampMs ?? 0))).toBeLessThan(60_000);
  });

  test('answers undefined for an event that is not there (any more)', async () => {
    expect(await makeEventReader(bus)(999_999)).toBeUndefined();
  });

  test('reads an event once for all who ask at once, and keeps the latest by size', async () => {
    const [a, b, c] = [await store(5000), await store(5000), await store(5000)];
    let reads = 0;
    const direct = bus.jsm.direct;
    const counting = {
      ...bus.jsm,
      streams: bus.jsm.streams,
      direct: {
        getMessage: (...args: Parameters<typeof direct.getMessage>) => {
          reads++;
          return direct.getMessage(...args);
        },
      },
    } as unknown as typeof bus.jsm;
    const read = makeEventReader({ ...bus, jsm: counting }, { cacheBytes: 13_000 });
    await Promise.all([read(a), read(a), read(a)]);
    expect(reads).toBe(1);
    await read(b);
    await read(a);
    expect(reads).toBe(2);
    await read(c);
    await read(a);
    expect(reads).toBe(3);
    await read(b);
    expect(reads).toBe(4);
  });

  test('says that the broker is away, which is not the same as an event that is gone', async () => {
    const other = await bus.another();
    await other.close();
    await expect(makeEventReader(other)(1)).rejects.toThrow(BusUnavailable);
  });
});
