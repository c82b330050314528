import { orUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { makeSharedRead } from './follow.ts';

export interface MatchedFloor {
  /**
   * Sequence of EVENTS up to which everything has been matched and its deliveries are stored; 0 when nothing has.
   * At least what was true when it was called. One read of the leader, shared by all calls that wait for the same one.
   *
   * @throws BusUnavailable
   */
  floor(): Promise<number>;
}

/**
 * Matchers run side by side and acknowledge an event when its deliveries are stored, so the acknowledgement floor of their
 * consumer is what an ordered lane can be drained up to.
 *
 * With nothing unacknowledged all that was delivered counts: a consumer delivers in order. The last sequence of the stream is
 * never taken, although it would be the same with nothing pending: the leader of the consumer counts what is pending by its own
 * copy of the stream, which may be behind the one that is asked for the last sequence.
 */
export function makeMatchedFloor({ jsm, topology }: Pick<Bus, 'jsm' | 'topology'>): MatchedFloor {
  const read = makeSharedRead(async () => {
    const asked = jsm.consumers.info(topology.streams.EVENTS, topology.consumers.matcher);
    const info = await orUnavailable(asked, 'how far events are matched');
    const floor = info.ack_floor.stream_seq;
    return info.num_ack_pending === 0 ? Math.max(floor, info.delivered.stream_seq) : floor;
  });
  return { floor: read };
}
