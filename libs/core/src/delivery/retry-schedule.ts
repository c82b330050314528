import type { NextStep, Outcome } from './outcome.ts';
import { parseRetryAfter } from './retry-after.ts';
import type { RetryPolicy } from './retry-policy.ts';

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
  /** The response's Retry-After, as it was sent. */
  readonly retryAfter?: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** Number of the first attempt of this round: 1, or the one that a redelivery began with. The schedule starts there. */
  readonly firstAttempt: number;
  readonly policy: RetryPolicy;
  /** Instant until which attempts may start, see {@link deadlineOf}. */
  readonly deadlineAtMs: number;
  /** When the attempt ended: delays count from here. */
  readonly nowMs: number;
  /** 0 ≤ random < 1. */
  readonly random: number;
}

/** What follows from an attempt: delivered, one more at an instant, or a dead letter with its reason (D7, D8, D9). */
export function decideNext(result: AttemptResult): NextStep {
  switch (result.outcome) {
    case 'delivered':
      return { kind: 'delivered' };
    case 'gone':
      return { kind: 'dead', reason: 'gone' };
    case 'permanent':
      return { kind: 'dead', reason: 'rejected_by_sink' };
    case 'retryable':
    case 'throttled':
      return decideRetry(result);
  }
}

function decideRetry(result: AttemptResult): NextStep {
  const { policy, nowMs, random, deadlineAtMs } = result;
  const scheduledMs = retryDelayMs(policy, result.attempt - result.firstAttempt + 1, random);
  if (scheduledMs === undefined) return { kind: 'dead', reason: 'attempts_exhausted' };
  const atMs = nowMs + Math.max(scheduledMs, askedDelayMs(result) ?? 0);
  return atMs > deadlineAtMs ? { kind: 'dead', reason: 'deadline_passed' } : { kind: 'retry', atMs };
}

/**
 * The sink's own wish (WH-5), never shortened. Spread to later by up to the policy's jitter, because everything that
 * one sink throttles is told the same instant; but the spread alone never carries an attempt over the deadline.
 */
function askedDelayMs(result: AttemptResult): number | undefined {
  if (result.retryAfter === undefined) return undefined;
  const asked = parseRetryAfter(result.retryAfter, result.nowMs);
  if (asked === undefined) return undefined;
  const spread = Math.round(asked * (1 + result.policy.jitter * result.random));
  return Math.max(asked, Math.min(spread, result.deadlineAtMs - result.nowMs));
}
