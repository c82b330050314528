import type { ExchangeError } from '../delivery/outcome.ts';
import type { Subscription } from '../registry/subscription.ts';
import type { CircuitPolicy } from './circuit-policy.ts';
import type { Circuit, LaneHead, LaneState, OpenCircuit } from './lane-state.ts';

/** A request that was not delivered, as far as a circuit cares. */
export interface Failure {
  readonly atMs: number;
  /** First failure since the last success that the reporter remembers. */
  readonly failingSinceMs: number;
  /** Of the subscription that was sent to. */
  readonly revision: number;
  /** 0 ≤ random < 1, where in the jitter band the next probe falls. */
  readonly random: number;
  readonly status?: number;
  readonly error?: ExchangeError;
}

/**
 * What happened to a lane: data, so that it is applied to whatever CIRCUITS holds when it is written. Any worker reports
 * `opened`, `throttled` and `gone`; the rest comes from the holder of the lane alone.
 */
export type LaneChange =
  /** More than the share of the common road is waiting. */
  | { readonly kind: 'overflowed'; readonly atMs: number }
  /** The window of failures tripped. */
  | ({ readonly kind: 'opened' } & Failure)
  /** 429, 503 with Retry-After: nobody sends before `untilMs`; without it, before the first probe would be due. */
  | ({ readonly kind: 'throttled'; readonly untilMs?: number } & Failure)
  /** 410. */
  | ({ readonly kind: 'gone' } & Failure)
  | { readonly kind: 'probe_started'; readonly atMs: number }
  /** `untilMs`: what the sink asked for, if it did. */
  | ({ readonly kind: 'probe_failed'; readonly cause: OpenCircuit['cause']; readonly untilMs?: number } & Failure)
  | { readonly kind: 'probe_delivered'; readonly atMs: number }
  /** All heads that there are now. */
  | { readonly kind: 'heads'; readonly heads: readonly LaneHead[]; readonly atMs: number }
  | { readonly kind: 'blocked'; readonly revision: number; readonly atMs: number }
  /** The lane is empty: an open circuit stays, everything else is forgotten. */
  | { readonly kind: 'drained' }
  /** The subscription takes nothing any more: all is forgotten. */
  | { readonly kind: 'ended' };

/**
 * The state after a change; `undefined` is none: the subscription is on the common road.
 *
 * Two workers that see the same thing at once may report it in any order, and a report may be repeated: `opened`,
 * `throttled` and `gone` commute and are idempotent, and of several instants the latest counts.
 */
export function changeLane(
  state: LaneState | undefined,
  change: LaneChange,
  policy: CircuitPolicy,
): LaneState | undefined {
  switch (change.kind) {
    case 'overflowed':
      return state ?? closedSince(change.atMs);
    case 'opened':
    case 'throttled':
    case 'gone':
      return { ...state, circuit: withFailure(state?.circuit, change, policy) };
    case 'probe_started':
      return state?.circuit.kind === 'open' ? { ...state, circuit: { ...state.circuit, kind: 'half_open' } } : state;
    case 'probe_failed':
      return { ...state, circuit: afterFailedProbe(state?.circuit, change, policy) };
    case 'probe_delivered':
      return state && { ...state, circuit: afterDeliveredProbe(state.circuit, change.atMs) };
    case 'heads':
      return withHeads(state, change.heads, change.atMs);
    case 'blocked': {
      const revision = Math.max(state?.blockedAtRevision ?? 0, change.revision);
      return { ...(state ?? closedSince(change.atMs)), blockedAtRevision: revision };
    }
    case 'drained':
      return isOpen(state?.circuit) ? { circuit: { ...state.circuit, kind: 'open' } } : undefined;
    case 'ended':
      return undefined;
  }
}

/** Nobody but a probe is sent. */
export function isOpen(
  circuit: Circuit | undefined,
): circuit is OpenCircuit | Extract<Circuit, { readonly kind: 'half_open' }> {
  return circuit?.kind === 'open' || circuit?.kind === 'half_open';
}

/**
 * When the sink may be tried again. A subscription that was changed since it failed is tried at once: it may have another
 * sink, or somebody has mended something; but what the sink itself asked for stands.
 */
export function probeDueAtMs(circuit: Omit<OpenCircuit, 'kind'>, revision: number): number {
  return revision > circuit.revision ? (circuit.askedUntilMs ?? -Infinity) : circuit.nextProbeAtMs;
}

