import { describe, expect, test } from '@jest/globals';
import type { LaneLease } from '#bus/lane-lease';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import { aSubscription } from '#testkit/a-subscription';
import type { DrainedLane } from './drain-lane.ts';
import { isStillDue, makeKeptLanes } from './keep-lanes.ts';

const open = (lastFailureAtMs: number, nextProbeAtMs: number): LaneState => ({
  circuit: {
    kind: 'open',
    sinceMs: 0,
    failingSinceMs: 0,
    lastFailureAtMs,
    cause: 'failures',
    failedProbes: 1,
    nextProbeAtMs,
    revision: 1,
  },
});

function aDrainedLane(laneKey: SubscriptionId, done: Promise<void>): DrainedLane {
  return {
    laneKey,
    targetChanged: () => undefined,
    stateChanged: () => undefined,
    appended: () => undefined,
    inFlightCount: () => 0,
    oldestStoredAtMs: () => undefined,
    done,
  };
}

describe('a timer that fired and waited for room', () => {
  test.each<[string, LaneState | undefined, boolean]>([
    ['of a lane that was not probed since is due', open(900, 1_000), true],
    ['of one that was probed since, and sleeps again, is over', open(1_500, 9_000), false],
    ['of one that was probed since, and is due again, is due', open(1_500, 1_900), true],
    ['of one without an open circuit is due: it is for a deadline or a head', undefined, true],
  ])('%s', (_what, state, expected) => {
    expect(isStillDue(state, 1_000, 2_000)).toBe(expected);
  });
});

test('tells a lane that is drained of a change, and has it woken: it may be about to end', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const log: string[] = [];
  const lanes = makeKeptLanes({
    drainLane: ({ subscription }) => ({
      ...aDrainedLane(subscription, promise),
      targetChanged: (now) => void log.push(`told of ${now?.revision}`),
    }),
    laneState: () => undefined,
    wake: (laneKey) => Promise.resolve(void log.push(`wake ${laneKey}`)),
    reportTrouble: () => undefined,
  });
  const taken = lanes.take({ subscription: 'sub_1' } as LaneLease);
  lanes.subscriptionChanged('sub_1' as SubscriptionId, aSubscription({ revision: 2, updatedAtMs: 1 }));
  expect(log).toEqual(['told of 2', 'wake sub_1']);
  resolve();
  await taken;
});

test('counts the lanes that are probed, as long as they are drained', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const lanes = makeKeptLanes({
    drainLane: ({ subscription }) => aDrainedLane(subscription, promise),
    laneState: (laneKey) => (laneKey === 'sub_dead' ? open(0, 0) : undefined),
    wake: () => Promise.resolve(),
    reportTrouble: () => undefined,
  });
  const taken = ['sub_dead', 'sub_well'].map((id) => lanes.take({ subscription: id as SubscriptionId } as LaneLease));
  expect([lanes.count(), lanes.probed()]).toEqual([2, 1]);
  resolve();
  await Promise.all(taken);
  expect([lanes.count(), lanes.probed()]).toEqual([0, 0]);
});

test('one whose sink has answered a probe is not probed any more, however long its lane is', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const lanes = makeKeptLanes({
    drainLane: ({ subscription }) => aDrainedLane(subscription, promise),
    laneState: () => open(0, 0),
    wake: () => Promise.resolve(),
    reportTrouble: () => undefined,
  });
  const id = 'sub_back' as SubscriptionId;
  const taken = lanes.take({ subscription: id } as LaneLease);
  lanes.stateChanged(id, { circuit: { ...open(0, 0).circuit, kind: 'half_open' } as LaneState['circuit'] });
  expect(lanes.probed()).toBe(1);
  lanes.stateChanged(id, { circuit: { kind: 'recovering', sinceMs: 0 } });
  expect([lanes.count(), lanes.probed()]).toEqual([1, 0]);
  resolve();
  await taken;
});
