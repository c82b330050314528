import { isOurFault } from '#core/delivery/outcome';
import { isOpen, type LaneChange } from '#core/lane/circuit';
import type { FailureWindow } from '#core/lane/failure-window';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { CompletedAttempt } from '../attempt-delivery.ts';
import { isDeadLetterLane } from './lane-key.ts';

export interface AccountOutcomePorts {
  /** False when the subscription is another by now, or gone: what an old request says of its sink is history. */
  isCurrent(target: Subscription): boolean;
  failuresOf(laneKey: SubscriptionId, target: Subscription): FailureWindow;
  /** Makes the change known to all processes; resolves when it is stored. */
  changeState(
    laneKey: SubscriptionId,
    changes: readonly LaneChange[],
    target: Subscription,
  ): Promise<LaneState | undefined>;
  /** Has the lane drained at an instant, by whoever is there then. */
  wakeAt(laneKey: SubscriptionId, atMs: number): Promise<void>;
  /** Has the registry disable a subscription whose sink is gone (410). */
  tellGone(target: Subscription, atMs: number): Promise<void>;
  reportTrouble(laneKey: SubscriptionId, error: unknown): void;
  now(): number;
  random(): number;
}

/**
 * Counts how a request on a common road ended. A sink that fails too often, or says that it wants none for a while or ever,
 * gets a lane state: from then on nobody sends to it but the holder of its lane.
 *
 * | outcome                       | what follows                                             |
 * | ----------------------------- | -------------------------------------------------------- |
 * | delivered                     | counts as a success                                      |
 * | throttled (429, Retry-After)  | the whole subscription is quiet at once                  |
 * | gone (410)                    | the same, and the registry is told to disable it         |
 * | any other                     | counts as a failure; the circuit opens with the last one |
 * | our own fault                 | nothing: it says nothing about the sink                  |
 * | any, of an older revision     | nothing: the first 410 has disabled it already           |
 *
 * Never rejects: what is not stored here is found out again with the next request.
 */
export function makeAccountOutcome(ports: AccountOutcomePorts) {
  return async function accountOutcome(
    laneKey: SubscriptionId,
    target: Subscription,
    { exchange }: Pick<CompletedAttempt, 'exchange'>,
  ): Promise<void> {
    if (exchange === undefined || (exchange.error !== undefined && isOurFault(exchange.error))) return;
    if (!ports.isCurrent(target)) return;
    const nowMs = ports.now();
    const failures = ports.failuresOf(laneKey, target);
    const tripped = failures.record(nowMs, exchange.outcome === 'delivered', target.spec.config.circuit);
    const change = changeAfter(target, exchange, failures.failingSinceMs() ?? nowMs, tripped === 'trip');
    if (change === undefined) return;
    try {
      const circuit = (await ports.changeState(laneKey, [change], target))?.circuit;
      // What comes now waits in the lane; nobody but this timer knows when it may be tried.
      if (isOpen(circuit)) await ports.wakeAt(laneKey, circuit.nextProbeAtMs);
      if (change.kind === 'gone' && !isDeadLetterLane(laneKey)) await ports.tellGone(target, nowMs);
    } catch (error) {
      ports.reportTrouble(laneKey, error);
    }
  };

  function changeAfter(
    { revision }: Subscription,
    exchange: NonNullable<CompletedAttempt['exchange']>,
    failingSinceMs: number,
    hasTripped: boolean,
  ): LaneChange | undefined {
    const { outcome, status, error, askedUntilMs } = exchange;
    const failure = {
      atMs: ports.now(),
      failingSinceMs,
      revision,
      random: ports.random(),
      ...(status === undefined ? {} : { status }),
      ...(error === undefined ? {} : { error }),
    };
    if (outcome === 'gone') return { kind: 'gone', ...failure };
    if (outcome === 'throttled') {
      return { kind: 'throttled', ...failure, ...(askedUntilMs === undefined ? {} : { untilMs: askedUntilMs }) };
    }
    return hasTripped ? { kind: 'opened', ...failure } : undefined;
  }
}
