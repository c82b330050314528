import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { BusUnavailable } from './bus-errors.ts';
import { atEndOfTurn } from './end-of-turn.ts';
import { inboxOf } from './inbox.ts';

/** Many small questions to the broker at once. */
export interface Asker {
  /**
   * One question, sent once, at the end of this turn.
   *
   * @throws BusUnavailable not connected, nobody there, or no answer in time: whether it was done is not known
   */
  ask(subject: string, payload: Uint8Array | string, timeoutMs: number): Promise<Msg>;
  close(): void;
}

interface Open {
  readonly subject: string;
  readonly deadlineAt: number;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (error: BusUnavailable) => void;
}

const SWEEP_MS = 50;

/**
 * One inbox for all answers, like the publisher's. `nc.request` makes a timer and several promises per question: 23 000
 * deletes/s, 512 at once, 44 µs of the client's CPU each, against 35 000 and 15 µs here.
 */
export function makeAsker(nc: NatsConnection): Asker {
  const inbox = inboxOf(nc);
  const open = new Map<string, Open>();
  let counter = 0;
  let closed = false;
  const subscription = nc.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error !== null) return;
      const token = message.subject.slice(inbox.length + 1);
      const { code } = message.headers ?? {};
      if (code === 503) finish(token, (one) => one.reject(new BusUnavailable(`nobody answers ${one.subject}`)));
      else finish(token, (one) => one.resolve(message));
    },
  });
  const sweeper = setInterval(() => {
    const now = performance.now();
    for (const [token, { deadlineAt }] of open) {
      if (deadlineAt <= now) finish(token, (one) => one.reject(new BusUnavailable(`no answer on ${one.subject}`)));
    }
  }, SWEEP_MS);
  sweeper.unref();

  function finish(token: string, report: (one: Open) => void): void {
    const one = open.get(token);
    open.delete(token);
    if (one !== undefined) report(one);
  }

  /** While disconnected nothing is written: the client would send it after the reconnect, when it may no longer be true. */
  function send(token: string, payload: Uint8Array | string): void {
    const one = open.get(token);
    if (one === undefined) return;
    if (closed || nc.isClosed() || nc.info === undefined) {
      finish(token, () => one.reject(new BusUnavailable(`not connected: ${one.subject} was not asked`)));
      return;
    }
    nc.publish(one.subject, payload, { reply: `${inbox}.${token}` });
  }

  return {
    ask(subject, payload, timeoutMs) {
      return new Promise((resolve, reject) => {
        const token = (counter++).toString(36);
        open.set(token, { subject, deadlineAt: performance.now() + timeoutMs, resolve, reject });
        atEndOfTurn(() => send(token, payload));
      });
    },
    close() {
      closed = true;
      clearInterval(sweeper);
      if (!nc.isClosed()) subscription.unsubscribe();
      for (const token of open.keys()) {
        finish(token, (one) => one.reject(new BusUnavailable(`closed before ${one.subject} was answered`)));
      }
    },
  };
}
