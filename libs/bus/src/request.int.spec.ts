import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { BusUnavailable, RequestFailed } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { askAll, request, serve } from './request.ts';

let nats: TestNats;
let bus: TestBus;
let other: Bus;

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url, { ensure: false });
  other = await bus.another();
});

afterAll(async () => {
  await bus.close();
  await nats.stop();
});

const queue = 'signer';

describe('request', () => {
  test('says at once that nobody serves', async () => {
    // Not when the time is over: that is after the end of this test.
    const asked = request(bus, bus.topology.signSubject, new Uint8Array(), 600_000);
    await expect(asked).rejects.toThrow(BusUnavailable);
  });

  test('is answered by one of those who serve, and work is shared', async () => {
    const counts = [0, 0];
    const servings = [bus, other].map((each, i) =>
      serve(each, { subject: 'echo', queue }, (payload) => {
        counts[i] = (counts[i] ?? 0) + 1;
        return Promise.resolve(payload.toReversed());
      }),
    );
    await Promise.all([bus.nc.flush(), other.nc.flush()]);
    for (let i = 0; i < 50; i++) {
      expect(await request(bus, 'echo', new Uint8Array([1, 2]), 30_000)).toEqual(new Uint8Array([2, 1]));
    }
    expect(counts.reduce((a, b) => a + b)).toBe(50);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    await Promise.all(servings.map((serving) => serving.stop()));
  });

  test('tells the asker that it failed, and not why', async () => {
    const serving = serve(bus, { subject: 'fails', queue }, () => Promise.reject(new Error('the master key is 123')));
    await bus.nc.flush();
    const failed = await request(other, 'fails', new Uint8Array(), 30_000).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RequestFailed);
    expect(String(failed)).not.toContain('123');
    await serving.stop();
  });

  test('is no question when its answer would go elsewhere than to an inbox', async () => {
    const heard: string[] = [];
    const serving = serve(bus, { subject: 'asked', queue }, (payload) => {
      heard.push(Buffer.from(payload).toString());
      return Promise.resolve(payload);
    });
    await bus.nc.flush();
    other.nc.publish('asked', 'for nobody');
    other.nc.publish('asked', 'for a stream', { reply: 'registry.acme.apikey.key_x' });
    other.nc.publish('asked', 'from a consumer', { reply: '$JS.ACK.EVENTS.matcher-0.1.1.1.1.0' });
    expect(await request(other, 'asked', Buffer.from('a question'), 30_000)).toEqual(
      new Uint8Array(Buffer.from('a question')),
    );
    expect(heard).toEqual(['a question']);
    await serving.stop();
  });

  test('ends when the time is over', async () => {
    const serving = serve(bus, { subject: 'slow', queue }, () => new Promise(() => undefined));
    await bus.nc.flush();
    await expect(request(other, 'slow', new Uint8Array(), 100)).rejects.toThrow(/within 100 ms/);
    void serving;
  });

  test('gets its answer although the server of it is stopping', async () => {
    const gate = Promise.withResolvers<void>();
    let begun = false;
    const serving = serve(bus, { subject: 'last', queue }, async (payload) => {
      begun = true;
      await gate.promise;
      return payload;
    });
    await bus.nc.flush();
    const answer = request(other, 'last', new Uint8Array([7]), 30_000);
    await eventually(() => begun);
    const stopped = serving.stop();
    gate.resolve();
    await stopped;
    expect(await answer).toEqual(new Uint8Array([7]));
  });
});

describe('askAll', () => {
  test('collects the answers of all who serve, without those who fail', async () => {
    const third = await bus.another();
    const answer = (n: number) => () => Promise.resolve(new Uint8Array([n]));
    const servings = [
      serve(bus, { subject: 'all' }, answer(1)),
      serve(other, { subject: 'all' }, answer(2)),
      serve(third, { subject: 'all' }, () => Promise.reject(new Error('a fault of the handler'))),
    ];
    await Promise.all([bus, other, third].map(({ nc }) => nc.flush()));
    const answers = await askAll(bus, 'all', new Uint8Array(), { waitMs: 30_000, expected: 3 });
    expect(new Set(answers.map(([n]) => n))).toEqual(new Set([1, 2]));
    expect(answers).toHaveLength(2);
    await Promise.all(servings.map((serving) => serving.stop()));
  });

  test('waits as long as it was told for those who may still answer', async () => {
    const servings = [
      serve(bus, { subject: 'some' }, (payload) => Promise.resolve(payload)),
      serve(other, { subject: 'some' }, () => new Promise(() => undefined)),
    ];
    await Promise.all([bus, other].map(({ nc }) => nc.flush()));
    const start = performance.now();
    expect(await askAll(bus, 'some', new Uint8Array([7]), { waitMs: 2_000 })).toEqual([new Uint8Array([7])]);
    expect(performance.now() - start).toBeGreaterThan(1_990);
    await servings[0]?.stop();
  });

  test('is over at once when nobody serves', async () => {
    // Not when the time is over: that is after the end of this test.
    expect(await askAll(bus, 'nobody', new Uint8Array(), { waitMs: 600_000 })).toEqual([]);
  });
});
