import type { Msg } from '@nats-io/nats-core';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from './connection.ts';
import { inboxOf } from './inbox.ts';

export interface PullOnce {
  readonly stream: string;
  readonly consumer: string;
  readonly maxMessages: number;
  /** How long the server keeps the request. */
  readonly expiresMs: number;
  /** Ends it early; what is under way still arrives. */
  readonly signal: AbortSignal;
}

/**
 * `full`: all messages came. `over`: the server said that no more come. `refused`: it does not serve this consumer now.
 * `silent`: it said nothing, or the connection was lost.
 */
export type PullEnd = 'full' | 'over' | 'refused' | 'silent';

const GRACE_MS = 1_000;
const DRAIN_MS = 2_000;

/**
 * One pull request with an inbox of its own, so that a message belongs to one request for certain: it was not delivered
 * before that was sent. Resolves when nothing more can come of it.
 */
export async function pullOnce(bus: Bus, pull: PullOnce, onMessage: (message: Msg) => void): Promise<PullEnd> {
  const { nc } = bus;
  const { stream, consumer, maxMessages, expiresMs, signal } = pull;
  const inbox = inboxOf(nc);
  const { promise, resolve } = Promise.withResolvers<PullEnd>();
  let missing = maxMessages;
  const subscription = nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) resolve('refused');
      else if (message.subject === inbox) resolve(isOrdinaryEnd(message.headers?.code) ? 'over' : 'refused');
      else {
        onMessage(message);
        if (--missing === 0) resolve('full');
      }
    },
  });
  const timer = setTimeout(() => resolve('silent'), expiresMs + GRACE_MS);
  const endEarly = (): void => resolve('over');
  signal.addEventListener('abort', endEarly, { once: true });
  const stopListening = bus.onReconnect(() => resolve('silent'));
  const body = { batch: maxMessages, expires: Math.round(expiresMs) * 1_000_000 };
  nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(body), { reply: inbox });
  const end = await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', endEarly);
  stopListening();
  // Drain = unsubscribe and a round trip: what the server sent before it learned of it arrives first.
  if (nc.isClosed()) return end;
  if (end === 'full' || !bus.isConnected()) subscription.unsubscribe();
  else await Promise.race([subscription.drain(), delay(DRAIN_MS, undefined, { ref: false })]);
  return end;
}

/** 404: nothing there; 408: its time is over. */
function isOrdinaryEnd(code: number | undefined): boolean {
  return code === 404 || code === 408;
}
