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
  /** Bytes of a batch, and of those that gather meanwhile, as in {@link PullerOptions.capacityBytes}. Default: no bound. */
  readonly maxBytes?: number;
  /** While more than this goes on beside the batches ({@link Detached}), no other batch begins. Default: no bound. */
  readonly maxDetached?: { readonly messages: number; readonly bytes: number };
  /** How long a batch that is not full waits for others, from its first message or the end of the handler before it. */
  readonly maxWaitMs: number;
}

/**
 * A message that its batch does not wait for. It is held like the others, its ack wait renewed, until `work` has ended; then
 * it must be settled.
 */
export interface Detached {
  readonly message: Delivered;
  readonly work: Promise<void>;
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
      puller.release(1, message.bytes);
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

export interface ConsumeAtOnceOptions {
  readonly stream: string;
  readonly consumer: string;
  /** Messages whose handler has not said that it goes on, at most. */
  readonly prefetch: number;
}

/**
 * Hands every message to `handler` as soon as it is here. Whom it serves first is the handler's affair; by `goOn` it says
 * that the message is not in the way of others any more, and only then is there room for another one. Settling and
 * failing are as with {@link consumeEach}.
 */
export function consumeAtOnce(
  bus: Bus,
  { stream, consumer, prefetch }: ConsumeAtOnceOptions,
  handler: (message: Delivered, goOn: () => void) => Promise<void>,
): Consuming {
  const running = new Set<Promise<void>>();
  const held = makeHeld(bus, stream, consumer);
  const puller = makePuller(bus, { stream, consumer, capacity: prefetch }, take);
  let stopping = false;

  function take(message: TrackedDelivery): void {
    if (stopping) {
      message.nak();
      return;
    }
    held.add(message);
    let isWaiting = true;
    const goOn = (): void => {
      if (!isWaiting) return;
      isWaiting = false;
      puller.release(1, message.bytes);
    };
    const work = settleWith(bus, [message], () => handler(message, goOn)).finally(() => {
      goOn();
      held.remove(message);
      running.delete(work);
    });
    running.add(work);
  }

  return {
    isAlive: () => puller.isAlive(),
    async stop() {
      stopping = true;
      await puller.stop();
      await Promise.all(running);
      held.stop();
      await flush(bus);
    },
  };
}

/**
 * Hands messages to `handler` in batches, one batch at a time: everything that waits, up to `maxMessages`. While a handler
 * runs the next batch gathers. The handler settles each message but those that it answers as detached, which go on beside
 * the next batches; throwing gives back those that it did not settle.
 */
export function consumeBatches(
  bus: Bus,
  { stream, consumer, maxMessages, maxBytes, maxWaitMs, maxDetached }: ConsumeBatchesOptions,
  handler: (messages: readonly Delivered[]) => Promise<readonly Detached[] | void>,
): Consuming {
  const queue: TrackedDelivery[] = [];
  const held = makeHeld(bus, stream, consumer);
  const capacityBytes = maxBytes === undefined ? {} : { capacityBytes: maxBytes };
  const puller = makePuller(bus, { stream, consumer, capacity: maxMessages, ...capacityBytes }, enqueue);
  const detached = new Map<Delivered, Promise<void>>();
  let detachedBytes = 0;
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
    if (running !== undefined || isFull()) return;
    running = work().finally(() => {
      running = undefined;
      goOn();
    });
  }

  /** Waits here too: a consumer that is behind would otherwise be so with many small batches. */
  function goOn(): void {
    if (queue.length === 0 || stopping) return;
    if (queue.length >= maxMessages || maxWaitMs === 0) start();
    else timer ??= setTimeout(start, maxWaitMs);
  }

  async function work(): Promise<void> {
    const batch = queue.splice(0, maxMessages);
    puller.release(batch.length, bytesOf(batch));
    const waitedFor = new Set(batch);
    await settleWith(bus, waitedFor, async () => {
      const goingOn = new Map(((await handler(batch)) ?? []).map(({ message, work: own }) => [message, own]));
      for (const message of batch) {
        const own = goingOn.get(message);
        if (own !== undefined && waitedFor.delete(message)) detach(message, own);
      }
    });
    for (const message of waitedFor) held.remove(message);
  }

  function detach(message: TrackedDelivery, own: Promise<void>): void {
    detachedBytes += message.bytes;
    const ended = settleWith(bus, [message], () => own).finally(() => {
      held.remove(message);
      detached.delete(message);
      detachedBytes -= message.bytes;
      if (running === undefined) goOn();
    });
    detached.set(message, ended);
  }

  function isFull(): boolean {
    return maxDetached !== undefined && (detached.size >= maxDetached.messages || detachedBytes >= maxDetached.bytes);
  }

  return {
    isAlive: () => puller.isAlive(),
    async stop() {
      stopping = true;
      clearTimeout(timer);
      await puller.stop();
      for (const message of queue.splice(0)) message.nak();
      await running;
      await Promise.all(detached.values());
      held.stop();
      await flush(bus);
    },
  };
}

function bytesOf(messages: readonly TrackedDelivery[]): number {
  return messages.reduce((sum, { bytes }) => sum + bytes, 0);
}
