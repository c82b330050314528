import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from './connection.ts';
import type { TrackedDelivery } from './delivered.ts';
import { endOfTurn } from './end-of-turn.ts';

const DEFAULT_ACK_WAIT_MS = 30_000;

export interface Held {
  add(message: TrackedDelivery): void;
  remove(message: TrackedDelivery): void;
  stop(): void;
}

/** The messages that this process has and has not settled: each is renewed every half of the ack wait of its consumer. */
export function makeHeld(bus: Bus, stream: string, consumer: string): Held {
  const wanted = bus.topology.consumerConfigs().find((c) => c.stream === stream && c.config.durable_name === consumer);
  const ackWait = wanted?.config.ack_wait;
  const ackWaitMs = ackWait === undefined ? DEFAULT_ACK_WAIT_MS : ackWait / 1e6;
  const messages = new Set<TrackedDelivery>();
  const timer = setInterval(() => {
    const due = performance.now() - ackWaitMs / 2;
    for (const message of messages) if (message.touchedAt() <= due) message.working();
  }, ackWaitMs / 8);
  timer.unref();
  return {
    add: (message) => messages.add(message),
    remove: (message) => messages.delete(message),
    stop: () => clearInterval(timer),
  };
}

const MIN_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;

/**
 * Runs a handler and sees that every message that is in `messages` when it has ended is settled. After a failure it waits
 * here, longer each time the message came, and only then gives it back: delays on the server's side starve (see
 * {@link Delivered.nak}).
 */
export async function settleWith(
  bus: Bus,
  messages: Iterable<TrackedDelivery>,
  handle: () => Promise<void>,
): Promise<void> {
  let failure: unknown;
  try {
    await handle();
  } catch (error) {
    failure = error;
  }
  const unsettled = [...messages].filter((message) => !message.isSettled());
  const [first] = unsettled;
  if (first === undefined) return;
  const { subject, seq, deliveryCount } = first;
  bus.logger.error(
    {
      err: failure ?? new Error('the handler did not settle the message'),
      subject,
      seq,
      deliveryCount,
      messages: unsettled.length,
    },
    'a message was not settled; it comes again',
  );
  await delay(pauseMs(deliveryCount));
  for (const message of unsettled) message.nak();
}

/** How long what failed is kept here before it is given back. */
export function pauseMs(deliveryCount: number): number {
  return Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(deliveryCount - 1, 10));
}

/** Acknowledgements are fire-and-forget: a round trip proves that they left. Away from the broker there is nothing to wait for. */
export async function flush(bus: Bus): Promise<void> {
  await endOfTurn();
  if (bus.isConnected()) await Promise.race([bus.nc.flush(), delay(2_000, undefined, { ref: false })]);
}
