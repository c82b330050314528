import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable } from './bus-errors.ts';
import { followStream } from './follow.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

let nats: TestNats;
let bus: TestBus;

beforeAll(async () => {
  nats = await startNats();
});

afterAll(async () => {
  await nats.stop();
});

beforeEach(async () => {
  bus = await makeTestBus(nats.url);
});

afterEach(async () => {
  await bus.close();
});

async function append(from: number, count: number): Promise<void> {
  const subject = bus.topology.journalSubject('acme', 'matched');
  const numbers = Array.from({ length: count }, (_, i) => from + i);
  await Promise.all(numbers.map((n) => bus.publisher.publish(subject, bytes(`${n}`), { timeoutMs: 15_000 })));
}

const journal = (): { stream: string } => ({ stream: bus.topology.streams.JOURNAL });

describe('followStream', () => {
  test('folds what was there and what comes, in order, and is live once it has caught up', async () => {
    await append(0, 1000);
    const seen: number[] = [];
    const following = followStream(bus, journal(), ({ data }) => seen.push(Number(text(data))));
    expect(following.isLive()).toBe(false);
    await following.catchUp();
    expect(seen).toHaveLength(1000);
    expect(following.position()).toBe(1000);
    expect(following.isLive()).toBe(true);
    await append(1000, 1000);
    await following.catchUp();
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, i) => i));
    await following.stop();
    expect(following.isLive()).toBe(false);
  });

  test('catches up on an empty stream, and on a subject that is not the last one written', async () => {
    const following = followStream(
      bus,
      { ...journal(), subject: bus.topology.journalSubject('acme', '*') },
      () => undefined,
    );
    await following.catchUp();
    await append(0, 3);
    await bus.publisher.publish(bus.topology.journalSubject('other', 'matched'), bytes('x'));
    await following.catchUp();
    expect(following.position()).toBe(3);
    await following.stop();
  });

  test('can begin with the newest message of every subject, and follows all from there', async () => {
    const { topology, publisher } = bus;
    const say = (kind: string, data: string) => publisher.publish(topology.journalSubject('newest', kind), bytes(data));
    for (const [kind, data] of [
      ['a', '1'],
      ['b', '1'],
      ['a', '2'],
    ] as const)
      await say(kind, data);
    const seen: string[] = [];
    const subject = topology.journalSubject('newest', '*');
    const following = followStream(bus, { ...journal(), subject, from: 'last-per-subject' }, (message) => {
      seen.push(`${message.subject.split('.').at(-1)}${text(message.data)}`);
    });
    await eventually(() => seen.length === 2);
    await say('a', '3');
    await say('a', '4');
    await eventually(() => seen.length === 4);
    expect(seen).toEqual(['b1', 'a2', 'a3', 'a4']);
    await following.stop();
  });

  test('leaves out a record that cannot be folded, and goes on', async () => {
    const seen: string[] = [];
    const following = followStream(bus, journal(), ({ data }) => {
      if (text(data) === '1') throw new Error('poison');
      seen.push(text(data));
    });
    await append(0, 3);
    await following.catchUp();
    expect(seen).toEqual(['0', '2']);
    await following.stop();
  });

  test('goes on after crashes of the server without a gap and without a repetition', async () => {
    const seen: number[] = [];
    const following = followStream(bus, journal(), ({ data }) => seen.push(Number(text(data))));
    for (let round = 0; round < 3; round++) {
      await append(round * 200, 100);
      await following.catchUp();
      await nats.kill();
      await eventually(() => !following.isLive());
      const meanwhile = append(round * 200 + 100, 100);
      await nats.restart();
      await meanwhile;
      await following.catchUp(15_000);
      await eventually(() => following.isLive());
    }
    expect(seen).toHaveLength(600);
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 600 }, (_, i) => i));
    await following.stop();
  });

  test('says so in time when it cannot catch up', async () => {
    const following = followStream(bus, journal(), () => undefined);
    await following.catchUp();
    await nats.halt();
    await expect(following.catchUp(300)).rejects.toThrow(BusUnavailable);
    await nats.restart();
    await following.catchUp(15_000);
    await following.stop();
  });

  test('says so in time when the leader cannot even be asked', async () => {
    const closed = await bus.another();
    const following = followStream(closed, { stream: closed.topology.streams.JOURNAL }, () => undefined);
    await following.catchUp();
    await closed.close();
    await expect(following.catchUp(300)).rejects.toThrow(BusUnavailable);
    await following.stop();
  });
});
