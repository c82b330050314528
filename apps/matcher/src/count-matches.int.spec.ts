import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { DeliveryId, SubscriptionId } from '#core/ids';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { makeCountMatch } from './count-matches.ts';

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

const deliveries = (subscription: string, count: number): DeliveryId[] =>
  Array.from({ length: count }, (_, i) => `dlv_${subscription}_${i}` as DeliveryId);

describe('counting matches', () => {
  test('numbers the matches of several matchers without a gap or a repetition', async () => {
    const [one, other] = [makeCountMatch(bus), makeCountMatch(await bus.another())];
    const id = 'sub_shared' as SubscriptionId;
    const all = deliveries(id, 500);
    const numbers = await Promise.all(all.map((delivery, i) => (i % 2 === 0 ? one : other)(id, delivery)));
    expect([...numbers].sort((a, b) => a - b)).toEqual(all.map((_, i) => i + 1));
  });

  test('gives a match the number that it had, when it is matched again after a crash', async () => {
    const id = 'sub_again' as SubscriptionId;
    const all = deliveries(id, 20);
    const count = makeCountMatch(bus);
    const before = await Promise.all(all.map((delivery) => count(id, delivery)));
    const restarted = makeCountMatch(await bus.another());
    expect(await Promise.all(all.map((delivery) => restarted(id, delivery)))).toEqual(before);
    expect(await restarted(id, 'dlv_next' as DeliveryId)).toBe(21);
  });

  test('counts each subscription for itself', async () => {
    const count = makeCountMatch(bus);
    expect(await count('sub_a' as SubscriptionId, 'dlv_a' as DeliveryId)).toBe(1);
    expect(await count('sub_b' as SubscriptionId, 'dlv_b' as DeliveryId)).toBe(1);
  });
});
