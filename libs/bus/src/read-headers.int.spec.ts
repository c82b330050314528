import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { consumeEach } from './consume.ts';
import { makeEventReader } from './event-reader.ts';
import { EncodedHeaders } from './publish-wire.ts';
import { readBatch } from './read-batch.ts';

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

/** nats-server stores any bytes as headers; the client throws when it reads these. */
async function storeWith(headerLine: string, subject: string): Promise<number> {
  const headers = new EncodedHeaders(Buffer.from(`NATS/1.0\r\n${headerLine}\r\n\r\n`));
  return (await bus.nc.request(subject, '{}', { headers, timeout: 30_000 })).json<{ seq: number }>().seq;
}

const UNREADABLE = [
  ['a blank in a name', 'a b: c'],
  ['a line feed in a value', 'a: b\nc'],
];

test.each(UNREADABLE)('a message with %s is handled, without headers, and so is what follows', async (_what, line) => {
  const subject = bus.topology.journalSubject('acme', 'verdict');
  const handled: (string | undefined)[] = [];
  const { streams, consumers } = bus.topology;
  const target = { stream: streams.JOURNAL, consumer: consumers.verdicts, slots: 1 };
  const consuming = consumeEach(bus, target, async (message) => {
    handled.push(message.headers?.get('x'));
    message.ack();
  });
  await storeWith(line, subject);
  await storeWith('x: readable', subject);
  await eventually(() => handled.length === 2);
  expect(handled).toEqual([undefined, 'readable']);
  await consuming.stop();
});

test.each(UNREADABLE)('an event with %s is read without headers, and in a batch', async (_what, line) => {
  const subject = bus.topology.eventSubject('acme', 'x');
  const seq = await storeWith(line, subject);
  const event = await makeEventReader(bus)(seq);
  expect(event?.payload).toEqual(new Uint8Array(Buffer.from('{}')));
  expect([...(event?.headers ?? [])]).toEqual([]);

  const batch = await readBatch(bus.nc, {
    stream: bus.topology.streams.EVENTS,
    subject: '>',
    fromSeq: seq,
    maxMessages: 1,
  });
  expect(batch.map((message) => message.seq)).toEqual([seq]);
});
