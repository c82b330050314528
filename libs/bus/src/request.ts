import { headers, NoRespondersError, TimeoutError, type Msg } from '@nats-io/nats-core';
import { BusUnavailable, RequestFailed } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { INBOX, inboxOf } from './inbox.ts';
import { readHeaders } from './read-headers.ts';

/** The header that NATS micro services use to tell a failure. */
const FAILURE = 'Nats-Service-Error';

/**
 * One question to whoever serves the subject.
 *
 * @throws BusUnavailable nobody serves it, or no answer in time
 * @throws RequestFailed the other side's handler threw
 */
export async function request(
  bus: Pick<Bus, 'nc'>,
  subject: string,
  payload: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array> {
  let answer: Msg;
  try {
    answer = await bus.nc.request(subject, payload, { timeout: timeoutMs });
  } catch (cause) {
    const { cause: inner } = cause instanceof Error ? cause : {};
    if (cause instanceof NoRespondersError || inner instanceof NoRespondersError) {
      throw new BusUnavailable(`nobody serves ${subject}`, { cause });
    }
    if (cause instanceof TimeoutError)
      throw new BusUnavailable(`no answer on ${subject} within ${timeoutMs} ms`, { cause });
    throw new BusUnavailable(`the question on ${subject} could not be asked`, { cause });
  }
  const failure = failureOf(answer);
  if (failure !== '') throw new RequestFailed(`${subject}: ${failure}`);
  return answer.data;
}

function failureOf(answer: Msg): string {
  return readHeaders(answer)?.get(FAILURE) ?? '';
}

export interface AskAllOptions {
  /** How long answers are collected. */
  readonly waitMs: number;
  /** As soon as there are so many answers it is over. Default: no such number. */
  readonly expected?: number;
}

/**
 * One question to all who serve the subject without a queue, and what of their answers came in time; those who failed are left out.
 * At once nothing when nobody serves it.
 *
 * @throws BusUnavailable it could not be asked
 */
export async function askAll(
  bus: Pick<Bus, 'nc'>,
  subject: string,
  payload: Uint8Array,
  { waitMs, expected = Infinity }: AskAllOptions,
): Promise<readonly Uint8Array[]> {
  const { nc } = bus;
  if (nc.isClosed() || nc.info === undefined) throw new BusUnavailable(`the question on ${subject} could not be asked`);
  const inbox = inboxOf(nc);
  const answers: Uint8Array[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  let heard = 0;
  const subscription = nc.subscribe(inbox, {
    callback: (error, message) => {
      const isNobody = error !== null || readHeaders(message)?.code === 503;
      if (!isNobody && failureOf(message) === '') answers.push(message.data);
      if (isNobody || ++heard >= expected) resolve();
    },
  });
  const timer = setTimeout(resolve, waitMs);
  nc.publish(subject, payload, { reply: inbox });
  await promise;
  clearTimeout(timer);
  if (!nc.isClosed()) subscription.unsubscribe();
  return answers;
}

export interface Serving {
  /** Takes no more questions and waits for the answers that are being made. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly subject: string;
  /** Processes with the same queue share the questions. Absent: every process answers every question, see {@link askAll}. */
  readonly queue?: string;
}

/**
 * Answers questions. What the handler throws is logged here and told to the asker as "failed", without its message.
 *
 * A question is one only when its answer goes to an inbox: what nats-server delivers here as an answer of its own, because a client
 * named this subject for it, has no reply subject or that of an acknowledgement.
 */
export function serve(
  bus: Pick<Bus, 'nc' | 'logger'>,
  { subject, queue }: ServeOptions,
  handler: (payload: Uint8Array) => Promise<Uint8Array>,
): Serving {
  const running = new Set<Promise<void>>();
  const answer = async (message: Msg): Promise<void> => {
    try {
      message.respond(await handler(message.data));
    } catch (error) {
      bus.logger.error({ err: error, subject }, 'a request failed');
      const failure = headers();
      failure.set(FAILURE, 'the handler failed');
      message.respond(undefined, { headers: failure });
    }
  };
  const subscription = bus.nc.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: (error, message) => {
      if (error !== null) {
        bus.logger.error({ err: error, subject }, 'nats: serving is refused');
        return;
      }
      if (message.reply?.startsWith(INBOX) !== true) {
        bus.logger.warn({ subject, reply: message.reply }, 'a message that is no question is left out');
        return;
      }
      const work = answer(message).finally(() => running.delete(work));
      running.add(work);
    },
  });
  return {
    async stop() {
      if (!bus.nc.isClosed()) await subscription.drain();
      await Promise.all(running);
      if (!bus.nc.isClosed()) await bus.nc.flush();
    },
  };
}
