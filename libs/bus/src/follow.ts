import { DeliverPolicy, type ConsumerMessages, type JsMsg } from '@nats-io/jetstream';
import type { MsgHdrs } from '@nats-io/nats-core';
import { setTimeout as delay } from 'node:timers/promises';
import { BusUnavailable } from './bus-errors.ts';
import type { BusLogger } from './bus-logger.ts';
import type { Bus } from './connection.ts';

/** One message of a followed stream. */
export interface Followed {
  readonly subject: string;
  readonly seq: number;
  readonly timestampMs: number;
  readonly data: Uint8Array;
  /** Parsed when asked for, which throws when they are none. */
  readonly headers: MsgHdrs | undefined;
}

export interface Following {
  /** Sequence of the last message that was folded, 0 before the first. */
  position(): number;
  /**
   * Resolves when everything is folded that was in the stream when it was called (a fence).
   * Costs one read of the leader, shared by all calls that wait for the same one.
   *
   * @param timeoutMs default 5 s
   * @throws BusUnavailable when that is not reached in time
   */
  catchUp(timeoutMs?: number): Promise<void>;
  /** Has caught up once, is connected, and hears from the server. */
  isLive(): boolean;
  stop(): Promise<void>;
}

export interface FollowOptions {
  readonly stream: string;
  /** Only these messages; default all. */
  readonly subject?: string;
  /** `last-per-subject` begins with the newest message of every subject instead of with all. */
  readonly from?: 'first' | 'last-per-subject';
}

const RESTART_MS = 250;

/**
 * Folds a stream from its first message and stays on it, in order and without gaps, through outages of any length.
 *
 * The ordered consumer of the client makes itself anew after the last message that it saw; when it gives up, this makes
 * another one there. What `onMessage` throws is logged and the message counts as folded: one bad record must not stop all others.
 */
