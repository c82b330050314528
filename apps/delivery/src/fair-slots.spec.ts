import { expect, test } from '@jest/globals';
import { makeFairSlots } from './fair-slots.ts';

async function turns(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test('who has none comes before all who have some, though these wait for longer (peers 6.5: one hundred slow sinks)', async () => {
  const slots = makeFairSlots(2);
  const order: string[] = [];
  const wait = (key: string): void => void slots.acquire(key).then(() => order.push(key));
  for (let i = 0; i < 4; i++) wait('slow');
  wait('quick');
  await turns();
  expect(order).toEqual(['slow', 'slow']);
  expect(slots.waiting()).toBe(3);
  slots.release('slow');
  await turns();
  expect(order).toEqual(['slow', 'slow', 'quick']);
});

test('nobody has more than its most, so that whoever has none need not wait for it', async () => {
  const slots = makeFairSlots(4, { mostOfOne: 2 });
  const order: string[] = [];
  const wait = (key: string, name: string): void => void slots.acquire(key).then(() => order.push(name));
  for (const name of ['a1', 'a2', 'a3', 'a4', 'b1']) wait(name.charAt(0), name);
  await turns();
  expect(order).toEqual(['a1', 'a2', 'b1']);
  slots.release('b');
  wait('c', 'c1');
  await turns();
  expect(order).toEqual(['a1', 'a2', 'b1', 'c1']);
  slots.release('a');
  slots.release('a');
  await turns();
  expect(order).toEqual(['a1', 'a2', 'b1', 'c1', 'a3', 'a4']);
  expect(slots.waiting()).toBe(0);
});

test('among those that have some, each has its turn, its own oldest first; nothing is left over', async () => {
  const slots = makeFairSlots(2);
  const order: string[] = [];
  const wait = (key: string, name: string): void => void slots.acquire(key).then(() => order.push(name));
  for (const name of ['a1', 'b1', 'a2', 'a3', 'b2', 'b3']) wait(name.charAt(0), name);
  for (const key of ['a', 'b', 'a', 'b', 'a', 'b']) {
    await turns();
    slots.release(key);
  }
  await turns();
  expect(order).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3']);
  expect(slots.waiting()).toBe(0);
  await Promise.all([slots.acquire('c'), slots.acquire('d')]);
});
