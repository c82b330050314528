import type { Msg } from '@nats-io/nats-core';
import { setTimeout as delay } from 'node:timers/promises';
import type { SubscriptionId } from '#core/ids';
import type { Asker } from './asker.ts';
import { toDelivered } from './delivered.ts';
import { isStored, removeStored } from './stored-message.ts';
import { lastToken } from './subject-token.ts';

/**
 * The right to drain one lane. What is safe to do with it ends half an ack wait after the broker last confirmed it: from a
 * whole ack wait on the lane may be somebody else's. So nothing that was begun may take longer than half an ack wait.
 */
export interface LaneLease {
  readonly subscription: SubscriptionId;
  /** Somebody may have had it before and not released it: what was in flight there is not known. */
  readonly takenOver: boolean;
  /** Aborted when the lease is lost ({@link isSafe} is false then) or this process stops: begin nothing more, settle, return. */
  readonly signal: AbortSignal;
  /** Nobody else drains this lane now, nor in the next half of the ack wait. Once false it stays so. */
  isSafe(): boolean;
  /** How long {@link isSafe} stays true without another confirmation; 0 when it is not. */
  safeForMs(): number;
  /**
   * Ends the lease. True: it is gone from the broker and a wake that is published from now on is accepted; look once more.
   * False: that is not certain. Wake the lane, which does no harm, and leave it alone.
   */
  release(): Promise<boolean>;
  /** Ends the lease so that somebody gets it at once. False: not confirmed; somebody gets it after the ack wait. */
  giveBack(): Promise<boolean>;
}

export interface TrackedLease extends LaneLease {
  /** 1 for the first holder of this wake. */
  readonly deliveryCount: number;
  /** Released, given back, or lost. */
  isOver(): boolean;
  /** Called often: renews when it is time, and notices when it was not confirmed in time. */
  tick(): void;
  /** The connection is gone. */
  onDisconnect(): void;
  /** This process stops. */
  interrupt(): void;
}

export interface LeaseParts {
  readonly asker: Asker;
  /** The stream WAKE. */
  readonly stream: string;
  readonly ackWaitMs: number;
  readonly message: Msg;
  /** When the pull request left that brought it, by `performance.now()`: the ack wait began later. */
  readonly askedAt: number;
  /** The broker may have crashed lately. */
  readonly isAfterOutage: boolean;
}

/**
 * A server that crashes forgets what it delivered in the last moments (it writes that every 100 ms or so), and delivers it as
 * new when it is back. Measured: two holders, both safe, in 2 of 6 crashes within 200 ms of the delivery.
 */
const FORGETFUL_MS = 2_000;
const RETRY_MS = 100;
const RELEASE_MS = 10_000;
/** Of no use later: a process that stops waits for it. */
const GIVE_BACK_MS = 2_000;
const MAX_ANSWER_MS = 2_000;

/**
 * The server answers every kind of acknowledgement, also of a message that is gone or that somebody else has by now (measured on
 * 2.15.1: `+WPI`, `-NAK` and `+ACK` of an old delivery act on the new one). So an answer proves nothing but that the server
 * was reached, and four rules make a lease of it:
 *
 * 1. A renewal counts from when it was sent, and only when its answer came while the lease was safe by the renewal before.
 *    Then the server had it before the ack wait was over, and nobody else.
 * 2. With each renewal the leader of WAKE has to have the message. A `+ACK` of a former holder that was on its way for longer
 *    than an ack wait would otherwise leave this holder, and the next wake's, side by side.
 * 3. Nothing that ends a lease is sent when it is not safe.
 * 4. A lease that is young when the connection breaks is lost: the server may have crashed and forgotten it.
 */
export function makeLease({ asker, stream, ackWaitMs, message, askedAt, isAfterOutage }: LeaseParts): TrackedLease {
  const { subject, seq, deliveryCount } = toDelivered(message);
  const ackSubject = message.reply ?? '';
  const aborting = new AbortController();
  const deliveredAt = performance.now();
  let state: 'held' | 'ending' | 'over' = 'held';
  let safeUntil = askedAt + ackWaitMs / 2;
  let renewedAt = askedAt;

  const safeForMs = (): number => (state === 'over' ? 0 : Math.max(0, safeUntil - performance.now()));
  const isSafe = (): boolean => safeForMs() > 0;

  function lose(): void {
    state = 'over';
    aborting.abort(new Error('the lease of the lane is lost'));
  }

  async function renew(): Promise<void> {
    const sentAt = performance.now();
    renewedAt = sentAt;
    try {
      const [, isThere] = await Promise.all([
        asker.ask(ackSubject, '+WPI', safeForMs()),
        isStored(asker, stream, seq, safeForMs()),
      ]);
      if (state !== 'held') return;
      if (!isThere) lose();
      else if (isSafe()) safeUntil = sentAt + ackWaitMs / 2;
    } catch {
      // Not confirmed: the next renewal may be, and when none is, tick() notices.
    }
  }

  /** While it is safe, tries until `steps` are confirmed. */
  async function end(patienceMs: number, steps: () => Promise<unknown>): Promise<boolean> {
    if (state !== 'held' || !isSafe()) return false;
    state = 'ending';
    safeUntil = Math.min(safeUntil, performance.now() + patienceMs);
    let isConfirmed = false;
    while (!isConfirmed && isSafe()) {
      isConfirmed = await steps().then(
        () => isSafe(),
        () => delay(RETRY_MS, false),
      );
    }
    state = 'over';
    return isConfirmed;
  }

  const answerMs = (): number => Math.min(MAX_ANSWER_MS, safeForMs());

  return {
    subscription: lastToken(subject) as SubscriptionId,
    deliveryCount,
    takenOver: deliveryCount > 1 || isAfterOutage,
    signal: aborting.signal,
    isSafe,
    safeForMs,
    isOver: () => state === 'over',
    // The consumer answers before the stream has removed the message: that one is asked for, too. By its sequence it is no other wake.
    release: () =>
      end(RELEASE_MS, async () => {
        await asker.ask(ackSubject, '+ACK', answerMs());
        await removeStored(asker, stream, seq, answerMs());
      }),
    giveBack: () => end(GIVE_BACK_MS, () => asker.ask(ackSubject, '-NAK', answerMs())),
    tick() {
      if (state !== 'held') return;
      if (!isSafe()) lose();
      else if (performance.now() - renewedAt >= ackWaitMs / 6) void renew();
    },
    onDisconnect() {
      if (state !== 'over' && performance.now() - deliveredAt < FORGETFUL_MS) lose();
    },
    interrupt: () => aborting.abort(new Error('this process stops')),
  };
}
