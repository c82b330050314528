import type { StoredMsg } from '@nats-io/jetstream';
import { setTimeout as delay } from 'node:timers/promises';
import type { SubscriptionId } from '#core/ids';
import { makeAsker } from './asker.ts';
import { BusUnavailable, orUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import type { PublishAck } from './publish-wire.ts';
import { readBatch } from './read-batch.ts';
import { readSubjectCounts } from './read-subject-counts.ts';
import { removeStored } from './stored-message.ts';
import { lastToken } from './subject-token.ts';

export interface LaneEntry {
  /** Sequence in LANES. */
  readonly laneSeq: number;
  readonly storedAtMs: number;
  readonly data: Uint8Array;
}

export interface LaneRead {
  /** First sequence that is wanted. Default: the oldest. */
  readonly fromSeq?: number;
  readonly maxMessages: number;
  /** At least one message comes, however large. Default: no limit. */
  readonly maxBytes?: number;
}

/** The lanes, one subject of LANES per subscription. All of it throws {@link BusUnavailable} when the broker does not answer. */
export interface LaneStore {
  /**
   * Resolves when it is stored. Then {@link import('./wake.ts').Wakes.wake} has to be told.
   *
   * @param options msgId: the same within 120 s is a duplicate, even when the first was removed meanwhile
   * @throws MessageTooLarge, PublishRefused
   */
  append(
    subscription: string,
    payload: Uint8Array,
    options: { readonly msgId: string; readonly timeoutMs?: number },
  ): Promise<PublishAck>;
  /**
   * Oldest first, without a gap. Any replica answers: one that is behind gives fewer, or entries that were removed a moment
   * ago. Only what {@link lastSeq} told is certain to be there: read on until it is reached or a read from behind it is empty.
   */
  read(subscription: string, read: LaneRead): Promise<readonly LaneEntry[]>;
  /** Sequence of the newest entry, 0 when the lane is empty, from the leader: what was stored before the call is counted. */
  lastSeq(subscription: string): Promise<number>;
  /** The oldest entry, from the leader: nothing before it is there any more, whatever a replica says. */
  oldest(subscription: string): Promise<LaneEntry | undefined>;
  /** Resolves when it is gone, also when it was before. Call it for many at once. */
  remove(laneSeq: number): Promise<void>;
  count(subscription: string): Promise<number>;
  /** All lanes that are not empty. Above 100 000 it is several reads, and one that empties in between may hide another until the next call. */
  counts(): Promise<ReadonlyMap<SubscriptionId, number>>;
  /** Removes all entries of a lane; answers how many. */
  purge(subscription: string): Promise<number>;
  close(): void;
}

const REMOVE_TIMEOUT_MS = 10_000;
const RESEND_MS = 2_000;
const BACKOFF_MS = 100;

/**
 * Measured on 2 cores that were shared with other work, nats-server 2.15.1, R1, 1 KB, 10 lanes of 2 000:
 *
 * ```
 * read     direct batch of 20 / 100 / 500 / 2000      24 / 41 / 55 / 63 thousand per s
 *          the client's getBatch, same sizes          20 / 44 / 50 / 67
 *          ordered consumer on the subject            48, and a consumer to make
 *          leader, one by one (next_by_subj)           3
 * remove   MSG.DELETE one by one                       3
 *          64 / 512 at once by nc.request             19 / 23, client CPU 44 µs each
 *          512 at once by one inbox (this)            36, 15 µs
 *          purge of the subject below a sequence      34 (20 per purge), only for what is settled in order
 * ```
 */
export function makeLaneStore(bus: Pick<Bus, 'nc' | 'jsm' | 'topology' | 'publisher'>): LaneStore {
  const { nc, jsm, topology, publisher } = bus;
  const stream = topology.streams.LANES;
  const asker = makeAsker(nc);

  return {
    append: (subscription, payload, options) => publisher.publish(topology.laneSubject(subscription), payload, options),

    async read(subscription, { fromSeq = 1, maxMessages, maxBytes }) {
      const subject = topology.laneSubject(subscription);
      const limits = maxBytes === undefined ? { maxMessages } : { maxMessages, maxBytes };
      const messages = await readBatch(nc, { stream, subject, fromSeq, ...limits });
      return messages.map(({ seq, timestampMs, data }) => ({ laneSeq: seq, storedAtMs: timestampMs, data }));
    },

    async lastSeq(subscription) {
      const subject = topology.laneSubject(subscription);
      const last = await orUnavailable(
        jsm.streams.getMessage(stream, { last_by_subj: subject }),
        `the end of ${subject}`,
      );
      return last?.seq ?? 0;
    },

    async oldest(subscription) {
      const subject = topology.laneSubject(subscription);
      const query = { seq: 1, next_by_subj: subject };
      const first = await orUnavailable(jsm.streams.getMessage(stream, query), `the beginning of ${subject}`);
      return first === null ? undefined : toEntry(first);
    },

    async remove(laneSeq) {
      const giveUpAt = performance.now() + REMOVE_TIMEOUT_MS;
      for (;;) {
        try {
          return await removeStored(asker, stream, laneSeq, RESEND_MS);
        } catch (cause) {
          if (performance.now() > giveUpAt || nc.isClosed()) {
            throw new BusUnavailable(`entry ${laneSeq} of ${stream} could not be removed`, { cause });
          }
          await delay(BACKOFF_MS);
        }
      }
    },

    async count(subscription) {
      const subject = topology.laneSubject(subscription);
      return (await readSubjectCounts(asker, stream, subject)).get(subject) ?? 0;
    },

    async counts() {
      const counts = await readSubjectCounts(asker, stream, topology.laneSubject('*'));
      return new Map([...counts].map(([subject, count]) => [lastToken(subject) as SubscriptionId, count]));
    },

    async purge(subscription) {
      const filter = topology.laneSubject(subscription);
      return (await orUnavailable(jsm.streams.purge(stream, { filter }), `that ${filter} is purged`)).purged;
    },

    close: () => asker.close(),
  };
}

function toEntry({ seq, time, data }: StoredMsg): LaneEntry {
  return { laneSeq: seq, storedAtMs: time.getTime(), data };
}
