import { expect, test } from '@jest/globals';
import { makeSlots } from './slots.ts';

test('makeSlots lets as many in as it has and the next one when one leaves, in order of arrival', async () => {
  const slots = makeSlots(2);
  const order: string[] = [];
  await slots.acquire();
  await slots.acquire();
  const third = slots.acquire().then(() => order.push('third'));
  const fourth = slots.acquire().then(() => order.push('fourth'));
  await Promise.resolve();
  expect(order).toEqual([]);
  slots.release();
  await third;
  expect(order).toEqual(['third']);
  slots.release();
  await fourth;
  slots.release();
  slots.release();
  expect(slots.inUse()).toBe(0);
});
