import { describe, expect, test } from '@jest/globals';
import type { LaneChange } from '#core/lane/circuit';
import { makeFailureWindow } from '#core/lane/failure-window';
import { changeLane } from '#core/lane/circuit';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { DEFAULT_CIRCUIT_POLICY } from '#core/lane/circuit-policy';
import type { CompletedAttempt } from '../attempt-delivery.ts';
import { makeAccountOutcome } from './account-outcome.ts';

const NOW = 1_000_000;
const laneKey = 'sub_1' as SubscriptionId;
const circuit = { ...DEFAULT_CIRCUIT_POLICY, consecutiveFailures: 3 };
const target = aSubscription({ id: laneKey, spec: aSpec({ config: { circuit } }) });

type Exchanged = NonNullable<CompletedAttempt['exchange']>;

function accountant({ isStoring = true, isCurrent = true } = {}) {
  const changes: LaneChange['kind'][] = [];
  const told: string[] = [];
  const window = makeFailureWindow();
  let state: LaneState | undefined;
  const accountOutcome = makeAccountOutcome({
    isCurrent: () => isCurrent,
    failuresOf: () => window,
    changeState(_key, [change]) {
      if (!isStoring) return Promise.reject(new Error('no leader'));
      if (change !== undefined) {
        changes.push(change.kind);
        state = changeLane(state, change, circuit);
      }
      return Promise.resolve(state);
    },
    wakeAt(_key, atMs) {
      told.push(`wake in ${Math.round((atMs - NOW) / 1000)} s`);
      return Promise.resolve();
    },
    tellGone: () => Promise.resolve(void told.push('gone')),
    reportTrouble: () => void told.push('trouble'),
    now: () => NOW,
    random: () => 0.5,
  });
  const account = async (...exchanges: (Exchanged | undefined)[]): Promise<void> => {
    for (const exchange of exchanges) await accountOutcome(laneKey, target, exchange ? { exchange } : {});
  };
  return { account, changes, told, window };
}

const failed: Exchanged = { outcome: 'retryable', status: 500 };
const delivered: Exchanged = { outcome: 'delivered', status: 204 };

describe('what a request on a common road says of its sink', () => {
  test('nothing, when the subscription was changed or disabled while it was under way', async () => {
    const { account, changes, told, window } = accountant({ isCurrent: false });
    await account({ outcome: 'gone', status: 410 }, failed, failed, failed);
    expect(changes).toEqual([]);
    expect(told).toEqual([]);
    expect(window.failingSinceMs()).toBeUndefined();
  });

  test('so many failures in a row open the circuit, and its first probe has a timer', async () => {
    const { account, changes, told } = accountant();
    await account(failed, failed, delivered, failed, failed);
    expect(changes).toEqual([]);
    await account({ outcome: 'permanent', status: 400 });
    expect(changes).toEqual(['opened']);
    expect(told).toEqual(['wake in 10 s']);
  });

  test('a 429 keeps everybody quiet at once, for as long as it says (WH-5)', async () => {
    const { account, changes, told } = accountant();
    await account({ outcome: 'throttled', status: 429, askedUntilMs: NOW + 120_000 });
    expect(changes).toEqual(['throttled']);
    expect(told).toEqual(['wake in 120 s']);
  });

  test('a 410 opens the circuit, and the registry is told to disable the subscription (D9)', async () => {
    const { account, changes, told } = accountant();
    await account({ outcome: 'gone', status: 410 });
    expect(changes).toEqual(['gone']);
    expect(told.at(-1)).toBe('gone');
  });

  test.each(['proxy', 'local_resources'] as const)('a failure of ours (%s) is not one of the sink', async (error) => {
    const { account, changes, window } = accountant();
    await account(...Array<Exchanged>(5).fill({ outcome: 'retryable', error }), undefined);
    expect(changes).toEqual([]);
    expect(window.counts(NOW)).toEqual({ successes: 0, failures: 0 });
  });

  test('what can not be stored is reported, and does not fail the attempt', async () => {
    const { account, told } = accountant({ isStoring: false });
    await account({ outcome: 'throttled', status: 429 });
    expect(told).toEqual(['trouble']);
  });
});
