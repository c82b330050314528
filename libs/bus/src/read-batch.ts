import { createInbox, type Msg, type NatsConnection } from '@nats-io/nats-core';
import { BusUnavailable } from './bus-errors.ts';

/** One message as any replica has it. */
export interface StoredMessage {
  readonly seq: number;
  readonly timestampMs: number;
  readonly data: Uint8Array;
}

export interface BatchRequest {
  readonly stream: string;
  readonly subject: string;
  /** First sequence that is wanted. */
  readonly fromSeq: number;
  readonly maxMessages: number;
  /** At least one message comes, however large. */
  readonly maxBytes?: number;
  /** How long any replica may be silent. Default 3 s. */
  readonly timeoutMs?: number;
}

/**
 * The next messages of one subject, in order and without a gap: every message of a batch names the one before it, and
 * what follows a gap is left for the next call. Fewer than asked, or none, is not the end: a replica can be behind.
 *
 * @throws BusUnavailable
 */
export function readBatch(nc: NatsConnection, request: BatchRequest): Promise<readonly StoredMessage[]> {
  const { stream, subject, fromSeq, maxMessages, maxBytes, timeoutMs = 3_000 } = request;
  return new Promise((resolve, reject) => {
    const inbox = createInbox();
    const messages: StoredMessage[] = [];
    let previous = 0;
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      if (!nc.isClosed()) subscription.unsubscribe();
      settle();
    };
    const fail = (why: string): void => end(() => reject(new BusUnavailable(`${subject} could not be read: ${why}`)));
    const timer = setTimeout(() => fail('no answer'), timeoutMs);
    const take = (message: Msg): void => {
      const { code = 0, description = '' } = message.headers ?? {};
      if (code === END_OF_BATCH || code === NOT_FOUND) end(() => resolve(messages));
      else if (code !== 0) fail(`${code} ${description}`);
      else if (header(message, 'Nats-Last-Sequence') !== `${previous}`) end(() => resolve(messages));
      else {
        timer.refresh();
        const stored = toStored(message);
        messages.push(stored);
        previous = stored.seq;
      }
    };
    const subscription = nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error === null) take(message);
        else fail(error.message);
      },
    });
    const body = {
      seq: fromSeq,
      next_by_subj: subject,
      batch: maxMessages,
      ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
    };
    nc.publish(`$JS.API.DIRECT.GET.${stream}`, JSON.stringify(body), { reply: inbox });
  });
}

const END_OF_BATCH = 204;
const NOT_FOUND = 404;

function header(message: Msg, name: string): string {
  return message.headers?.get(name) ?? '';
}

function toStored(message: Msg): StoredMessage {
  return {
    seq: Number(header(message, 'Nats-Sequence')),
    timestampMs: Date.parse(header(message, 'Nats-Time-Stamp')),
    data: message.data,
  };
}
