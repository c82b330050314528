import type { DeadReason, NextStep, Outcome } from './outcome.ts';
import { parseRetryAfter } from './retry-after.ts';
import { forStatus, type RetryPolicy } from './retry-policy.ts';

/**
 * Milliseconds to wait after the `n`-th attempt of a round (from 1), or `undefined` when the policy has no more delays.
 *
 * @param random 0 ≤ random < 1, where in the jitter band the delay falls
 */
export function retryDelayMs(policy: RetryPolicy, n: number, random: number): number | undefined {
  const { delaysSeconds, whenExhausted } = policy;
  const delaySeconds = delaysSeconds[n - 1] ?? (whenExhausted === 'repeat-last' ? delaysSeconds.at(-1) : undefined);
  return delaySeconds === undefined ? undefined : Math.round(delaySeconds * 1000 * jitterFactor(policy, random));
}

/** Between `1 - jitter` and `1 + jitter`; exactly 1 without jitter. */
function jitterFactor(policy: RetryPolicy, random: number): number {
  return 1 + policy.jitter * (2 * random - 1);
}

/** Instant after which no attempt of this delivery may start. */
export function deadlineOf(policy: RetryPolicy, acceptedAtMs: number): number {
  return acceptedAtMs + policy.deadlineSeconds * 1000;
}

/** An attempt that was made, and all that the decision about the next one depends on. */
export interface AttemptResult {
  readonly outcome: Outcome;
  /** Absent when there was no response. */
  readonly status?: number;
  /** The response's Retry-After, as it was sent. */
  readonly retryAfter?: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** Number of the first attempt of this round: 1, or the one that a redelivery began with. The schedule starts there. */
  readonly firstAttempt: number;
  /** Attempts of this round that were second tries, see `secondTryCount`: they use up no delay. Absent: none. */
  readonly secondTries?: number;
  /** A second try follows at once, see `secondTryOf`. */
  readonly hasSecondTry?: boolean;
  readonly policy: RetryPolicy;
  /** Instant until which attempts may start, see {@link deadlineOf}. */
  readonly deadlineAtMs: number;
  /** Instant of the event's `expirytime`, see `expiresAtOf`: no attempt from then on. */
  readonly expiresAtMs?: number;
  /** When the attempt ended: delays count from here. */
  readonly nowMs: number;
  /** 0 ≤ random < 1. */
  readonly random: number;
}

/**
 * What follows from an attempt: delivered, one more at an instant, or a dead letter with its reason (D7, D8, D9).
 *
 * The next attempt waits for the longest of the schedule's delay, the floor of the status and what the sink asks for. One
 * that would be too late is given up now: nobody has to wait for what is certain.
 */
export function decideNext(result: AttemptResult): NextStep {
  switch (result.outcome) {
    case 'delivered':
      return { kind: 'delivered' };
    case 'gone':
      return { kind: 'dead', reason: 'gone' };
    case 'permanent':
      return decideSecondTry(result) ?? { kind: 'dead', reason: 'rejected_by_sink' };
    case 'retryable':
    case 'throttled':
      return decideSecondTry(result) ?? decideRetry(result);
  }
}

/** At once, unless it would be one attempt too many, or too late. */
function decideSecondTry(result: AttemptResult): NextStep | undefined {
  const isPossible = result.hasSecondTry === true && !isLastAttempt(result);
  return isPossible && whyTooLate(result, result.nowMs) === undefined
    ? { kind: 'retry', atMs: result.nowMs }
    : undefined;
}

function decideRetry(result: AttemptResult): NextStep {
  const { policy, nowMs, random, secondTries = 0 } = result;
  const scheduledMs = retryDelayMs(policy, placeInRound(result) - secondTries, random);
  if (scheduledMs === undefined || isLastAttempt(result)) return { kind: 'dead', reason: 'attempts_exhausted' };
  const atMs = nowMs + Math.max(scheduledMs, floorMs(result) ?? 0, askedDelayMs(result) ?? 0);
  const reason = whyTooLate(result, atMs);
  return reason === undefined ? { kind: 'retry', atMs } : { kind: 'dead', reason };
}

/** From 1. */
function placeInRound({ attempt, firstAttempt }: AttemptResult): number {
  return attempt - firstAttempt + 1;
}

function isLastAttempt(result: AttemptResult): boolean {
  return placeInRound(result) >= (result.policy.maxAttempts ?? Infinity);
}

/** Of the two limits the one that comes first. */
function whyTooLate({ deadlineAtMs, expiresAtMs = Infinity }: AttemptResult, atMs: number): DeadReason | undefined {
  if (expiresAtMs <= deadlineAtMs) return atMs >= expiresAtMs ? 'event_expired' : undefined;
  return atMs > deadlineAtMs ? 'deadline_passed' : undefined;
}

/** The least delay after this status. */
function floorMs(result: AttemptResult): number | undefined {
  const seconds = result.status === undefined ? undefined : forStatus(result.policy.floorsSeconds, result.status);
  return seconds === undefined ? undefined : spreadLater(seconds * 1000, result);
}

/** The sink's own wish (WH-5), never shortened. */
function askedDelayMs(result: AttemptResult): number | undefined {
  const asked = result.retryAfter === undefined ? undefined : parseRetryAfter(result.retryAfter, result.nowMs);
  return asked === undefined ? undefined : spreadLater(asked, result);
}

/**
 * Up to the policy's jitter later, because everything that one sink throttles is told the same instant; but the spread
 * alone never carries an attempt over the deadline or the expiry of the event.
 */
function spreadLater(delayMs: number, { policy, random, nowMs, deadlineAtMs, expiresAtMs = Infinity }: AttemptResult) {
  const spread = Math.round(delayMs * (1 + policy.jitter * random));
  return Math.max(delayMs, Math.min(spread, deadlineAtMs - nowMs, expiresAtMs - 1 - nowMs));
}
