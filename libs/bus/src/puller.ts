import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { createInbox, type Msg } from '@nats-io/nats-core';
import type { Bus } from './connection.ts';
import { ensureConsumer } from './ensure-consumer.ts';
import { setTimeout as delay } from 'node:timers/promises';
import { ACK, toDelivered, type TrackedDelivery } from './delivered.ts';

/** How long one pull request stays with the server. Short, because a request that is lost is noticed by its end. */
const EXPIRES_MS = 5_000;
const HEARTBEAT_MS = 1_000;
/** No heartbeat for this long: the request is taken for lost. */
const SILENCE_MS = 2_500;
const DEAD_AFTER_MS = 10_000;
const BACKOFF_MS = 250;
/** About 0.4 MB per consumer; the acknowledgements of half a second at full speed. */
const RECENT_ACKS = 4096;

export interface PullerOptions {
  readonly stream: string;
  readonly consumer: string;
  /** Messages that may be asked for or waiting here, at most. */
  readonly capacity: number;
}

export interface Puller {
  /** That many messages are no longer waiting: there is room for others. */
  release(count: number): void;
  /** No new requests; what is still under way arrives and goes to `onMessage`. */
  stop(): Promise<void>;
  /** The server was heard of lately, or there is no room and nothing was asked. */
  isAlive(): boolean;
}

/**
 * Pulls from a durable consumer by credit: waiting + requested never exceeds `capacity`.
 *
 * Not the client's `consume()`: while all slots are busy it queues one full pull request per missed heartbeat (every 2 s),
 * so a stall of a minute ends in 30 × `max_messages` at once, and its `close()` forgets what is still on the wire
 * until the ack wait is over.
 *
 * ```
 * room ≥ half of capacity → request(batch, expires 5 s) → messages | 408 expired | 409 refused | 503 nobody | silence
 *        ↑                                                    └── all but messages give the credit back ──┘
 *        └─ release() ← handled
 * ```
 */
export function makePuller(bus: Bus, options: PullerOptions, onMessage: (message: TrackedDelivery) => void): Puller {
  const { nc, logger } = bus;
  const { stream, consumer, capacity } = options;
  const inbox = createInbox();
  const next = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
  let waiting = 0;
  let requested = 0;
  let lastHeardAt = performance.now();
  let pausedUntil = 0;
  let stopping = false;
  let checking = false;
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
    requested = Math.max(0, requested - 1);
    waiting++;
    onMessage(toDelivered(message, remember));
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
    const isWorthwhile = room >= Math.max(1, capacity / 2) || (requested === 0 && room > 0);
    if (stopping || nc.isClosed() || !isWorthwhile || performance.now() < pausedUntil) return;
    if (requested === 0) lastHeardAt = performance.now();
    requested += room;
    const body = { batch: room, expires: EXPIRES_MS * 1e6, idle_heartbeat: HEARTBEAT_MS * 1e6 };
    nc.publish(next, JSON.stringify(body), { reply: inbox });
  }

  function onStatus(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (code === 100) return;
    const unserved = Number(message.headers?.get('Nats-Pending-Messages') || Number.NaN);
    requested = Number.isNaN(unserved) ? 0 : Math.max(0, requested - unserved);
    if (code !== 408 && code !== 404) {
      pausedUntil = performance.now() + BACKOFF_MS;
      void makeSureItExists();
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

  /** A deleted consumer sends nothing more, for ever: it is made again. */
  async function makeSureItExists(): Promise<void> {
    if (checking || stopping) return;
    checking = true;
    try {
      await bus.jsm.consumers.info(stream, consumer);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) await remake();
      else logger.warn({ err: error, stream, consumer }, 'nats: the consumer does not answer');
    } finally {
      checking = false;
    }
  }

  async function remake(): Promise<void> {
    logger.error({ stream, consumer }, 'nats: the consumer was deleted; making it again');
    const wanted = bus.topology
      .consumerConfigs()
      .find((c) => c.stream === stream && c.config.durable_name === consumer);
    if (wanted !== undefined)
      await ensureConsumer(bus.jsm, wanted).catch((err: unknown) => logger.warn({ err }, 'nats: not made'));
  }

  return {
    release(count) {
      waiting -= count;
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
