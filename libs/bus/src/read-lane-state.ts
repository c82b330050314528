import type { SubscriptionId } from '#core/ids';
import type { LaneState } from '#core/lane/lane-state';
import { orUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';
import { parseState } from './lane-state-fold.ts';

/**
 * The state of one lane as the leader has it, for who needs few and seldom: no fold, no consumer. Undefined: it has none.
 *
 * @throws BusUnavailable
 */
export async function readLaneState(
  { jsm, topology }: Pick<Bus, 'jsm' | 'topology'>,
  subscription: SubscriptionId,
): Promise<LaneState | undefined> {
  const subject = topology.circuitSubject(subscription);
  const query = { last_by_subj: subject };
  const last = await orUnavailable(jsm.streams.getMessage(topology.streams.CIRCUITS, query), `the last ${subject}`);
  return last === null || last.data.length === 0 ? undefined : parseState(last.data);
}
