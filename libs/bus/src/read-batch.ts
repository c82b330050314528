import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/nats-core';
import { BusUnavailable } from './bus-errors.ts';
import { inboxOf } from './inbox.ts';
import { isPublished } from './origin.ts';
import { readHeadersOfAnswer } from './read-headers.ts';

/** One message as any replica has it. */
export interface StoredMessage {
  readonly seq: number;
  readonly timestampMs: number;
  readonly data: Uint8Array;
  /** See {@link isPublished}. */
  readonly isPublished: boolean;
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
    const inbox = inboxOf(nc);
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
      const answered = readHeadersOfAnswer(message);
      const { code = 0, description = '' } = answered ?? {};
      if (code === END_OF_BATCH || code === NOT_FOUND) end(() => resolve(messages));
      else if (code !== 0) fail(`${code} ${description}`);
      else if (ofServer(answered, 'Nats-Last-Sequence') !== `${previous}`) end(() => resolve(messages));
      else {
        timer.refresh();
        const stored = toStored(message, answered);
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

/** The server adds its own at the end; a message can have been stored with the same. */
function ofServer(headers: MsgHdrs | undefined, name: string): string {
  return headers?.last(name) ?? '';
}

function toStored({ data }: Msg, headers: MsgHdrs | undefined): StoredMessage {
  return {
    seq: Number(ofServer(headers, 'Nats-Sequence')),
    timestampMs: Date.parse(ofServer(headers, 'Nats-Time-Stamp')),
    data,
    isPublished: isPublished(headers, 'direct-get'),
  };
}
