import type { Bus } from './connection.ts';

export interface ScheduledMessage {
  /** Not before this instant, Unix ms; fired up to ~0.3 s later, never earlier. A past one fires at once. */
  readonly atMs: number;
  /** Where the timer is stored: one per subject, a second message replaces the first. Never consumed. */
  readonly timerSubject: string;
  /** Where the server publishes the payload then; a subject of the same stream. */
  readonly targetSubject: string;
  /** Default: one of this call, so that every call replaces the timer. */
  readonly msgId?: string;
  readonly payload: Uint8Array;
  /** How long to go on trying to store it. Default: the publisher's. */
  readonly timeoutMs?: number;
}

/**
 * Has the server publish `payload` onto another subject later. Resolves when the timer is stored.
 *
 * @throws BusUnavailable
 */
export async function scheduleMessage(bus: Pick<Bus, 'publisher'>, message: ScheduledMessage): Promise<void> {
  await bus.publisher.publish(message.timerSubject, message.payload, {
    ...(message.msgId === undefined ? {} : { msgId: message.msgId }),
    ...(message.timeoutMs === undefined ? {} : { timeoutMs: message.timeoutMs }),
    headers: [
      ['Nats-Schedule', `@at ${new Date(message.atMs).toISOString()}`],
      ['Nats-Schedule-Target', message.targetSubject],
    ],
  });
}
