import { setTimeout as delay } from 'node:timers/promises';
import { BusUnavailable, orUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { readBatch, type StoredMessage } from './read-batch.ts';

/** As many sequences cannot hold more messages than one read brings. */
const NARROW = 256;
/** With fewer messages than this in a window, the next one is wider. */
const SPARSE = NARROW / 4;
const BEHIND_MS = 50;
const MAX_WAIT_MS = 5_000;
/** Nothing was stored before or will be after, and the server counts nanoseconds in 64 bits: what does not fit is some other instant. */
const EARLIEST_MS = 0;
const LATEST_MS = Date.UTC(2262, 0);

export interface BackwardsRequest {
  readonly stream: string;
  /** May have wildcards. */
  readonly subject: string;
  /** Only messages with a lower sequence. */
  readonly beforeSeq?: number | undefined;
  /** Only messages stored before this instant, Unix ms. */
  readonly beforeMs?: number | undefined;
}

/**
 * The messages of a subject, newest first, for as long as the reader wants more. JetStream only reads forwards: this
 * reads windows of sequences from the end on, four times as wide when they turn out to be sparse, so one message among a million
 * others costs ten reads.
 *
 * @throws BusUnavailable when the broker does not answer
 */
export async function* readBackwards(
  bus: Pick<Bus, 'nc' | 'jsm'>,
  { stream, subject, beforeSeq = Infinity, beforeMs }: BackwardsRequest,
): AsyncGenerator<StoredMessage, void, undefined> {
  // The leader knows what the newest one is; any replica answers what follows.
  const query = { last_by_subj: subject };
  const newest = (await orUnavailable(bus.jsm.streams.getMessage(stream, query), `the last ${subject}`))?.seq ?? 0;
  const isBounded = beforeMs !== undefined && beforeMs < LATEST_MS;
  const later = isBounded ? await firstSince(bus, stream, subject, Math.max(EARLIEST_MS, beforeMs)) : undefined;
  let upTo = Math.min(newest, beforeSeq - 1, (later ?? Infinity) - 1);
  let width = NARROW;
  while (upTo > 0) {
    const fromSeq = Math.max(1, upTo - width + 1);
    const window = await readWindow(bus, { stream, subject, fromSeq, upTo, newest });
    if (window === 'dense') {
      width = Math.max(NARROW, width / 4);
      continue;
    }
    yield* window.filter(({ isPublished }) => isPublished).toReversed();
    upTo = fromSeq - 1;
    if (window.length < SPARSE) width *= 4;
  }
}

async function firstSince(
  { jsm }: Pick<Bus, 'jsm'>,
  stream: string,
  subject: string,
  sinceMs: number,
): Promise<number | undefined> {
  const query = { start_time: new Date(sinceMs), next_by_subj: subject };
  return (await orUnavailable(jsm.direct.getMessage(stream, query), `the first ${subject} since an instant`))?.seq;
}

/** All of a window, or that it has more than is worth keeping in memory. */
async function readWindow(
  { nc }: Pick<Bus, 'nc'>,
  wanted: { stream: string; subject: string; fromSeq: number; upTo: number; newest: number },
): Promise<readonly StoredMessage[] | 'dense'> {
  const { stream, subject, upTo, newest } = wanted;
  const giveUpAt = performance.now() + MAX_WAIT_MS;
  const window: StoredMessage[] = [];
  for (let fromSeq = wanted.fromSeq; fromSeq <= upTo;) {
    if (window.length > NARROW) return 'dense';
    const batch = await readBatch(nc, { stream, subject, fromSeq, maxMessages: NARROW });
    window.push(...batch.filter(({ seq }) => seq <= upTo));
    const last = batch.at(-1)?.seq;
    if (last !== undefined) fromSeq = last + 1;
    else if (upTo < newest || (window.at(-1)?.seq ?? 0) === newest) break;
    else if (performance.now() > giveUpAt) throw new BusUnavailable(`${subject} could not be read to its end`);
    else await delay(BEHIND_MS); // a replica that has not got the newest one yet
  }
  return window;
}
