import { describe, expect, test } from '@jest/globals';
import type { LaneChange } from '#core/lane/circuit';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import type { CircuitChanged } from '#contracts/bus/facts';
import { aSubscription } from '#testkit/a-subscription';
import { makeChangeLaneState } from './change-lane-state.ts';

const id = 'sub_1' as SubscriptionId;
const target = aSubscription({ id });
const failure = { atMs: 1_000, failingSinceMs: 400, revision: 1, random: 0.5, status: 503 } as const;
const opened: LaneChange = { kind: 'opened', ...failure };

async function factsOf(laneKey: SubscriptionId, ...changes: LaneChange[]): Promise<CircuitChanged[]> {
  const facts: CircuitChanged[] = [];
  let state: LaneState | undefined;
  const changeState = makeChangeLaneState({
    // Somebody else was faster: the change is made again.
    update(_key, change) {
      change(state);
      state = change(state);
      return Promise.resolve(state);
    },
    publishFact: (fact) => Promise.resolve(void facts.push(fact)),
    now: () => 2_000,
  });
  for (const change of changes) await changeState(laneKey, [change], target);
  return facts;
}

describe('a change of a lane state', () => {
  test('tells when the circuit opens, why, and when it is closed again; of probes it tells nothing', async () => {
    const facts = await factsOf(
      id,
      { kind: 'overflowed', atMs: 500 },
      opened,
      opened,
      { kind: 'probe_started', atMs: 1_500 },
      { kind: 'probe_failed', cause: 'failures', ...failure, atMs: 1_600 },
      { kind: 'probe_started', atMs: 30_000 },
      { kind: 'probe_delivered', atMs: 40_000_000 },
      { kind: 'drained' },
    );
    const of = { kind: 'circuit', tenant: 'acme', subscription: id, sinceMs: 1_000, atMs: 2_000 };
    expect(facts).toEqual([
      { ...of, change: 'opened', cause: 'failures', failingSinceMs: 400, lastStatus: 503 },
      { ...of, change: 'closed' },
    ]);
  });

  test('does not tell of a circuit that is forgotten with its subscription', async () => {
    const facts = await factsOf(id, opened, { kind: 'ended' }, { ...opened, atMs: 5_000, failingSinceMs: 5_000 });
    expect(facts.map(({ change, sinceMs }) => [change, sinceMs])).toEqual([
      ['opened', 1_000],
      ['opened', 5_000],
    ]);
  });

  test('of a dead letter sink is nobody else’s affair', async () => {
    expect(await factsOf('sub_1_dead' as SubscriptionId, opened)).toEqual([]);
  });
});
