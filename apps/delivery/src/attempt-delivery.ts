import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { classify } from '#core/delivery/classify';
import { holdUntilMs } from '#core/delivery/hold';
import type { DeadReason, Exchange, NatsExchange } from '#core/delivery/outcome';
import { deadlineOf, decideNext } from '#core/delivery/retry-schedule';
import type { SubscriptionId, TenantId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { Subscription } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { AttemptMade } from '#contracts/bus/facts';
import { SignatureRefused } from './sign-client.ts';
import { makeSendNotification, type SendOptions, type SendPorts } from './send-notification.ts';

/** What the use case needs from outside. */
export interface AttemptPorts extends SendPorts {
  /** The subscription as it is now; undefined when it is deleted. */
  findSubscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
  /** Reads an event that travels by reference; undefined when EVENTS no longer has it. */
  readEvent(seq: number): Promise<CloudEvent | undefined>;
  /** Tells an operator why a delivery waits for its signature. */
  reportRefusal(refusal: SignatureRefused): void;
  random(): number;
}

/** An attempt that is over: the fact of it, and the task of the next one when there is to be one. */
export interface CompletedAttempt {
  readonly fact: AttemptMade;
  readonly nextTask?: DeliveryTask;
}

/**
 * A delivery that has to wait, because its subscription is paused or pending, or because the signer refuses for now: no
 * attempt was made, none is used up.
 */
export interface HeldDelivery {
  readonly held: DeliveryTask;
  readonly untilMs: number;
}

/**
 * Makes one attempt: finds what is to be sent, sends it once, says what follows. It writes nothing; {@link settle} does.
 *
 * Waiting is a look at the subscription every minute at most, through RETRIES, and no fact: the delivery goes on being
 * shown as it was. Lanes of their own for subscriptions that wait will replace this.
 */
export function makeAttemptDelivery(ports: AttemptPorts, options: SendOptions) {
  const send = makeSendNotification(ports, options);

  return async function attemptDelivery(task: DeliveryTask): Promise<CompletedAttempt | HeldDelivery> {
    const startedAtMs = ports.now();
    const event = task.event.kind === 'inline' ? task.event.value : await ports.readEvent(task.eventSeq);
    const names = namesOf(event);
    if (event === undefined) return endWithoutRequest(task, names, startedAtMs, 'event_expired_from_store');
    const subscription = await ports.findSubscription(task.tenant, task.subscription);
    if (subscription === undefined) return endWithoutRequest(task, names, startedAtMs, 'subscription_deleted');
    const fate = deliveryFateOf(subscription);
    if (fate === 'end') return endWithoutRequest(task, names, startedAtMs, 'subscription_disabled');
    const deadlineAtMs = task.deadlineAtMs ?? deadlineOf(subscription.spec.config.retry, task.acceptedAtMs);
    if (startedAtMs > deadlineAtMs) return endWithoutRequest(task, names, startedAtMs, 'deadline_passed');
    if (fate === 'hold') return hold({ ...task, deadlineAtMs }, startedAtMs, deadlineAtMs);
    try {
      return await attempt({ ...task, deadlineAtMs }, event, subscription);
    } catch (error) {
      if (!(error instanceof SignatureRefused)) throw error;
      if (error.isForGood) return endWithoutRequest(task, names, startedAtMs, 'unsignable');
      ports.reportRefusal(error);
      return hold({ ...task, deadlineAtMs }, startedAtMs, deadlineAtMs);
    }
  };

  async function attempt(
    task: DeliveryTask & { readonly deadlineAtMs: number },
    event: CloudEvent,
    subscription: Subscription,
  ): Promise<CompletedAttempt> {
    const { exchange, sentAtMs } = await send(task, event, subscription);
    const endedAtMs = ports.now();
    const outcome = classify(exchange);
    const next = decideNext({
      outcome,
      ...(exchange.kind === 'response' && exchange.retryAfter !== undefined ? { retryAfter: exchange.retryAfter } : {}),
      attempt: task.attempt,
      firstAttempt: task.firstAttempt,
      policy: subscription.spec.config.retry,
      deadlineAtMs: task.deadlineAtMs,
      nowMs: endedAtMs,
      random: ports.random(),
    });
    const fact: AttemptMade = {
      ...factOf(task, namesOf(event)),
      startedAtMs: sentAtMs,
      durationMs: endedAtMs - sentAtMs,
      request: { outcome, ...describeExchange(exchange) },
      next,
    };
    if (next.kind !== 'retry') return { fact };
    const { holds: _over, ...rest } = task;
    return { fact, nextTask: { ...rest, attempt: task.attempt + 1 } };
  }
}

function hold({ holds = 0, ...task }: DeliveryTask, nowMs: number, deadlineAtMs: number): HeldDelivery {
  return { held: { ...task, holds: holds + 1 }, untilMs: holdUntilMs(holds, nowMs, deadlineAtMs) };
}

interface EventNames {
  readonly source: string;
  readonly id: string;
  readonly type: string;
}

function namesOf(event: CloudEvent | undefined): EventNames {
  const name = (attribute: string): string => (event && attributeOf(event, attribute)) ?? '';
  return { source: name('source'), id: name('id'), type: name('type') };
}

function factOf(task: DeliveryTask, names: EventNames) {
  return {
    kind: 'attempt' as const,
    tenant: task.tenant,
    delivery: task.delivery,
    subscription: task.subscription,
    eventSeq: task.eventSeq,
    acceptedAtMs: task.acceptedAtMs,
    ...names,
    attempt: task.attempt,
  };
}

function endWithoutRequest(task: DeliveryTask, names: EventNames, atMs: number, reason: DeadReason): CompletedAttempt {
  return { fact: { ...factOf(task, names), startedAtMs: atMs, durationMs: 0, next: { kind: 'dead', reason } } };
}

function describeExchange(exchange: Exchange | NatsExchange) {
  if (exchange.kind === 'published') return {};
  if (exchange.kind === 'error') return { error: exchange.error, message: exchange.message };
  const { status, body } = exchange;
  if (body === undefined || body.text === '') return { status };
  return { status, responseBody: body.text, responseTruncated: body.truncated };
}
