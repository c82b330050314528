import type { Msg } from '@nats-io/nats-core';
import { setTimeout as delay } from 'node:timers/promises';
import { makeAsker } from './asker.ts';
import type { Bus } from './connection.ts';
import type { Consuming } from './consume.ts';
import { pauseMs } from './held.ts';
import { makeConsumerKeeper } from './keep-consumer.ts';
import { makeLease, type LaneLease, type TrackedLease } from './lane-lease.ts';
import { pullOnce } from './pull-once.ts';

export interface LeaseLanesOptions {
  /** Leases at once, at most. */
  readonly maxLanes: number;
}

/** Small, so that many lanes that wake at once spread over the workers. */
const LANES_PER_PULL = 16;
const MAX_EXPIRES_MS = 5_000;
const BACKOFF_MS = 250;
const DEAD_AFTER_MS = 10_000;

/**
 * Takes leases of lanes that were woken, as many as there is room for, renews them, and hands each to `onLease`, which ends it. One that
 * returns without that gives the lane back; so does one that throws, after a pause.
 *
 * `stop` takes no more, aborts the signals of all leases, waits for their handlers and gives back what they have not ended.
 */
export function leaseLanes(
  bus: Bus,
  { maxLanes }: LeaseLanesOptions,
  onLease: (lease: LaneLease) => Promise<void>,
): Consuming {
  const stream = bus.topology.streams.WAKE;
  const consumer = bus.topology.consumers.lanes;
  const ackWaitMs = bus.topology.options.ackWaitSeconds * 1000;
  const expiresMs = Math.min(MAX_EXPIRES_MS, ackWaitMs / 4);
  const asker = makeAsker(bus.nc);
  const makeSureItExists = makeConsumerKeeper(bus, stream, consumer);
  const leases = new Set<TrackedLease>();
  const handlers = new Set<Promise<void>>();
  const stopping = new AbortController();
  let lastHeardAt = performance.now();
  let reconnectedAt = -Infinity;
  let onRoom = Promise.withResolvers<void>();
  const renewing = setInterval(() => {
    for (const lease of leases) lease.tick();
  }, ackWaitMs / 24);
  renewing.unref();
  const stopListening = [
    bus.onDisconnect(() => {
      for (const lease of leases) lease.onDisconnect();
    }),
    bus.onReconnect(() => {
      reconnectedAt = performance.now();
    }),
  ];

  function take(message: Msg, askedAt: number): void {
    lastHeardAt = performance.now();
    const isAfterOutage = lastHeardAt - reconnectedAt < ackWaitMs;
    const lease = makeLease({ asker, stream, ackWaitMs, message, askedAt, isAfterOutage });
    if (!lease.isSafe()) {
      bus.logger.warn({ lane: lease.subscription }, 'a lane arrived too late to be drained; it comes again');
      return;
    }
    leases.add(lease);
    const handler = handle(lease).finally(() => {
      leases.delete(lease);
      handlers.delete(handler);
      onRoom.resolve();
    });
    handlers.add(handler);
  }

  async function handle(lease: TrackedLease): Promise<void> {
    try {
      if (!stopping.signal.aborted) await onLease(lease);
    } catch (err) {
      bus.logger.error({ err, lane: lease.subscription }, 'draining a lane failed; it comes again');
      await delay(pauseMs(lease.deliveryCount), undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    if (!lease.isOver()) await lease.giveBack();
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted && !bus.nc.isClosed()) {
      const room = maxLanes - leases.size;
      if (room <= 0) {
        onRoom = Promise.withResolvers();
        await onRoom.promise;
      } else {
        await pull(Math.min(room, LANES_PER_PULL));
      }
    }
  }

  async function pull(maxMessages: number): Promise<void> {
    const askedAt = performance.now();
    const request = { stream, consumer, maxMessages, expiresMs, signal: stopping.signal };
    const end = await pullOnce(bus, request, (message) => take(message, askedAt));
    if (end === 'full' || end === 'over') {
      lastHeardAt = performance.now();
      return;
    }
    if (bus.isConnected() && !stopping.signal.aborted) await makeSureItExists();
    await delay(BACKOFF_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
  }

  const running = run();
  return {
    isAlive: () =>
      !stopping.signal.aborted &&
      (leases.size >= maxLanes || performance.now() - lastHeardAt < expiresMs + DEAD_AFTER_MS),
    async stop() {
      stopping.abort();
      onRoom.resolve();
      for (const lease of leases) lease.interrupt();
      await running;
      await Promise.all(handlers);
      clearInterval(renewing);
      for (const stop of stopListening) stop();
      asker.close();
    },
  };
}
