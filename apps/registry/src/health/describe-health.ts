import type { LaneHealthAnswer } from '#contracts/bus/lane-health';
import type { CircuitResource, SubscriptionHealthResource } from '#contracts/http/health-resource';
import { isOpen, probeDueAtMs } from '#core/lane/circuit';
import type { LaneState } from '#core/lane/lane-state';
import { requestsPerMinuteOf } from '#core/lane/road';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { Subscription } from '#core/registry/subscription';

export interface HealthFacts {
  readonly subscription: Subscription;
  readonly lane: LaneState | undefined;
  readonly waiting: number;
  readonly oldestAcceptedAtMs: number | undefined;
  /** Of the workers that answered in time. */
  readonly answers: readonly LaneHealthAnswer[];
  /** Workers that are there, as far as is known. */
  readonly workers: number;
}

export function describeHealth(facts: HealthFacts, nowMs: number): SubscriptionHealthResource {
  const { subscription, lane, waiting, oldestAcceptedAtMs, answers, workers } = facts;
  const { id, state, stateReason, spec } = subscription;
  const sum = (of: (answer: LaneHealthAnswer) => number): number =>
    answers.reduce((total, answer) => total + of(answer), 0);
  const successes = sum(({ window }) => window.successes);
  const failures = sum(({ window }) => window.failures);
  return {
    id,
    state,
    ...(stateReason === undefined ? {} : { stateReason }),
    circuit: circuitOf(lane),
    waiting,
    oldestWaitingAt: oldestAcceptedAtMs === undefined ? null : isoOf(oldestAcceptedAtMs),
    inFlight: sum(({ inFlight }) => inFlight),
    successRatio: ratioOf(successes, failures),
    window: { seconds: spec.config.circuit.windowSeconds, successes, failures },
    nextProbeAt: nextProbeAtOf(subscription, lane, nowMs),
    rate: rateOf(subscription),
    workers: answers.length,
    silentWorkers: Math.max(0, workers - answers.length),
  };
}

/** A closed one tells nothing more: that of a lane which only has much to do is as well as one without a lane. */
function circuitOf(lane: LaneState | undefined): CircuitResource {
  const circuit = lane?.circuit;
  if (circuit === undefined || circuit.kind === 'closed') return { state: 'closed' };
  if (circuit.kind === 'recovering') return { state: 'recovering', since: isoOf(circuit.sinceMs) };
  const { kind, sinceMs, cause, failingSinceMs, lastFailureAtMs, failedProbes, lastStatus, lastError } = circuit;
  return {
    state: kind,
    since: isoOf(sinceMs),
    cause,
    failingSince: isoOf(failingSinceMs),
    lastFailureAt: isoOf(lastFailureAtMs),
    failedProbes,
    ...(lastStatus === undefined ? {} : { lastStatus }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

/** Four digits. */
function ratioOf(successes: number, failures: number): number | null {
  const requests = successes + failures;
  return requests === 0 ? null : Math.round((successes / requests) * 10_000) / 10_000;
}

/** None while a probe is under way, nor of a subscription that nothing is sent to. */
function nextProbeAtOf(subscription: Subscription, lane: LaneState | undefined, nowMs: number): string | null {
  const circuit = lane?.circuit;
  if (!isOpen(circuit) || circuit.kind !== 'open' || deliveryFateOf(subscription) !== 'attempt') return null;
  const dueAtMs = probeDueAtMs(circuit, subscription.revision);
  return isoOf(dueAtMs === -Infinity ? nowMs : dueAtMs);
}

function rateOf(subscription: Subscription): SubscriptionHealthResource['rate'] {
  const requestsPerMinute = requestsPerMinuteOf(subscription);
  if (requestsPerMinute === undefined) return null;
  const wanted = subscription.spec.config.rate?.requestsPerMinute;
  return { requestsPerMinute, source: wanted === requestsPerMinute ? 'config' : 'grant' };
}

function isoOf(unixMs: number): string {
  return new Date(unixMs).toISOString();
}
