import type { Msg, NatsConnection } from '@nats-io/nats-core';
import type { Bus } from './connection.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { ACK, toDelivered, type TrackedDelivery } from './delivered.ts';
import { inboxOf } from './inbox.ts';
import { makeConsumerKeeper } from './keep-consumer.ts';

/** How long one pull request stays with the server. Short, because a request that is lost is noticed by its end. */
const EXPIRES_MS = 5_000;
const HEARTBEAT_MS = 1_000;
/** No heartbeat for this long: the request is taken for lost. */
const SILENCE_MS = 2_500;
const DEAD_AFTER_MS = 10_000;
const BACKOFF_MS = 250;
/** Descriptions of the 409 by which a request with `max_bytes` ends: the next message would exceed it, or all are there. */
const NO_ROOM = 'Message Size Exceeds MaxBytes';
const ALL_SERVED = 'Batch Completed';
/** Subject and reply of a message count as well. */
const SUBJECTS_MAX_BYTES = 8 * 1024;
const DEFAULT_MAX_PAYLOAD_BYTES = 1024 * 1024;
/** About 0.4 MB per consumer; the acknowledgements of half a second at full speed. */
const RECENT_ACKS = 4096;

export interface PullerOptions {
  readonly stream: string;
  readonly consumer: string;
  /** Messages that may be asked for or waiting here, at most. */
  readonly capacity: number;
  /**
   * Bytes that may be asked for or waiting here, at most, but never less than one message of any size needs. Default: no
   * bound.
   */
  readonly capacityBytes?: number;
}

export interface Puller {
  /** That many messages, of so many bytes together, are no longer waiting: there is room for others. */
  release(count: number, bytes: number): void;
  /** No new requests; what is still under way arrives and goes to `onMessage`. */
  stop(): Promise<void>;
  /** The server was heard of lately, or there is no room and nothing was asked. */
  isAlive(): boolean;
}

/**
 * Pulls from a durable consumer by credit: waiting + requested never exceeds `capacity`, nor their bytes `capacityBytes`.
 *
 * Not the client's `consume()`: while all slots are busy it queues one full pull request per missed heartbeat (every 2 s),
 * so a stall of a minute ends in 30 × `max_messages` at once, and its `close()` forgets what is still on the wire
 * until the ack wait is over.
 *
 * ```
 * room ≥ half of capacity → request(batch, expires 5 s) → messages | 408 expired | 409 too large | 409 refused | 503 nobody | silence
 *        ↑                                                    └── all but messages give the credit back ──┘
 *        └─ release() ← handled
 * ```
 */
export function makePuller(bus: Bus, options: PullerOptions, onMessage: (message: TrackedDelivery) => void): Puller {
  const { nc, logger } = bus;
  const { stream, consumer, capacity, capacityBytes } = options;
  const inbox = inboxOf(nc);
  const next = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
  const makeSureItExists = makeConsumerKeeper(bus, stream, consumer);
  let waiting = 0;
  let requested = 0;
  let waitingBytes = 0;
  let lastHeardAt = performance.now();
  let pausedUntil = 0;
  let stopping = false;
  let acks: string[] = [];
  let earlierAcks: string[] = [];

  const subscription = nc.subscribe(inbox, {
    callback: (error, message) => {
      lastHeardAt = performance.now();
      if (error !== null) logger.error({ err: error, stream, consumer }, 'nats: pulling is refused');
      else if (message.subject === inbox) onStatus(message);
      else take(message);
    },
  });
  const watch = setInterval(tick, 250);
  watch.unref();
  const stopFollowing = bus.onReconnect(() => {
    repeatAcks();
    requested = 0;
    refill();
  });
  refill();

  function take(message: Msg): void {
    const delivered = toDelivered(message, remember);
    requested = Math.max(0, requested - 1);
    waiting++;
    waitingBytes += delivered.bytes;
    onMessage(delivered);
    refill();
  }

  function remember(replySubject: string): void {
    acks.push(replySubject);
    if (acks.length < RECENT_ACKS) return;
    earlierAcks = acks;
    acks = [];
  }

  /** What was acknowledged while the connection was going down may not have left, and would be delivered again. */
  function repeatAcks(): void {
    for (const replySubject of [...earlierAcks, ...acks]) nc.publish(replySubject, ACK);
    earlierAcks = acks = [];
  }

  function refill(): void {
    const room = capacity - waiting - requested;
    const roomBytes = roomForBytes();
    const isWorthwhile =
      (requested === 0 && room > 0 && roomBytes >= largestMessageBytes(nc)) ||
      (capacityBytes === undefined && room >= Math.max(1, capacity / 2));
    if (stopping || nc.isClosed() || !isWorthwhile || performance.now() < pausedUntil) return;
    if (requested === 0) lastHeardAt = performance.now();
    requested += room;
    const body = {
      batch: room,
      expires: EXPIRES_MS * 1e6,
      idle_heartbeat: HEARTBEAT_MS * 1e6,
      ...(roomBytes === Infinity ? {} : { max_bytes: roomBytes }),
    };
    nc.publish(next, JSON.stringify(body), { reply: inbox });
  }

  /** While bytes are bounded there is one request at a time: of two, nothing tells how many bytes are left of which. */
  function roomForBytes(): number {
    return capacityBytes === undefined ? Infinity : Math.max(capacityBytes, largestMessageBytes(nc)) - waitingBytes;
  }

  function onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description;
    if (code === 100 || (code === 409 && description === ALL_SERVED)) return;
    const unserved = Number(message.headers?.get('Nats-Pending-Messages') || Number.NaN);
    requested = Number.isNaN(unserved) ? 0 : Math.max(0, requested - unserved);
    const isUsedUp = code === 409 && description === NO_ROOM;
    if (code !== 408 && code !== 404 && !isUsedUp) {
      pausedUntil = performance.now() + BACKOFF_MS;
      if (!stopping) void makeSureItExists();
    }
    refill();
  }

  /** Also the way on after a back-off: nothing else would call {@link refill}. */
  function tick(): void {
    const isSilent = requested > 0 && performance.now() - lastHeardAt > SILENCE_MS;
    if (isSilent && bus.isConnected()) {
      requested = 0;
      void makeSureItExists();
    }
    refill();
  }

  return {
    release(count, bytes) {
      waiting -= count;
      waitingBytes -= bytes;
      refill();
    },
    async stop() {
      stopping = true;
      clearInterval(watch);
      stopFollowing();
      // Drain = unsubscribe and a round trip: whatever the server sent before it learned of it arrives first.
      if (bus.isConnected()) await Promise.race([subscription.drain(), delay(2_000, undefined, { ref: false })]);
      else subscription.unsubscribe();
    },
    isAlive: () => !stopping && (requested === 0 ? waiting > 0 : performance.now() - lastHeardAt < DEAD_AFTER_MS),
  };
}

/** Room for it must be there, or a request would end at once, without a message, again and again. */
function largestMessageBytes({ info }: NatsConnection): number {
  return (info?.max_payload ?? DEFAULT_MAX_PAYLOAD_BYTES) + SUBJECTS_MAX_BYTES;
}
