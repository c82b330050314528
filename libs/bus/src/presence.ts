import { nuid } from '@nats-io/nats-core';
import type { Bus } from './connection.ts';

/** How many delivery workers there are, this one included when it is one. */
export interface Presence {
  /** At least 1 for a worker. One that leaves is gone at once, one that was killed after 4 s. */
  workers(): number;
  /** Tells the others that this one leaves. */
  stop(): Promise<void>;
}

export interface PresenceOptions {
  /** Only listens: it is no worker, and within a second it knows those that are. Default false. */
  readonly isSilent?: boolean;
}

const BEAT_MS = 1_000;
const FORGOTTEN_AFTER_MS = 4_000;
/** A turn of the event loop that took longer: what the others said meanwhile is not read yet. */
const LATE_MS = 1_000;
const HERE = '+';
const LEAVES = '-';

/**
 * Says each second that this worker is alive, and hears who else is. Not stored anywhere: core NATS.
 *
 * Who hears of a newcomer says so again at once, so that it need not wait a second to know the others. While this process
 * is away from the broker, or was too busy to listen, it keeps the count that it had: the others have not gone.
 */
export function openPresence(
  bus: Pick<Bus, 'nc' | 'topology' | 'isConnected' | 'onReconnect' | 'logger'>,
  { isSilent = false }: PresenceOptions = {},
): Presence {
  const { nc, topology } = bus;
  const me = nuid.next();
  const heardAt = new Map<string, number>();
  let tickedAt = performance.now();

  const say = (what: string): void => {
    if (!isSilent && bus.isConnected()) nc.publish(topology.aliveSubject, `${what}${me}`);
  };
  const subscription = nc.subscribe(topology.aliveSubject, {
    callback: (error, message) => {
      if (error !== null) {
        bus.logger.error({ err: error }, 'nats: hearing of other workers is refused');
        return;
      }
      const text = message.string();
      const worker = text.slice(1);
      if (worker === me) return;
      if (text.startsWith(LEAVES)) {
        heardAt.delete(worker);
        return;
      }
      const isNew = !heardAt.has(worker);
      heardAt.set(worker, performance.now());
      if (isNew) say(HERE);
    },
  });

  /** All that are known count as heard of now. */
  function keepAll(): void {
    for (const worker of heardAt.keys()) heardAt.set(worker, performance.now());
  }

  function tick(): void {
    const now = performance.now();
    if (!bus.isConnected() || now - tickedAt > BEAT_MS + LATE_MS) keepAll();
    tickedAt = now;
    for (const [worker, at] of heardAt) if (now - at > FORGOTTEN_AFTER_MS) heardAt.delete(worker);
    say(HERE);
  }

  const beat = setInterval(tick, BEAT_MS);
  beat.unref();
  const stopListening = bus.onReconnect(() => {
    keepAll();
    say(HERE);
  });
  say(HERE);
  return {
    workers: () => heardAt.size + (isSilent ? 0 : 1),
    async stop() {
      clearInterval(beat);
      stopListening();
      if (nc.isClosed()) return;
      say(LEAVES);
      if (bus.isConnected()) await subscription.drain();
      else subscription.unsubscribe();
    },
  };
}
