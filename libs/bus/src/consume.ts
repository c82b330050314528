import type { Bus } from './connection.ts';
import type { Delivered, TrackedDelivery } from './delivered.ts';
import { flush, makeHeld, settleWith } from './held.ts';
import { makePuller } from './puller.ts';
import { makeSlots, type Slots } from './slots.ts';

export interface Consuming {
  /** Stops pulling, waits for the handlers that run, gives back what none has begun, and flushes the acknowledgements. */
  stop(): Promise<void>;
  isAlive(): boolean;
}

export interface ConsumeEachOptions {
  readonly stream: string;
  readonly consumer: string;
  /** Handlers at once; a {@link Slots} may be shared by several consumers. */
  readonly slots: number | Slots;
  /** Messages kept waiting here for a slot. Default: as many as slots, at most 128. */
  readonly prefetch?: number;
}

export interface ConsumeBatchesOptions {
  readonly stream: string;
  readonly consumer: string;
  readonly maxMessages: number;
  /** How long a batch that is not full waits for others, from its first message or the end of the handler before it. */
  readonly maxWaitMs: number;
}

/**
 * Hands every message to `handler`, at most `slots` at once. The handler settles it; while it waits and runs, its ack wait is
 * renewed. When the handler throws or forgets to settle, that is logged and the message comes back after a short wait:
 * poison has to be recognised by the handler ({@link Delivered.deliveryCount}).
 */
export function consumeEach(
  bus: Bus,
  { stream, consumer, slots: given, prefetch }: ConsumeEachOptions,
  handler: (message: Delivered) => Promise<void>,
): Consuming {
  const slots = typeof given === 'number' ? makeSlots(given) : given;
  const queue: TrackedDelivery[] = [];
  const running = new Set<Promise<void>>();
  const held = makeHeld(bus, stream, consumer);
  const puller = makePuller(bus, { stream, consumer, capacity: prefetch ?? Math.min(slots.size, 128) }, enqueue);
  let stopping = false;
  let isPumping = false;

  function enqueue(message: TrackedDelivery): void {
    if (stopping) {
      message.nak();
      return;
    }
    held.add(message);
    queue.push(message);
    if (!isPumping) void pump();
  }

  async function pump(): Promise<void> {
    isPumping = true;
    while (queue.length > 0) {
      // Without an await when it can be: what arrives together starts together, and its acknowledgements leave in one write.
      if (!slots.tryAcquire()) await slots.acquire();
      const message = stopping ? undefined : queue.shift();
      if (message === undefined) {
        slots.release();
        break;
      }
      puller.release(1);
      const work = settleWith(bus, [message], () => handler(message)).finally(() => {
        held.remove(message);
        running.delete(work);
        slots.release();
      });
      running.add(work);
    }
    isPumping = false;
  }

  return {
    isAlive: () => puller.isAlive(),
    async stop() {
      stopping = true;
      await puller.stop();
      for (const message of queue.splice(0)) message.nak();
      await Promise.all(running);
      held.stop();
      await flush(bus);
    },
  };
}

/**
 * Hands messages to `handler` in batches, one batch at a time: everything that waits, up to `maxMessages`. While a handler
 * runs the next batch gathers. The handler settles each message; throwing gives back those that it did not settle.
 */
export function consumeBatches(
  bus: Bus,
  { stream, consumer, maxMessages, maxWaitMs }: ConsumeBatchesOptions,
  handler: (messages: readonly Delivered[]) => Promise<void>,
): Consuming {
  const queue: TrackedDelivery[] = [];
  const held = makeHeld(bus, stream, consumer);
  const puller = makePuller(bus, { stream, consumer, capacity: maxMessages }, enqueue);
  let stopping = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function enqueue(message: TrackedDelivery): void {
    if (stopping) {
      message.nak();
      return;
    }
    held.add(message);
    queue.push(message);
    if (running !== undefined) return;
    if (queue.length >= maxMessages) start();
    else timer ??= setTimeout(start, maxWaitMs);
  }

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    if (running !== undefined) return;
    running = work().finally(() => {
      running = undefined;
      if (queue.length > 0 && !stopping) goOn();
    });
  }

  /** Waits here too: a consumer that is behind would otherwise be so with many small batches. */
  function goOn(): void {
    if (queue.length >= maxMessages || maxWaitMs === 0) start();
    else timer ??= setTimeout(start, maxWaitMs);
  }

  async function work(): Promise<void> {
    const batch = queue.splice(0, maxMessages);
    puller.release(batch.length);
    await settleWith(bus, batch, () => handler(batch));
    for (const message of batch) held.remove(message);
  }

  return {
    isAlive: () => puller.isAlive(),
    async stop() {
      stopping = true;
      clearTimeout(timer);
      await puller.stop();
      for (const message of queue.splice(0)) message.nak();
      await running;
      held.stop();
      await flush(bus);
    },
  };
}
