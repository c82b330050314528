import { describe, expect, test } from '@jest/globals';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { DEFAULT_VALIDATION } from '../registry/current-spec.ts';
import type { SubscriptionState, Validation } from '../registry/subscription.ts';
import { dueValidation } from './due-validation.ts';
import { verifyWaitMs } from './verify-limit.ts';

const AT = 1_000_000;
const HOUR_MS = 3_600_000;

function due(
  validation: Partial<Validation>,
  {
    nowMs = AT,
    state = 'active',
    revalidateSeconds,
  }: { nowMs?: number; state?: SubscriptionState; revalidateSeconds?: number } = {},
) {
  const policy = { ...DEFAULT_VALIDATION, ...(revalidateSeconds === undefined ? {} : { revalidateSeconds }) };
  const spec = aSpec({ config: { validation: policy } });
  const subscription = aSubscription({ spec, state, validation: { status: 'requested', attempts: 0, ...validation } });
  return dueValidation(subscription, nowMs);
}

describe('what is due about a consent', () => {
  test('is nothing while the message that asks is on its way', () => {
    expect(due({ requestedAtMs: AT, deadlineAtMs: AT + HOUR_MS }, { nowMs: AT + 29_999 })).toBeUndefined();
  });

  test('is to ask, when that message was lost', () => {
    expect(due({ requestedAtMs: AT, deadlineAtMs: AT + HOUR_MS }, { nowMs: AT + 30_000 })).toBe('ask');
    expect(due({ requestedAtMs: AT, deadlineAtMs: AT + 1 }, { nowMs: AT + HOUR_MS })).toBe('ask');
    const asked = { requestedAtMs: AT, deadlineAtMs: AT + HOUR_MS, codeHash: 'ab' };
    expect(due(asked, { nowMs: AT + 30_000 })).toBeUndefined();
  });

  test.each(['requested', 'pending'] as const)('is to settle a deadline that nobody has, when %s (WH-16)', (status) => {
    const asked = { status, codeHash: 'ab', deadlineAtMs: AT };
    expect(due(asked, { nowMs: AT + 29_999 })).toBeUndefined();
    expect(due(asked, { nowMs: AT + 30_000 })).toBe('settle');
  });

  test.each(['denied', 'unsupported'] as const)('is to settle it for one that waits, when %s', (status) => {
    const asked = { status, codeHash: 'ab', deadlineAtMs: AT };
    expect(due(asked, { nowMs: AT + 30_000, state: 'pending' })).toBe('settle');
    expect(due(asked, { nowMs: AT + 30_000 })).toBeUndefined();
  });

  test('is to ask again when the consent is old, counted from the last time that it was tried (WH-17)', () => {
    const granted = {
      status: 'granted',
      grantedAtMs: AT,
      requestedAtMs: AT - 5,
      codeHash: 'ab',
      deadlineAtMs: AT,
    } as const;
    const policy = { revalidateSeconds: 3600 };
    expect(due(granted, { ...policy, nowMs: AT + HOUR_MS - 1 })).toBeUndefined();
    expect(due(granted, { ...policy, nowMs: AT + HOUR_MS })).toBe('ask_again');
    const tried = { ...granted, requestedAtMs: AT + HOUR_MS };
    expect(due(tried, { ...policy, nowMs: AT + HOUR_MS })).toBeUndefined();
    expect(due(granted, { nowMs: AT + 1000 * HOUR_MS })).toBeUndefined();
  });

  test.each(['paused', 'disabled', 'retired', 'expired'] as const)('is nothing for one that is %s', (state) => {
    expect(due({ requestedAtMs: 0, deadlineAtMs: 0 }, { state, nowMs: AT })).toBeUndefined();
  });

  test('is nothing for a sink that is not to be asked', () => {
    expect(due({ status: 'none' })).toBeUndefined();
  });
});

describe('asking on demand', () => {
  test('is quick at first and slow after five times', () => {
    expect(verifyWaitMs({ attempts: 1, requestedAtMs: AT }, AT + 1000)).toBe(4000);
    expect(verifyWaitMs({ attempts: 4, requestedAtMs: AT }, AT + 5000)).toBe(0);
    expect(verifyWaitMs({ attempts: 5, requestedAtMs: AT }, AT)).toBe(600_000);
    expect(verifyWaitMs({ attempts: 0 }, AT)).toBe(0);
  });
});
