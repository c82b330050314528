import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { makeSlots, type Slots } from '#bus/slots';
import { makeDoor, type Door, type Ticket, type Turn } from './door.ts';

let nowMs: number;
let slots: Slots;
let slow: Slots;
let door: Door;

beforeEach(() => {
  jest.useFakeTimers();
  nowMs = 0;
  slots = makeSlots(10);
  slow = makeSlots(2);
  door = makeDoor({ slow, now: () => nowMs });
});

afterEach(() => {
  door.close();
  jest.useRealTimers();
});

function pass(ms: number): void {
  nowMs += ms;
  jest.advanceTimersByTime(ms);
}

interface Guest {
  readonly isQueued: boolean;
  readonly entered: ReturnType<Door['enter']>;
}

function come(key = 'sub_a', share = 2): Guest {
  let isQueued = false;
  const entered = door.enter(key, share, slots, () => (isQueued = true));
  return { entered, isQueued };
}

function ticketOf({ entered }: Guest): Ticket {
  if (entered instanceof Promise || entered === 'full') throw new Error('no ticket at once');
  return entered;
}

async function turnOf({ entered }: Guest): Promise<Ticket | Turn> {
  return entered;
}

describe('the door', () => {
  test('lets as many in at once as the share allows, the others in the order in which they came', async () => {
    const [first, second] = [come(), come()].map(ticketOf);
    const waiting = [come(), come()];
    const order: number[] = [];
    waiting.forEach((guest, i) => void turnOf(guest).then(() => order.push(i)));
    expect(door.inFlight('sub_a')).toBe(2);
    expect(waiting.every(({ isQueued }) => isQueued)).toBe(true);
    second?.leave();
    await turnOf(waiting[0] ?? come());
    expect(order).toEqual([0]);
    first?.leave();
    await turnOf(waiting[1] ?? come());
    expect(order).toEqual([0, 1]);
  });

  test('gives those who wait in line no slot: one stuck subscription takes no more of a road than its share', () => {
    for (let i = 0; i < 6; i++) come();
    expect(slots.inUse()).toBe(2);
    expect(door.waiting()).toBe(4);
    expect(ticketOf(come('sub_b'))).toBeDefined();
  });

  test('lets the next one in when the request has ended, and keeps the slot until the attempt is settled', async () => {
    const ticket = ticketOf(come('sub_a', 1));
    const next = come('sub_a', 1);
    ticket.requestEnded();
    expect(await turnOf(next)).not.toBe('full');
    expect(slots.inUse()).toBe(2);
    ticket.leave();
    ticket.leave();
    expect(slots.inUse()).toBe(1);
    expect(door.inFlight('sub_a')).toBe(1);
  });

  test('has a line that moves, however long a burst is', async () => {
    const tickets = [come(), come()].map(ticketOf);
    const burst = Array.from({ length: 50 }, () => come());
    expect(burst.every(({ entered }) => entered !== 'full')).toBe(true);
    for (const ticket of tickets) ticket.leave();
    for (const guest of burst) {
      const turn = await turnOf(guest);
      if (typeof turn === 'string') throw new Error(turn);
      pass(1);
      turn.leave();
    }
    expect(door.waiting()).toBe(0);
  });

  test('is full when twice the share waits and its first has waited for 250 ms; the first of it stay', async () => {
    const tickets = [come(), come()].map(ticketOf);
    const line = Array.from({ length: 10 }, () => come());
    pass(200);
    expect(come().entered).not.toBe('full');
    pass(100);
    expect(await Promise.all(line.slice(4).map(turnOf))).toEqual(Array(6).fill('full'));
    expect(come().entered).toBe('full');
    tickets[0]?.leave();
    expect(await turnOf(line[0] ?? come())).not.toBe('full');
  });

  test('has only twice the share wait beside the others: who comes then keeps others from being pulled', () => {
    const guests = Array.from({ length: 10 }, () => come());
    const [inFlight, beside, inTheWay] = [guests.slice(0, 2), guests.slice(2, 6), guests.slice(6)];
    expect([...inFlight, ...inTheWay].some(({ isQueued }) => isQueued)).toBe(false);
    expect(beside.every(({ isQueued }) => isQueued)).toBe(true);
  });

  test('sends a line to the lane when its subscription goes there, and only that', async () => {
    for (const key of ['sub_a', 'sub_b']) for (let i = 0; i < 2; i++) come(key);
    const [a, b] = [come('sub_a'), come('sub_b')];
    door.sendToLane('sub_a');
    expect(await turnOf(a)).toBe('lane');
    door.close();
    expect(await turnOf(b)).toBe('closed');
  });

  test('sends everybody home when it closes, also those who have their turn but no slot', async () => {
    slots = makeSlots(1);
    const ticket = ticketOf(come('sub_a'));
    const withoutSlot = come('sub_b');
    door.close();
    ticket.leave();
    expect(await turnOf(withoutSlot)).toBe('closed');
    expect(await turnOf(come('sub_c'))).toBe('closed');
    expect(slots.inUse()).toBe(0);
  });

  test('counts requests that take longer than a second elsewhere, as far as there is room', () => {
    const tickets = ['a', 'b', 'c'].map((key) => ticketOf(come(key)));
    pass(1_200);
    expect([slots.inUse(), slow.inUse()]).toEqual([1, 2]);
    for (const ticket of tickets) ticket.leave();
    expect([slots.inUse(), slow.inUse()]).toEqual([0, 0]);
  });
});
