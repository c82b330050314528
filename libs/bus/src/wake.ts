import { setTimeout as delay } from 'node:timers/promises';
import { SubjectOccupied } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { consumeEach, type Consuming } from './consume.ts';
import { scheduleMessage } from './schedule-message.ts';
import { lastToken } from './subject-token.ts';

export interface WakeOptions {
  /** Its holder went to sleep and has a timer: it need not be told of everything that comes. Default false. */
  readonly isAsleep?: boolean;
}

export interface Wakes {
  /**
   * Tells whoever drains lanes that this one has something. Resolves when a wake is stored that was published after this call
   * began, or the stream has refused it because one is there: then its holder looks again before the lane is closed.
   * At most one per lane and 50 ms is published; the first at once.
   *
   * Of a lane that sleeps one after 30 to 60 s, so that thousands do not wake at once; then the promise resolves at once.
   *
   * @throws BusUnavailable
   */
  wake(subscription: string, options?: WakeOptions): Promise<void>;
  /**
   * Wakes the lane at an instant, Unix ms. One timer per lane: a later call replaces it. Resolves when it is stored.
   *
   * @throws BusUnavailable
   */
  wakeAt(subscription: string, atMs: number): Promise<void>;
  /** Publishes what it has put off. */
  stop(): Promise<void>;
}

const AWAKE_GAP_MS = 50;
const ASLEEP_GAP_MS = 30_000;
const NOTHING = new Uint8Array();

export function makeWakes(
  bus: Pick<Bus, 'publisher' | 'topology' | 'logger'>,
  { asleepGapMs = ASLEEP_GAP_MS }: { readonly asleepGapMs?: number } = {},
): Wakes {
  const { publisher, topology, logger } = bus;
  /** Lanes that were woken in the last 50 ms, and what is to follow. */
  const recent = new Map<string, { next: PromiseWithResolvers<void> | undefined }>();
  const asleep = new Map<string, NodeJS.Timeout>();

  async function publish(subscription: string): Promise<void> {
    const wasPutOff = forget(subscription);
    try {
      await publisher.publish(topology.wakeSubject(subscription), NOTHING);
    } catch (error) {
      if (error instanceof SubjectOccupied) return;
      if (wasPutOff) putOff(subscription);
      throw error;
    }
  }

  function publishNow(subscription: string): Promise<void> {
    const lane: { next: PromiseWithResolvers<void> | undefined } = { next: undefined };
    recent.set(subscription, lane);
    setTimeout(() => {
      recent.delete(subscription);
      if (lane.next !== undefined) publishNow(subscription).then(lane.next.resolve, lane.next.reject);
    }, AWAKE_GAP_MS);
    return publish(subscription);
  }

  function wakeSoon(subscription: string): Promise<void> {
    const lane = recent.get(subscription);
    if (lane === undefined) return publishNow(subscription);
    lane.next ??= Promise.withResolvers();
    return lane.next.promise;
  }

  function putOff(subscription: string): void {
    if (asleep.has(subscription)) return;
    const timer = setTimeout(
      () => {
        asleep.delete(subscription);
        wakeSoon(subscription).catch((err: unknown) => {
          logger.warn({ err, subscription }, 'a lane that sleeps was not woken; its timer will');
        });
      },
      asleepGapMs * (1 + Math.random()),
    );
    timer.unref();
    asleep.set(subscription, timer);
  }

  /** A wake that is published now is the one that was put off. */
  function forget(subscription: string): boolean {
    clearTimeout(asleep.get(subscription));
    return asleep.delete(subscription);
  }

  return {
    async wake(subscription, { isAsleep = false } = {}) {
      if (isAsleep) putOff(subscription);
      else await wakeSoon(subscription);
    },
    wakeAt: (subscription, atMs) =>
      scheduleMessage(bus, {
        atMs,
        timerSubject: topology.wakeTimerSubject(subscription),
        targetSubject: topology.retryWakeSubject(subscription),
        payload: NOTHING,
      }),
    async stop() {
      const waiting = [...recent.values()].flatMap(({ next }) => (next === undefined ? [] : [next.promise]));
      await Promise.allSettled([...waiting, ...[...asleep.keys()].map(wakeSoon)]);
    },
  };
}

const WAKES_AT_ONCE = 64;
const NO_ROOM_MS = 50;

export interface DueWakesOptions {
  /** Whether another lane may be woken now. Default: always. */
  readonly hasRoom?: () => boolean;
  /** Asked when there is room. False: somebody has held the lane since its timer fired, and has set another. Default: true. */
  readonly isNeeded?: (subscription: string, firedAtMs: number) => boolean;
}

/**
 * Wakes the lanes whose timer fired, as long as there is room for them. They wait here and not in WAKE, where a lane that
 * somebody has just put something on would stand behind ten thousand whose sinks are dead.
 */
export function consumeDueWakes(
  bus: Bus,
  wakes: Pick<Wakes, 'wake'>,
  { hasRoom = () => true, isNeeded = () => true }: DueWakesOptions = {},
): Consuming {
  const { streams, consumers } = bus.topology;
  const source = { stream: streams.RETRIES, consumer: consumers.wakeDue, slots: WAKES_AT_ONCE };
  return consumeEach(bus, source, async (message) => {
    while (!hasRoom()) await delay(NO_ROOM_MS);
    const subscription = lastToken(message.subject);
    if (isNeeded(subscription, message.timestampMs)) await wakes.wake(subscription);
    message.ack();
  });
}