export function followStream(bus: Bus, options: FollowOptions, onMessage: (message: Followed) => void): Following {
  const { stream } = options;
  const readers = makeSharedRead(() => lastSequence(bus, options));
  const waiters = new Set<{ readonly target: number; readonly resolve: () => void }>();
  let position = 0;
  let isInTrouble = false;
  let hasCaughtUp = false;
  let messages: ConsumerMessages | undefined;
  const stopping = new AbortController();
  const isOver = (): boolean => stopping.signal.aborted || bus.nc.isClosed();

  function fold(message: JsMsg): void {
    isInTrouble = false;
    if (message.seq <= position) return;
    const { subject, seq, data } = message;
    try {
      const timestampMs = Number(message.timestampNanos / 1_000_000n);
      onMessage({
        subject,
        seq,
        data,
        timestampMs,
        get headers() {
          return message.headers;
        },
      });
    } catch (err) {
      bus.logger.error({ err, stream, subject, seq }, 'a record could not be folded; it is left out');
    }
    position = seq;
    for (const waiter of waiters) if (waiter.target <= position) waiter.resolve();
  }

  async function run(): Promise<void> {
    while (!isOver()) {
      try {
        messages = await openOrdered(bus, options, position + 1, fold);
        isInTrouble = false;
        void watchTrouble(messages, (trouble) => (isInTrouble = trouble));
        if (isOver()) messages.stop();
        await messages.closed();
      } catch (err) {
        bus.logger.warn({ err, stream, position }, 'nats: following a stream was interrupted');
      }
      isInTrouble = true;
      await delay(RESTART_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  async function reach(target: number, deadlineAt: number): Promise<void> {
    if (position >= target) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter = { target, resolve };
    waiters.add(waiter);
    const timer = setTimeout(resolve, Math.max(0, deadlineAt - performance.now()));
    await promise;
    clearTimeout(timer);
    waiters.delete(waiter);
    if (position < target) throw new BusUnavailable(`${stream} is folded up to ${position}, not yet to ${target}`);
  }

  // Left to itself the client notices an outage by missed heartbeats and, when it asks too early, sleeps: deaf for up to 10 s more.
  const stopListening = bus.onReconnect(() => messages?.stop());
  const running = run();
  return {
    position: () => position,
    async catchUp(timeoutMs = 5_000) {
      const deadlineAt = performance.now() + timeoutMs;
      await reach(await readUntil(readers, stream, deadlineAt), deadlineAt);
      hasCaughtUp = true;
    },
    isLive: () => hasCaughtUp && !isInTrouble && bus.isConnected() && !isOver(),
    async stop() {
      stopping.abort();
      stopListening();
      await messages?.close();
      await running;
    },
  };
}

/** Catches up, however long that takes: each time that it was not in time it warns, in the words of `stillWaiting`. */
export async function reachEnd(
  { catchUp, position }: Pick<Following, 'catchUp' | 'position'>,
  logger: BusLogger,
  stillWaiting: string,
): Promise<void> {
  for (;;) {
    try {
      await catchUp();
      return;
    } catch (error) {
      if (!(error instanceof BusUnavailable)) throw error;
      logger.warn({ position: position() }, stillWaiting);
    }
  }
}

async function openOrdered(
  bus: Bus,
  { stream, subject, from }: FollowOptions,
  fromSeq: number,
  callback: (message: JsMsg) => void,
): Promise<ConsumerMessages> {
  const isFirst = fromSeq === 1 && from === 'last-per-subject';
  const consumer = await bus.js.consumers.get(
    stream,
    isFirst
      ? { deliver_policy: DeliverPolicy.LastPerSubject, filter_subjects: subject ?? '>' }
      : {
          deliver_policy: DeliverPolicy.StartSequence,
          opt_start_seq: fromSeq,
          ...(subject === undefined ? {} : { filter_subjects: subject }),
        },
  );
  return consumer.consume({ max_messages: 1_000, expires: 5_000, idle_heartbeat: 1_000, callback });
}

async function watchTrouble(messages: ConsumerMessages, report: (trouble: boolean) => void): Promise<void> {
  for await (const { type } of messages.status()) {
    if (type === 'heartbeats_missed' || type === 'reset' || type === 'stream_not_found') report(true);
    if (type === 'heartbeat' || type === 'ordered_consumer_recreated') report(false);
  }
}

/** Only the stream's leader answers these two; a direct get could be served by a replica that is behind. */
async function lastSequence(bus: Bus, { stream, subject }: FollowOptions): Promise<number> {
  if (subject === undefined) return (await bus.jsm.streams.info(stream)).state.last_seq;
  return (await bus.jsm.streams.getMessage(stream, { last_by_subj: subject }))?.seq ?? 0;
}

async function readUntil(read: () => Promise<number>, stream: string, deadlineAt: number): Promise<number> {
  for (;;) {
    const timer = Promise.withResolvers<never>();
    const left = setTimeout(
      () => {
        timer.reject(new BusUnavailable(`the leader of ${stream} does not tell its last sequence`));
      },
      Math.max(0, deadlineAt - performance.now()),
    );
    try {
      return await Promise.race([read(), timer.promise]);
    } catch (error) {
      if (error instanceof BusUnavailable) throw error;
      // One that fails at once is always faster than the timer.
      if (performance.now() >= deadlineAt) {
        throw new BusUnavailable(`the leader of ${stream} does not tell its last sequence`, { cause: error });
      }
      await delay(50);
    } finally {
      clearTimeout(left);
    }
  }
}

/**
 * Calls share reads, but never one that began before the call: who comes while a read is under way gets the next one.
 */
export function makeSharedRead<T>(read: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined;
  let next: Promise<T> | undefined;
  const begin = (): Promise<T> => {
    const mine = read().finally(() => {
      if (current === mine) current = undefined;
    });
    current = mine;
    return mine;
  };
  return () => {
    if (current === undefined) return begin();
    next ??= current
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        next = undefined;
        return begin();
      });
    return next;
  };
}
