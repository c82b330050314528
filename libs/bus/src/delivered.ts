import type { Msg, MsgHdrs } from '@nats-io/nats-core';
import type { MsgImpl } from '@nats-io/nats-core/internal';
import { atEndOfTurn } from './end-of-turn.ts';
import { readHeaders } from './read-headers.ts';

/** One message of a JetStream consumer. It must be settled: `ack` or `nak`; only the first of them counts. */
export interface Delivered {
  readonly subject: string;
  /** Sequence in the stream. */
  readonly seq: number;
  /** When the stream stored it, Unix ms. */
  readonly timestampMs: number;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** 1 for the first time. */
  readonly deliveryCount: number;
  ack(): void;
  /**
   * Gives it back, to be delivered again at once, or after `delayMs`. Never a retry timer: above ~50 delayed naks/s the
   * server stops redelivering (0 of 1600 in 10 s), and they count against max_ack_pending. That is what schedules are for.
   */
  nak(delayMs?: number): void;
  /** Starts the ack wait anew. The consumers of this room do it by themselves while a handler runs. */
  working(): void;
}

export interface TrackedDelivery extends Delivered {
  isSettled(): boolean;
  /** When the ack wait last started, by `performance.now()`. */
  touchedAt(): number;
  /** Subject, headers, data and where to reply, as the server counts them for `max_bytes`. */
  readonly bytes: number;
}

export const ACK = new TextEncoder().encode('+ACK');
const WORKING = new TextEncoder().encode('+WPI');

/** `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>[.<token>]` */
export function toDelivered(message: Msg, onAck: (replySubject: string) => void = () => undefined): TrackedDelivery {
  const tokens = (message.reply ?? '').split('.');
  const at = tokens.length >= 11 ? 6 : 4;
  let settled = false;
  let touchedAt = performance.now();
  const respond = (payload: Uint8Array | string): void => {
    atEndOfTurn(() => {
      // Throws when the connection is closed: then it comes again, like all that was not settled.
      try {
        message.respond(payload);
      } catch {
        return;
      }
    });
  };
  const settle = (payload: Uint8Array | string): void => {
    if (settled) return;
    settled = true;
    respond(payload);
    if (payload === ACK) onAck(message.reply ?? '');
  };
  return {
    subject: message.subject,
    deliveryCount: Number(tokens[at]),
    seq: Number(tokens[at + 1]),
    timestampMs: Math.floor(Number(tokens[at + 3]) / 1e6),
    data: message.data,
    headers: readHeaders(message),
    ack: () => settle(ACK),
    // A fraction of a nanosecond makes the server ignore the delay: a hot loop.
    nak: (delayMs = 0) => settle(delayMs > 0 ? `-NAK {"delay":${Math.round(delayMs) * 1_000_000}}` : '-NAK'),
    working() {
      if (settled) return;
      touchedAt = performance.now();
      respond(WORKING);
    },
    isSettled: () => settled,
    touchedAt: () => touchedAt,
    // Every message of a subscription is one; the interface does not say how large, and its headers are parsed when asked for.
    bytes: (message as MsgImpl).size(),
  };
}
