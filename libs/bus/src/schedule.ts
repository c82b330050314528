import type { Bus } from './connection.ts';
import { scheduleMessage } from './schedule-message.ts';

export interface ScheduledRetry {
  /** Not before this instant, Unix ms; fired up to ~0.3 s later, never earlier. A past one fires at once. */
  readonly atMs: number;
  readonly subscription: string;
  readonly delivery: string;
  /** Sequence of the event: the same event accepted once more is another row, with a timer of its own. */
  readonly eventSeq: number;
  /** Number of the attempt that this asks for. */
  readonly attempt: number;
  /** How often this attempt was put off: each time is a timer of its own. Absent: never. */
  readonly holds?: number;
  /** Everything that the attempt needs: the fired message is a new one with a new age, without the id of this one. Keep it small. */
  readonly payload: Uint8Array;
  /** How long to go on trying to store it. Default: the publisher's. */
  readonly timeoutMs?: number;
}

/**
 * Has the server publish `payload` onto `retry.due` later. One timer per delivery: a second call replaces the first, the
 * same attempt again is a duplicate and changes nothing. Resolves when it is stored.
 *
 * @throws BusUnavailable
 */
export async function scheduleRetry(bus: Pick<Bus, 'publisher' | 'topology'>, retry: ScheduledRetry): Promise<void> {
  const { topology } = bus;
  const timer = `${retry.delivery}-${retry.eventSeq}`;
  await scheduleMessage(bus, {
    atMs: retry.atMs,
    timerSubject: topology.retryAtSubject(retry.subscription, timer),
    targetSubject: topology.retryDueSubject(retry.subscription),
    msgId: `${timer}:${retry.attempt}${retry.holds === undefined ? '' : `:h${retry.holds}`}`,
    payload: retry.payload,
    ...(retry.timeoutMs === undefined ? {} : { timeoutMs: retry.timeoutMs }),
  });
}
