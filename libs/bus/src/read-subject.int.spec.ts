import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { NatsConnectionImpl } from '@nats-io/nats-core/internal';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { readSubject } from './read-subject.ts';

const COUNT = 1201;
let nats: TestNats;
let bus: TestBus;
let stream: string;
let subject: string;
let lastSeq: number;

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  stream = bus.topology.streams.REGISTRY;
  const subjectOf = (id: string) => bus.topology.registrySubject('acme', 'subscription', id);
  subject = subjectOf('sub_1');
  const publish = (to: string, text: string) => bus.publisher.publish(to, Buffer.from(text));
  const [acks] = await Promise.all([
    Promise.all(Array.from({ length: COUNT }, (_, i) => publish(subject, `${i}`))),
    Promise.all(Array.from({ length: COUNT }, (_, i) => publish(subjectOf(`sub_other_${i}`), 'another'))),
  ]);
  lastSeq = acks.at(-1)?.seq ?? 0;
});

afterAll(async () => {
  await bus.close();
  await nats.stop();
});

describe('reading a subject', () => {
  test('gives every message of it once, oldest first, however many reads that takes', async () => {
    const messages = await readSubject(bus, { stream, subject, lastSeq });
    expect(messages.map((data) => Number(Buffer.from(data)))).toEqual(Array.from({ length: COUNT }, (_, i) => i));
  });

  test('leaves nothing open on the connection, which lives as long as the process', async () => {
    const open = () => (bus.nc as NatsConnectionImpl).protocol.subscriptions.size();
    const before = open();
    await readSubject(bus, { stream, subject, lastSeq });
    expect(open()).toBe(before);
  });
});
