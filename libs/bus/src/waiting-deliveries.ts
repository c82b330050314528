import { makeAsker } from './asker.ts';
import { orUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { readSubjectCounts } from './read-subject-counts.ts';

export interface Waiting {
  /** Messages on all roads, those that are being worked on among them. */
  readonly count: number;
  /** The payload of the oldest one of each road that has any. */
  readonly oldest: readonly Uint8Array[];
}

/** What is stored for one subscription: on its lane, on the common roads, and in timers of retries. */
export interface WaitingDeliveries {
  /**
   * From the leaders. The roads are looked at one beside the other: what changes from one to another meanwhile may be
   * counted twice or not at all. Each timer is listed by the server, some 100 bytes.
   *
   * @throws BusUnavailable
   */
  read(tenant: string, subscription: string): Promise<Waiting>;
  close(): void;
}

export function makeWaitingDeliveries({ nc, jsm, topology }: Pick<Bus, 'nc' | 'jsm' | 'topology'>): WaitingDeliveries {
  const { streams } = topology;
  const asker = makeAsker(nc);

  async function readRoad({ stream, filter, except }: Road): Promise<Waiting> {
    const counts = await readSubjectCounts(asker, stream, filter);
    let count = 0;
    for (const [subject, ofSubject] of counts) if (subject !== except) count += ofSubject;
    const oldest = count === 0 ? undefined : await firstOf(stream, filter, except);
    return { count, oldest: oldest === undefined ? [] : [oldest] };
  }

  async function firstOf(stream: string, filter: string, except: string | undefined): Promise<Uint8Array | undefined> {
    for (let seq = 1; ;) {
      const query = { seq, next_by_subj: filter };
      const first = await orUnavailable(jsm.streams.getMessage(stream, query), `the beginning of ${filter}`);
      if (first === null) return undefined;
      if (first.subject !== except) return first.data;
      seq = first.seq + 1;
    }
  }

  return {
    async read(tenant, subscription) {
      const roads: readonly Road[] = [
        { stream: streams.LANES, filter: topology.laneSubject(subscription) },
        { stream: streams.DELIVERIES, filter: topology.deliverSubject(subscription) },
        { stream: streams.DELIVERIES, filter: topology.bulkSubject(tenant, subscription) },
        { stream: streams.RETRIES, filter: topology.retryDueSubject(subscription) },
        {
          stream: streams.RETRIES,
          filter: topology.retryAtSubject(subscription, '*'),
          except: topology.wakeTimerSubject(subscription),
        },
      ];
      const read = await Promise.all(roads.map(readRoad));
      return {
        count: read.reduce((sum, { count }) => sum + count, 0),
        oldest: read.flatMap(({ oldest }) => oldest),
      };
    },
    close: () => asker.close(),
  };
}

interface Road {
  readonly stream: string;
  readonly filter: string;
  /** A subject that is no delivery. */
  readonly except?: string;
}