/** Why the subscription has to be disabled, as text for people; `undefined` when it has not to be. */
export function disableReasonOf(
  circuit: Circuit | undefined,
  policy: CircuitPolicy,
  revision: number,
): string | undefined {
  if (!isOpen(circuit) || circuit.revision < revision) return undefined;
  if (circuit.cause === 'gone') return 'the sink answered 410 Gone';
  return isLongFailure(circuit, policy)
    ? `the sink has failed for ${describeSeconds(policy.disableAfterSeconds)} without a single success`
    : undefined;
}

function isLongFailure(circuit: Omit<OpenCircuit, 'kind'>, policy: CircuitPolicy): boolean {
  return circuit.lastFailureAtMs - circuit.failingSinceMs >= policy.disableAfterSeconds * 1000;
}

function describeSeconds(seconds: number): string {
  if (seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  return seconds % 3600 === 0 ? `${seconds / 3600} h` : `${seconds} s`;
}

/**
 * True while an ordered lane stands still because a head was given up (`onDeadLetter: block`): until the subscription
 * was paused, which is one revision, and resumed, which is another. One that cannot be paused any more goes on.
 */
export function isBlocked(
  state: LaneState | undefined,
  { revision, state: of }: Pick<Subscription, 'revision' | 'state'>,
): boolean {
  return state?.blockedAtRevision !== undefined && of !== 'expired' && revision < state.blockedAtRevision + 2;
}

function closedSince(atMs: number): LaneState {
  return { circuit: { kind: 'closed', sinceMs: atMs } };
}

function withHeads(state: LaneState | undefined, heads: readonly LaneHead[], atMs: number): LaneState | undefined {
  if (heads.length > 0) return { ...(state ?? closedSince(atMs)), heads };
  if (state?.heads === undefined) return state;
  const { heads: _none, ...rest } = state;
  return rest;
}

type FailureChange = Extract<LaneChange, Failure>;
type Reported = Exclude<FailureChange, { readonly kind: 'probe_failed' }>;

function withFailure(circuit: Circuit | undefined, change: Reported, policy: CircuitPolicy): Circuit {
  const fresh = openedBy(change, causeOf(change), 0, policy);
  if (!isOpen(circuit)) return fresh;
  const merged = merge({ ...circuit, kind: 'open' }, fresh);
  // A probe goes on though others report late failures; but when they were told to be quiet, it does not close anything.
  return circuit.kind === 'half_open' && change.kind === 'opened' ? { ...merged, kind: 'half_open' } : merged;
}

function causeOf(change: Reported): OpenCircuit['cause'] {
  return change.kind === 'opened' ? 'failures' : change.kind;
}

function openedBy(
  change: FailureChange,
  cause: OpenCircuit['cause'],
  failedProbes: number,
  policy: CircuitPolicy,
): OpenCircuit {
  const circuit: OpenCircuit = {
    kind: 'open',
    sinceMs: change.atMs,
    failingSinceMs: Math.min(change.failingSinceMs, change.atMs),
    lastFailureAtMs: change.atMs,
    cause,
    failedProbes,
    nextProbeAtMs: nextProbeAtMs(change, cause, failedProbes, policy),
    revision: change.revision,
    ...(change.status === undefined ? {} : { lastStatus: change.status }),
    ...(change.error === undefined ? {} : { lastError: change.error }),
  };
  return askedBy(circuit, askedUntilMs(change));
}

/** As long as the longest retries: what waits now is over by then, and somebody may have mended the sink. */
const LONGEST_ASKED_MS = 86_400_000;

function askedUntilMs(change: FailureChange): number | undefined {
  const asked = change.kind === 'throttled' || change.kind === 'probe_failed' ? change.untilMs : undefined;
  return asked === undefined ? undefined : Math.min(asked, change.atMs + LONGEST_ASKED_MS);
}

/** The sink has named an instant, too. */
function askedBy(circuit: OpenCircuit, untilMs: number | undefined): OpenCircuit {
  if (untilMs === undefined) return circuit;
  const askedUntil = Math.max(untilMs, circuit.askedUntilMs ?? untilMs);
  return { ...circuit, askedUntilMs: askedUntil, nextProbeAtMs: Math.max(circuit.nextProbeAtMs, askedUntil) };
}

/** Share of the wait that is random, to both sides. */
const JITTER = 0.2;
/** A sink that asks for no time at all is not asked again within this. */
const LEAST_QUIET_MS = 1000;

function nextProbeAtMs(
  change: FailureChange,
  cause: OpenCircuit['cause'],
  failedProbes: number,
  policy: CircuitPolicy,
): number {
  // Who names an instant is taken at its word, however often it did before.
  if (cause === 'throttled' && askedUntilMs(change) !== undefined) return change.atMs + LEAST_QUIET_MS;
  if (cause === 'gone') return change.atMs + policy.longestProbeSeconds * 1000;
  return change.atMs + probeDelayMs(policy, failedProbes, change.random);
}

/** Wait before the next probe: doubled by each that failed, up to the longest; 20 % jitter, never above the longest. */
function probeDelayMs(policy: CircuitPolicy, failedProbes: number, random: number): number {
  const doubled = policy.firstProbeSeconds * 2 ** Math.min(failedProbes, 30);
  const seconds = Math.min(doubled, policy.longestProbeSeconds / (1 + JITTER));
  return Math.round(seconds * 1000 * (1 - JITTER + 2 * JITTER * random));
}

const RANK = { failures: 0, throttled: 1, gone: 2 } as const;

/**
 * Of what two reported: the worse, the earlier beginning, the later instant. A later revision is another story; but what
 * the sink asked for stands.
 */
function merge(a: OpenCircuit, b: OpenCircuit): OpenCircuit {
  if (a.revision !== b.revision) {
    const [newer, older] = a.revision > b.revision ? [a, b] : [b, a];
    return askedBy(newer, older.askedUntilMs);
  }
  const { lastStatus: _status, lastError: _error, ...rest } = a;
  const merged: OpenCircuit = {
    ...rest,
    sinceMs: Math.min(a.sinceMs, b.sinceMs),
    failingSinceMs: Math.min(a.failingSinceMs, b.failingSinceMs),
    lastFailureAtMs: Math.max(a.lastFailureAtMs, b.lastFailureAtMs),
    cause: RANK[a.cause] >= RANK[b.cause] ? a.cause : b.cause,
    failedProbes: Math.max(a.failedProbes, b.failedProbes),
    nextProbeAtMs: Math.max(a.nextProbeAtMs, b.nextProbeAtMs),
    ...lastOf(a, b),
  };
  return askedBy(merged, b.askedUntilMs);
}

/** What the later failure was; of two in the same millisecond any, but always the same one. */
function lastOf(a: OpenCircuit, b: OpenCircuit): Pick<OpenCircuit, 'lastStatus' | 'lastError'> {
  const isA = a.lastFailureAtMs === b.lastFailureAtMs ? codeOf(a) >= codeOf(b) : a.lastFailureAtMs > b.lastFailureAtMs;
  const { lastStatus, lastError } = isA ? a : b;
  return {
    ...(lastStatus === undefined ? {} : { lastStatus }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}

function codeOf({ lastStatus, lastError }: OpenCircuit): string {
  return `${lastStatus ?? ''} ${lastError ?? ''}`;
}

function afterFailedProbe(
  circuit: Circuit | undefined,
  change: Extract<LaneChange, { readonly kind: 'probe_failed' }>,
  policy: CircuitPolicy,
): OpenCircuit {
  if (!isOpen(circuit)) return openedBy(change, change.cause, 1, policy);
  // Written twice, or overtaken by somebody who was told to be quiet since.
  if (circuit.kind === 'open' && circuit.lastFailureAtMs >= change.atMs) return circuit;
  if (change.revision > circuit.revision) {
    return askedBy(openedBy({ ...change, failingSinceMs: change.atMs }, change.cause, 1, policy), circuit.askedUntilMs);
  }
  const probe = openedBy(change, change.cause, circuit.failedProbes + 1, policy);
  const failed: OpenCircuit = {
    ...probe,
    sinceMs: circuit.sinceMs,
    failingSinceMs: Math.min(circuit.failingSinceMs, probe.failingSinceMs),
    lastFailureAtMs: Math.max(circuit.lastFailureAtMs, probe.lastFailureAtMs),
    nextProbeAtMs: Math.max(circuit.nextProbeAtMs, probe.nextProbeAtMs),
    revision: circuit.revision,
  };
  return askedBy(failed, circuit.askedUntilMs);
}

function afterDeliveredProbe(circuit: Circuit, atMs: number): Circuit {
  if (!isOpen(circuit)) return circuit;
  // While it was under way the sink told somebody else to be quiet.
  if (circuit.kind === 'open' && circuit.nextProbeAtMs > atMs) return circuit;
  return { kind: 'recovering', sinceMs: atMs };
}
