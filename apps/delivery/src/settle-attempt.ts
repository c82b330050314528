import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import { attemptsMade, type AttemptMade, type DeadLetter } from '#contracts/bus/facts';
import type { CompletedAttempt } from './attempt-delivery.ts';

/** Every port resolves when JetStream has stored the message; repeated with the same ids it stores nothing twice. */
export interface SettlePorts {
  scheduleRetry(task: DeliveryTask, payload: Uint8Array, atMs: number): Promise<void>;
  publishDeadLetter(letter: Extract<DeadLetter, { kind: 'delivery' }>): Promise<void>;
  /** Puts a delivery to a dead letter sink on the common road. */
  publishTask(task: DeliveryTask, payload: Uint8Array): Promise<void>;
  publishFact(fact: AttemptMade): Promise<void>;
  now(): number;
}

export interface SettleOptions {
  /** The next attempt is stored already: it stays in its lane. Default false. */
  readonly staysInLane?: boolean;
}

/**
 * Makes durable what follows from an attempt. Only when this has resolved may the task be acknowledged: the next step
 * is stored before this one is forgotten, and a crash in between repeats the attempt instead of losing the delivery.
 */
export function makeSettleAttempt(ports: SettlePorts) {
  return async function settleAttempt(
    task: DeliveryTask,
    completed: CompletedAttempt,
    { staysInLane = false }: SettleOptions = {},
  ): Promise<void> {
    if (!staysInLane) await storeNextStep(task, completed);
    await ports.publishFact(completed.fact);
  };

  async function storeNextStep(
    task: DeliveryTask,
    { fact, nextTask, deadLetterTask }: CompletedAttempt,
  ): Promise<void> {
    switch (fact.next.kind) {
      case 'delivered':
        return;
      case 'retry':
        if (nextTask === undefined) throw new Error(`attempt ${fact.attempt} of ${fact.delivery} has no next task`);
        await ports.scheduleRetry(nextTask, encodeDeliveryTask(nextTask), fact.next.atMs);
        return;
      case 'dead':
        if (deadLetterTask !== undefined) await ports.publishTask(deadLetterTask, encodeDeliveryTask(deadLetterTask));
        // A dead letter that its own sink does not take is told by its fact; there is no second one about it.
        if (task.deadLetter === undefined) await ports.publishDeadLetter(deadLetterOf(task, fact, fact.next.reason));
        return;
    }
  }

  function deadLetterOf(
    task: DeliveryTask,
    fact: AttemptMade,
    reason: Extract<DeadLetter, { kind: 'delivery' }>['reason'],
  ): Extract<DeadLetter, { kind: 'delivery' }> {
    return {
      kind: 'delivery',
      tenant: task.tenant,
      delivery: task.delivery,
      subscription: task.subscription,
      eventSeq: task.eventSeq,
      acceptedAtMs: task.acceptedAtMs,
      source: fact.source,
      id: fact.id,
      type: fact.type,
      reason,
      attempts: attemptsMade(fact),
      attempt: fact.attempt,
      ...(fact.request?.status === undefined ? {} : { lastStatus: fact.request.status }),
      ...(fact.request?.error === undefined ? {} : { lastError: fact.request.error }),
      atMs: ports.now(),
    };
  }
}
