import type { ConsumerInfo } from '@nats-io/jetstream';
import { orUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { makeSharedRead } from './follow.ts';

export interface MatchedFloor {
  /**
   * Sequence of EVENTS up to which everything of a tenant has been matched and its deliveries are stored; 0 when nothing has.
   * At least what was true when it was called. One read of the leader, shared by all calls that wait for the same one.
   *
   * @throws BusUnavailable
   */
  floor(tenant: string): Promise<number>;
}

/**
 * Matchers run side by side and acknowledge an event when its deliveries are stored, so the acknowledgement floor of the
 * consumer of the tenant's partition is what an ordered lane can be drained up to. What other partitions have to do is no
 * matter.
 *
 * After an upgrade the events from before there were partitions come first: until they are matched, the floor is theirs.
 */
export function makeMatchedFloor({ jsm, topology }: Pick<Bus, 'jsm' | 'topology'>): MatchedFloor {
  const { consumers, streams } = topology;
  const stream = streams.EVENTS;
  const ofPartition = new Map(consumers.matchers.map((name) => [name, makeSharedRead(() => floorOf(name))]));
  const ofUnpartitioned = makeSharedRead(readUnpartitioned);
  let isPartitioned = false;

  async function floorOf(consumer: string): Promise<number> {
    return floorIn(await orUnavailable(jsm.consumers.info(stream, consumer), 'how far events are matched'));
  }

  /** Infinity when all are matched: none can be added any more. The leader of the stream knows which there are. */
  async function readUnpartitioned(): Promise<number> {
    const floor = await floorOf(consumers.unpartitionedMatcher);
    const query = { seq: floor + 1, next_by_subj: topology.eventSubjects };
    const next = await orUnavailable(jsm.streams.getMessage(stream, query), 'which events are not matched');
    isPartitioned ||= next === null;
    return isPartitioned ? Infinity : floor;
  }

  return {
    async floor(tenant) {
      const readPartition = ofPartition.get(topology.matcherOf(tenant));
      if (readPartition === undefined) return 0;
      if (isPartitioned) return readPartition();
      return Math.min(...(await Promise.all([readPartition(), ofUnpartitioned()])));
    },
  };
}

/**
 * With nothing unacknowledged all that was delivered counts: a consumer delivers in order. The last sequence of the stream is
 * never taken, although it would be the same with nothing pending: the leader of the consumer counts what is pending by its own
 * copy of the stream, which may be behind the one that is asked for the last sequence.
 */
function floorIn({ ack_floor, delivered, num_ack_pending }: ConsumerInfo): number {
  return num_ack_pending === 0 ? Math.max(ack_floor.stream_seq, delivered.stream_seq) : ack_floor.stream_seq;
}
