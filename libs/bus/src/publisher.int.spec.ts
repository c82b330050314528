import type { NatsConnection } from '@nats-io/nats-core';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, silentLogger, type TestBus } from '#testkit/test-bus';
import { BusUnavailable, MessageTooLarge, PublishRefused, WrongLastSequence } from './bus-errors.ts';
import type { PublishAck } from './publish-wire.ts';
import { makePublisher } from './publisher.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

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

const storedCount = async (stream: string): Promise<number> => (await bus.jsm.streams.info(stream)).state.messages;

describe('publish', () => {
  test('answers the sequence, and that of the first for the same id again', async () => {
    const subject = bus.topology.eventSubject('acme', 'com.example.x');
    const first = await bus.publisher.publish(subject, bytes('1'), { msgId: 'same' });
    expect(first.duplicate).toBe(false);
    expect(await bus.publisher.publish(subject, bytes('1'), { msgId: 'same' })).toEqual({
      seq: first.seq,
      duplicate: true,
    });
  });

  test('stores headers and payload as given', async () => {
    const subject = bus.topology.eventSubject('acme', 'com.example.y');
    const headers = [
      ['ce-id', 'Ä%20'],
      ['content-type', 'application/json'],
    ] as const;
    const { seq } = await bus.publisher.publish(subject, bytes('{}'), { headers });
    const stored = await bus.jsm.streams.getMessage(bus.topology.streams.EVENTS, { seq });
    expect(bus.topology.publishedEventSubject(stored?.subject ?? '')).toBe(subject);
    expect(stored?.string()).toBe('{}');
    expect(stored?.header.get('ce-id')).toBe('Ä%20');
    expect(stored?.header.get('content-type')).toBe('application/json');
  });

  test('refuses a write to a subject that somebody else wrote to, and says so', async () => {
    const subject = bus.topology.registrySubject('acme', 'tenant', 'acme');
    const { seq } = await bus.publisher.publish(subject, bytes('{}'), { expectedLastSubjectSeq: 0 });
    const stale = bus.publisher.publish(subject, bytes('{}'), { expectedLastSubjectSeq: 0 });
    await expect(stale).rejects.toThrow(WrongLastSequence);
    await expect(bus.publisher.publish(subject, bytes('{}'), { expectedLastSubjectSeq: seq })).resolves.toBeDefined();
  });

  test('refuses a write when somebody wrote to another subject that it depends on, and only then', async () => {
    const [one, other, foreign] = ['a.signingkey.1', 'a.signingkey.2', 'b.signingkey.1'].map((path) => {
      const [tenant = '', kind = '', id = ''] = path.split('.');
      return bus.topology.registrySubject(tenant, kind, id);
    }) as [string, string, string];
    const expectedLastSubject = bus.topology.registrySubject('a', 'signingkey', '*');
    const write = (subject: string, expectedLastSubjectSeq: number) =>
      bus.publisher.publish(subject, bytes('{}'), { expectedLastSubjectSeq, expectedLastSubject });
    const { seq } = await write(one, 0);
    await bus.publisher.publish(foreign, bytes('{}'));
    await expect(write(other, 0)).rejects.toThrow(WrongLastSequence);
    const { seq: newest } = await write(other, seq);
    await expect(write(one, seq)).rejects.toThrow(WrongLastSequence);
    await expect(write(one, newest)).resolves.toBeDefined();
  });

  test('recognises its own first try although the expectation no longer holds', async () => {
    const subject = bus.topology.registrySubject('acme', 'tenant', 'retry');
    const options = { msgId: 'once', expectedLastSubjectSeq: 0 };
    const { seq } = await bus.publisher.publish(subject, bytes('{}'), options);
    expect(await bus.publisher.publish(subject, bytes('{}'), options)).toEqual({ seq, duplicate: true });
  });

  test('refuses what the server would cut the connection for', async () => {
    const tooMuch = new Uint8Array((bus.nc.info?.max_payload ?? 0) + 1);
    await expect(bus.publisher.publish(bus.topology.eventSubject('a', 'x'), tooMuch)).rejects.toThrow(MessageTooLarge);
  });

  test('does not try again what can never work', async () => {
    const { at } = bus.topology.probeSubjects('bad');
    const bad = bus.publisher.publish(at, bytes(''), { headers: [['Nats-Schedule', '@at yesterday']] });
    await expect(bad).rejects.toThrow(PublishRefused);
  });

  test('goes on trying until its deadline when no stream has the subject', async () => {
    const start = performance.now();
    await expect(bus.publisher.publish('no.such.stream', bytes(''), { timeoutMs: 300 })).rejects.toThrow(
      BusUnavailable,
    );
    expect(performance.now() - start).toBeGreaterThanOrEqual(290);
    expect(bus.publisher.pending()).toBe(0);
  });

  test('keeps more than a window of messages in order of publishing', async () => {
    const acks = await Promise.all(
      Array.from({ length: 5000 }, (_, i) =>
        bus.publisher.publish(bus.topology.journalSubject('acme', 'matched'), bytes(`${i}`)),
      ),
    );
    const seqs = acks.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    expect(await storedCount(bus.topology.streams.JOURNAL)).toBe(5000);
  });

  test('does not take its own first try, whose answer was lost, for a duplicate', async () => {
    let lostCount = 0;
    const deaf = Object.create(bus.nc) as NatsConnection;
    deaf.subscribe = (subject, options) =>
      bus.nc.subscribe(subject, {
        ...options,
        callback: (error, message) => void (lostCount++ === 0 || options?.callback?.(error, message)),
      });
    const publisher = makePublisher(deaf, silentLogger);
    const subject = bus.topology.eventSubject('acme', 'com.example.z');
    const sent = publisher.publish(subject, bytes('1'), { msgId: 'answer lost' });
    await eventually(() => lostCount === 1);
    publisher.resend();
    const { seq, duplicate } = await sent;
    expect(duplicate).toBe(false);
    expect(await publisher.publish(subject, bytes('1'), { msgId: 'answer lost' })).toEqual({ seq, duplicate: true });
    publisher.close();
  });

  test('survives a crash of the server: nothing acknowledged is lost, nothing is stored twice', async () => {
    const stream = bus.topology.streams.DELIVERIES;
    const acks: PublishAck[] = [];
    let next = 0;
    let isOver = false;
    const publishing = Array.from({ length: 64 }, async () => {
      while (!isOver) {
        const n = next++;
        const ack = await bus.publisher.publish(bus.topology.deliverSubject(`s${n % 100}`), bytes(`${n}`), {
          msgId: `m${n}`,
        });
        acks.push(ack);
      }
    });
    await eventually(() => acks.length > 3000);
    await nats.kill();
    const before = acks.length;
    await nats.restart();
    await eventually(() => acks.length > before + 3000);
    isOver = true;
    await Promise.all(publishing);
    expect(acks).toHaveLength(next);
    expect(await storedCount(stream)).toBe(next);
    expect(new Set(acks.map(({ seq }) => seq)).size).toBe(next);
  });

  test('rejects what is open when the connection is closed', async () => {
    const other = await bus.another();
    const open = other.publisher.publish('no.such.stream', bytes(''));
    await other.close();
    await expect(open).rejects.toThrow(BusUnavailable);
    await expect(other.publisher.publish('no.such.stream', bytes(''))).rejects.toThrow(BusUnavailable);
  });
});
