import { describe, expect, test } from '@jest/globals';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { aSubscription } from '#testkit/a-subscription';
import { makeSweepLanes } from './sweep-lanes.ts';

const NOW = 10_000_000;
const closed: LaneState = { circuit: { kind: 'closed', sinceMs: 0 } };
const openUntil = (nextProbeAtMs: number): LaneState => ({
  circuit: {
    kind: 'open',
    sinceMs: 0,
    failingSinceMs: 0,
    lastFailureAtMs: 0,
    cause: 'failures',
    failedProbes: 0,
    nextProbeAtMs,
    revision: 1,
  },
});

interface Lane {
  readonly count?: number;
  readonly state?: LaneState;
  readonly target?: Partial<Subscription>;
  readonly isDeleted?: boolean;
}

/** How many were woken before each pause. */
const pauses: number[] = [];

async function sweep(given: Readonly<Record<string, Lane>>, times: readonly number[] = [NOW]): Promise<string[]> {
  const lanes = Object.entries(given).map(([id, lane]) => [id as SubscriptionId, lane] as const);
  const woken: string[] = [];
  let nowMs = times[0] ?? NOW;
  const find = (id: SubscriptionId): Lane | undefined => given[id];
  const sweepLanes = makeSweepLanes({
    counts: () =>
      Promise.resolve(new Map(lanes.flatMap(([id, { count }]) => (count === undefined ? [] : [[id, count]])))),
    states: () => lanes.flatMap(([id, { state }]) => (state === undefined ? [] : [[id, state] as const])),
    laneState: (id) => find(id)?.state,
    targetOf: (id) => (find(id)?.isDeleted ? undefined : aSubscription({ id, ...find(id)?.target })),
    wake: (id) => Promise.resolve(void woken.push(id)),
    now: () => nowMs,
    sleep: () => Promise.resolve(void pauses.push(woken.length)),
  });
  for (const time of times) {
    nowMs = time;
    woken.length = 0;
    await sweepLanes();
  }
  return woken.sort();
}

describe('the sweep', () => {
  test('wakes lanes that nothing explains: somebody crashed between two steps', async () => {
    expect(
      await sweep({
        stranded: { count: 3 },
        overflowed: { count: 3, state: closed },
        paused: { count: 3, target: { state: 'paused' } },
        sleeping: { count: 3, state: openUntil(NOW + 60_000) },
        timerLost: { count: 3, state: openUntil(NOW - 60_000) },
        disabled: { count: 3, target: { state: 'disabled' } },
        deleted: { count: 3, isDeleted: true },
      }),
    ).toEqual(['deleted', 'disabled', 'overflowed', 'stranded', 'timerLost']);
  });

  test('wakes lanes that are empty and have a state that a drained one does not have', async () => {
    expect(
      await sweep({
        leftClosed: { state: closed },
        leftRecovering: { state: { circuit: { kind: 'recovering', sinceMs: 0 } } },
        ofNobody: { state: openUntil(NOW + 60_000), isDeleted: true },
        failing: { state: openUntil(NOW - 60_000) },
      }),
    ).toEqual(['leftClosed', 'leftRecovering', 'ofNobody']);
  });

  test('wakes everything that waits once in an hour, so that a timer that was never stored costs no delivery', async () => {
    const paused = { paused: { count: 1, target: { state: 'paused' as const } } };
    expect(await sweep(paused, [NOW, NOW + 3_599_999])).toEqual([]);
    expect(await sweep(paused, [NOW, NOW + 3_600_000])).toEqual(['paused']);
  });
});

describe('ten thousand lanes', () => {
  const many = (lane: Lane) => Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`lane-${i}`, lane]));

  test('whose timers are late are left to those who are busy with them, but for some', async () => {
    expect(await sweep({ ...many({ count: 1, state: openUntil(NOW - 60_000) }), stranded: { count: 1 } })).toHaveLength(
      257,
    );
  });

  test('are not woken at once: others have to be drained, too', async () => {
    pauses.length = 0;
    expect(await sweep(many({ count: 1 }))).toHaveLength(10_000);
    expect(pauses[0]).toBe(64);
    expect(pauses).toHaveLength(156);
  });
});
