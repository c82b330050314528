import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import { readBackwards, type BackwardsRequest } from './read-backwards.ts';

let nats: TestNats;
let bus: TestBus;
let stream: string;
/** Of the rare tenant, in the order in which they were stored. */
const rare: { seq: number; atMs: number }[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  stream = bus.topology.streams.REGISTRY;
  const publish = (tenant: string, id: number) =>
    bus.publisher.publish(bus.topology.registrySubject(tenant, 'subscription', `sub_${id}`), Buffer.from(`${id}`));
  for (let part = 0; part < 4; part++) {
    const { seq } = await publish('rare', part);
    rare.push({ seq, atMs: Date.now() });
    await Promise.all(Array.from({ length: 1500 }, (_, i) => publish('busy', part * 1500 + i)));
  }
});

afterAll(async () => {
  await bus.close();
  await nats.stop();
});

const subjectOf = (tenant: string) => bus.topology.registrySubject(tenant, '*', '*');

async function read(request: Omit<BackwardsRequest, 'stream'>, limit = Infinity): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of readBackwards(bus, { stream, ...request })) {
    seqs.push(seq);
    if (seqs.length === limit) break;
  }
  return seqs;
}

describe('reading a stream backwards', () => {
  test('gives every message of a subject once, newest first, however many there are of it or of others', async () => {
    expect(await read({ subject: subjectOf('rare') })).toEqual(rare.map(({ seq }) => seq).toReversed());
    const busy = await read({ subject: subjectOf('busy') });
    expect(busy).toHaveLength(6000);
    expect(busy).toEqual(busy.toSorted((a, b) => b - a));
    expect(await read({ subject: subjectOf('*') })).toHaveLength(6004);
  });

  test('goes on before a sequence, or before an instant, and ends where it is told to', async () => {
    const [first = 0, second = 0, third = 0] = rare.map(({ seq }) => seq);
    expect(await read({ subject: subjectOf('rare'), beforeSeq: third })).toEqual([second, first]);
    expect(await read({ subject: subjectOf('rare'), beforeSeq: first })).toEqual([]);
    const beforeMs = (rare[1]?.atMs ?? 0) + 1;
    expect(await read({ subject: subjectOf('rare'), beforeMs })).toEqual([second, first]);
    expect(await read({ subject: subjectOf('busy') }, 3)).toEqual([6004, 6003, 6002]);
  });

  test.each(['2262-04-12', '9999-12-31T23:59:59.999Z', '+275760-09-13'])(
    'before %s there is all, though the server counts nanoseconds in 64 bits',
    async (instant) => {
      const all = rare.map(({ seq }) => seq).toReversed();
      expect(await read({ subject: subjectOf('rare'), beforeMs: Date.parse(instant) })).toEqual(all);
    },
  );

  test.each(['-271821-04-20', '0000-01-01', '1677-09-20'])('before %s there is nothing', async (instant) => {
    expect(await read({ subject: subjectOf('rare'), beforeMs: Date.parse(instant) })).toEqual([]);
  });

  test('of a subject without messages there is nothing', async () => {
    expect(await read({ subject: subjectOf('nobody') })).toEqual([]);
    expect(await read({ subject: subjectOf('rare'), beforeMs: 0 })).toEqual([]);
  });

  test('says that the broker is away, at the first question and at a later one', async () => {
    const away = await bus.another();
    await away.close();
    const request = { stream, subject: subjectOf('rare'), beforeMs: Date.now() };
    await expect(readBackwards(away, request).next()).rejects.toThrow(BusUnavailable);
    const jsm = { streams: bus.jsm.streams, direct: away.jsm.direct } as unknown as typeof bus.jsm;
    await expect(readBackwards({ nc: bus.nc, jsm }, request).next()).rejects.toThrow(BusUnavailable);
  });
});
