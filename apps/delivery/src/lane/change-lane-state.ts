import { changeLane, isOpen, type LaneChange } from '#core/lane/circuit';
import { DEFAULT_CIRCUIT_POLICY } from '#core/lane/circuit-policy';
import type { LaneState, OpenCircuit } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { CircuitChanged } from '#contracts/bus/facts';
import { isDeadLetterLane } from './lane-key.ts';

export interface ChangeLaneStatePorts {
  /** Puts what `change` makes of the state in its place; resolves when that is stored, with what it is then. */
  update(
    laneKey: SubscriptionId,
    change: (before: LaneState | undefined) => LaneState | undefined,
  ): Promise<LaneState | undefined>;
  publishFact(fact: CircuitChanged, msgId: string): Promise<void>;
  now(): number;
}

/**
 * Applies changes to a lane state, and tells when a circuit opened or is closed again. One that is forgotten with its
 * subscription (`ended`: disabled, retired) has not closed: nothing is sent any more.
 */
export function makeChangeLaneState(ports: ChangeLaneStatePorts) {
  return async function changeLaneState(
    laneKey: SubscriptionId,
    changes: readonly LaneChange[],
    target: Subscription | undefined,
  ): Promise<LaneState | undefined> {
    if (changes.length === 0) return undefined;
    const policy = target?.spec.config.circuit ?? DEFAULT_CIRCUIT_POLICY;
    let before: LaneState | undefined;
    const after = await ports.update(laneKey, (found) => {
      before = found;
      return changes.reduce((state: LaneState | undefined, change) => changeLane(state, change, policy), found);
    });
    const isTold = !isDeadLetterLane(laneKey) && changes.every(({ kind }) => kind !== 'ended');
    if (target !== undefined && isTold) await tell(target, openCircuitOf(before), openCircuitOf(after));
    return after;
  };

  async function tell(
    { tenant, id: subscription }: Subscription,
    before: SomeOpenCircuit | undefined,
    after: SomeOpenCircuit | undefined,
  ): Promise<void> {
    const open = after ?? before;
    if (open === undefined || (before !== undefined && after !== undefined)) return;
    const of = { kind: 'circuit' as const, tenant, subscription, sinceMs: open.sinceMs, atMs: ports.now() };
    const fact: CircuitChanged =
      after === undefined ? { ...of, change: 'closed' } : { ...of, change: 'opened', ...causeOf(after) };
    await ports.publishFact(fact, `c:${subscription}:${fact.change}:${open.sinceMs}`);
  }
}

type SomeOpenCircuit = Omit<OpenCircuit, 'kind'>;

function openCircuitOf(state: LaneState | undefined): SomeOpenCircuit | undefined {
  return isOpen(state?.circuit) ? state.circuit : undefined;
}

function causeOf({ cause, failingSinceMs, lastStatus, lastError }: SomeOpenCircuit) {
  return {
    cause,
    failingSinceMs,
    ...(lastStatus === undefined ? {} : { lastStatus }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}
