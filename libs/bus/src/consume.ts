import type { Bus } from './connection.ts';
import type { Delivered, TrackedDelivery } from './delivered.ts';
import { flush, makeHeld, settleWith, type Held } from './held.ts';
import { makePuller, type Puller } from './puller.ts';
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
  /** Of several, each has its turn in a batch: one message of each that has any. */
  readonly consumer: string | readonly string[];
  readonly maxMessages: number;
  /**
   * Bytes of a batch, and of those that gather meanwhile, as in {@link PullerOptions.capacityBytes}; of several consumers the
   * largest message that the server takes may gather for each. Default: no bound.
   */
  readonly maxBytes?: number;
  /**
   * While more than this goes on beside the batches ({@link Detached}), no other batch begins. Of several consumers none may
   * have more of it than is left, so that there is room for others. Default: no bound.
   */
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

/** What one of the consumers of {@link consumeBatches} has here. */
interface Line {
  readonly queue: TrackedDelivery[];
  readonly held: Held;
  readonly puller: Puller;
  readonly detached: Load;
}

interface Load {
  messages: number;
  bytes: number;
}

/**
 * Hands messages to `handler` in batches, one batch at a time: everything that waits, up to `maxMessages`. While a handler
 * runs the next batch gathers. The handler settles each message but those that it answers as detached, which go on beside
 * the next batches; throwing gives back those that it did not settle.
 */
export function consumeBatches(
  bus: Bus,
  { stream, consumer, maxMessages, maxBytes = Infinity, maxWaitMs, maxDetached }: ConsumeBatchesOptions,
  handler: (messages: readonly Delivered[]) => Promise<readonly Detached[] | void>,
): Consuming {
  const consumers = typeof consumer === 'string' ? [consumer] : consumer;
  const capacityBytes = maxBytes === Infinity ? {} : { capacityBytes: maxBytes / consumers.length };
  const lines = consumers.map(openLine);
  const detached = new Set<Promise<void>>();
  const detachedLoad: Load = { messages: 0, bytes: 0 };
  /** Whose turn it is. */
  let turn = 0;
  let stopping = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function openLine(name: string): Line {
    const queue: TrackedDelivery[] = [];
    const held = makeHeld(bus, stream, name);
    const puller = makePuller(bus, { stream, consumer: name, capacity: maxMessages, ...capacityBytes }, (message) => {
      if (stopping) {
        message.nak();
        return;
      }
      held.add(message);
      queue.push(message);
      if (running === undefined) goOn({ atOnce: false });
    });
    return { queue, held, puller, detached: { messages: 0, bytes: 0 } };
  }

  /** Waits a little, also after a batch: a consumer that is behind would otherwise be so with many small batches. */
  function goOn({ atOnce }: { atOnce: boolean }): void {
    const waiting = lines.reduce((sum, line) => sum + (mayTakeOf(line) ? line.queue.length : 0), 0);
    if (waiting === 0 || stopping) return;
    if (waiting >= maxMessages || atOnce) start();
    else timer ??= setTimeout(start, maxWaitMs);
  }

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    if (running !== undefined) return;
    const batch = take();
    if (batch.size === 0) return;
    running = work(batch).finally(() => {
      running = undefined;
      goOn({ atOnce: maxWaitMs === 0 });
    });
  }

  /** One of each line in turns, as long as there is something and it fits. */
  function take(): Map<TrackedDelivery, Line> {
    const batch = new Map<TrackedDelivery, Line>();
    const open = lines.map((line) => mayTakeOf(line));
    const taken = lines.map(() => ({ messages: 0, bytes: 0 }));
    let bytes = 0;
    for (let passed = 0; passed < lines.length && batch.size < maxMessages; turn = (turn + 1) % lines.length) {
      const [line, ofLine] = [lines[turn], taken[turn]] as [Line, Load];
      const [message] = line.queue;
      passed++;
      if (message === undefined || open[turn] !== true) continue;
      if (batch.size > 0 && bytes + message.bytes > maxBytes) break;
      batch.set(message, line);
      line.queue.shift();
      bytes += message.bytes;
      ofLine.messages++;
      ofLine.bytes += message.bytes;
      passed = 0;
    }
    for (const [i, load] of taken.entries()) if (load.messages > 0) lines[i]?.puller.release(load.messages, load.bytes);
    return batch;
  }

  async function work(batch: ReadonlyMap<TrackedDelivery, Line>): Promise<void> {
    const waitedFor = new Set(batch.keys());
    await settleWith(bus, waitedFor, async () => {
      const answered = (await handler([...waitedFor])) ?? [];
      const goingOn = new Map(answered.map(({ message, work: own }) => [message, own]));
      for (const [message, line] of batch) {
        const own = goingOn.get(message);
        if (own !== undefined && waitedFor.delete(message)) detach(line, message, own);
      }
    });
    for (const message of waitedFor) batch.get(message)?.held.remove(message);
  }

  function detach(line: Line, message: TrackedDelivery, own: Promise<void>): void {
    const count = (sign: 1 | -1): void => {
      for (const load of [line.detached, detachedLoad]) {
        load.messages += sign;
        load.bytes += sign * message.bytes;
      }
    };
    count(1);
    const ended = settleWith(bus, [message], () => own).finally(() => {
      line.held.remove(message);
      detached.delete(ended);
      count(-1);
      if (running === undefined) goOn({ atOnce: maxWaitMs === 0 });
    });
    detached.add(ended);
  }

  /** None of several takes the last of the room: however much one has, half of what it leaves is there for another. */
  function mayTakeOf(line: Line): boolean {
    if (maxDetached === undefined) return true;
    const own = lines.length === 1 ? NOTHING : line.detached;
    return (
      own.messages < maxDetached.messages - detachedLoad.messages && own.bytes < maxDetached.bytes - detachedLoad.bytes
    );
  }

  return {
    isAlive: () => lines.every(({ puller }) => puller.isAlive()),
    async stop() {
      stopping = true;
      clearTimeout(timer);
      await Promise.all(lines.map(({ puller }) => puller.stop()));
      for (const { queue } of lines) for (const message of queue.splice(0)) message.nak();
      await running;
      await Promise.all(detached);
      for (const { held } of lines) held.stop();
      await flush(bus);
    },
  };
}

const NOTHING: Load = { messages: 0, bytes: 0 };
