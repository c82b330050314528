import { describe, expect, test } from '@jest/globals';
import type { NextStep } from '#core/delivery/outcome';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { decodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { AttemptMade } from '#contracts/bus/facts';
import { makeSettleAttempt, type SettlePorts } from './settle-attempt.ts';

const task: DeliveryTask = {
  delivery: 'dlv_1' as DeliveryId,
  tenant: 'acme' as TenantId,
  subscription: 'sub_1' as SubscriptionId,
  eventSeq: 7,
  acceptedAtMs: 1000,
  attempt: 2,
  firstAttempt: 1,
  event: { kind: 'reference' },
};

function completed(next: NextStep) {
  const fact: AttemptMade = {
    kind: 'attempt',
    tenant: task.tenant,
    delivery: task.delivery,
    subscription: task.subscription,
    eventSeq: task.eventSeq,
    acceptedAtMs: task.acceptedAtMs,
    source: '/s',
    id: 'e1',
    type: 't',
    attempt: task.attempt,
    startedAtMs: 2000,
    durationMs: 5,
    request: { outcome: 'retryable', status: 500 },
    next,
  };
  return { fact, ...(next.kind === 'retry' ? { nextTask: { ...task, attempt: 3, deadlineAtMs: 90_000 } } : {}) };
}

function recorder(overrides: Partial<SettlePorts> = {}) {
  const stored: string[] = [];
  const ports: SettlePorts = {
    scheduleRetry: (next, payload, atMs) => {
      stored.push(`retry ${next.attempt} at ${atMs}, as ${decodeDeliveryTask(payload).attempt}`);
      return Promise.resolve();
    },
    publishDeadLetter: (letter) => {
      stored.push(`dead ${letter.reason} after ${letter.attempts}, last ${letter.lastStatus}`);
      return Promise.resolve();
    },
    publishTask: (letter, payload) => {
      stored.push(`task ${letter.delivery}, as ${decodeDeliveryTask(payload).delivery}`);
      return Promise.resolve();
    },
    publishFact: (fact) => {
      stored.push(`fact ${fact.next.kind}`);
      return Promise.resolve();
    },
    now: () => 3000,
    ...overrides,
  };
  return { stored, settle: makeSettleAttempt(ports) };
}

describe('settling an attempt', () => {
  test('it stores only the fact of a success', async () => {
    const { stored, settle } = recorder();
    await settle(task, completed({ kind: 'delivered' }));
    expect(stored).toEqual(['fact delivered']);
  });

  test('it stores the timer of the next attempt and the fact', async () => {
    const { stored, settle } = recorder();
    await settle(task, completed({ kind: 'retry', atMs: 5000 }));
    expect(stored.sort()).toEqual(['fact retry', 'retry 3 at 5000, as 3']);
  });

  test('it stores a dead letter with the reason, the attempts and the last status', async () => {
    const { stored, settle } = recorder();
    await settle(task, completed({ kind: 'dead', reason: 'gone' }));
    expect(stored.sort()).toEqual(['dead gone after 2, last 500', 'fact dead']);
  });

  test('it counts the attempts that were made: one that ended without a request was none', async () => {
    const { stored, settle } = recorder();
    const { fact } = completed({ kind: 'dead', reason: 'deadline_passed' });
    const { request: _none, ...withoutRequest } = fact;
    await settle(task, { fact: withoutRequest });
    expect(stored.sort()).toEqual(['dead deadline_passed after 1, last undefined', 'fact dead']);
  });

  test('it fails when the next step can not be stored, so that the task is not acknowledged, and tells nothing', async () => {
    const { stored, settle } = recorder({ scheduleRetry: () => Promise.reject(new Error('no leader')) });
    await expect(settle(task, completed({ kind: 'retry', atMs: 5000 }))).rejects.toThrow('no leader');
    expect(stored).toEqual([]);
  });

  test('it tells the dead letter sink first: what is stored twice is harmless, what is not stored is lost', async () => {
    const { stored, settle } = recorder();
    const deadLetterTask = { ...task, delivery: 'dlv_1_dead' as DeliveryId };
    await settle(task, { ...completed({ kind: 'dead', reason: 'gone' }), deadLetterTask });
    expect(stored).toEqual(['task dlv_1_dead, as dlv_1_dead', 'dead gone after 2, last 500', 'fact dead']);
  });

  test('it makes no dead letter of one that its sink does not take: the fact tells it', async () => {
    const { stored, settle } = recorder();
    const ofDeadLetter: DeliveryTask = { ...task, deadLetter: { reason: 'gone', attempts: 2 } };
    await settle(ofDeadLetter, completed({ kind: 'dead', reason: 'rejected_by_sink' }));
    expect(stored).toEqual(['fact dead']);
  });

  test('it makes no timer for what stays in its lane', async () => {
    const { stored, settle } = recorder();
    await settle(task, completed({ kind: 'retry', atMs: 5000 }), { staysInLane: true });
    expect(stored).toEqual(['fact retry']);
  });
});
