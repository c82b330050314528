import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { classify } from '#core/delivery/classify';
import { expiresAtOf } from '#core/delivery/event-expiry';
import { holdUntilMs } from '#core/delivery/hold';
import type { DeadReason, Exchange, NatsExchange, Outcome } from '#core/delivery/outcome';
import { parseRetryAfter } from '#core/delivery/retry-after';
import { deadlineOf, decideNext } from '#core/delivery/retry-schedule';
import { secondTryCount, secondTryOf, type SecondTries } from '#core/delivery/second-try';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { StopCause, Subscription } from '#core/registry/subscription';
import type { SendReport } from '#core/lane/lane-owner';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { carriedEvent } from '#contracts/bus/delivery-task-codec';
import { attemptsMade, type AttemptMade } from '#contracts/bus/facts';
import { deadLetterEvent, deadLetterTarget } from './dead-letter-event.ts';
import { eventOf } from './event-of.ts';
import { SignatureRefused } from './sign-client.ts';
import {
  makeSendNotification,
  type BeforeRequest,
  type SendOptions,
  type SendPorts,
  type Sent,
} from './send-notification.ts';

/** What the use case needs from outside. */
export interface AttemptPorts extends SendPorts {
  /** The subscription as it is now; undefined when it is deleted. */
  findSubscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
  /** Reads an event that travels by reference; undefined when EVENTS no longer has it. */
  readEvent(seq: number): Promise<CloudEvent | undefined>;
  /** Tells an operator why a delivery waits for its signature. */
  reportRefusal(refusal: SignatureRefused): void;
  /** Has a subscription paused whose credential is not good any more. Told again, it changes nothing. */
  pauseFor(cause: CredentialCause, target: Subscription, detail: string): void;
  /** Id of the delivery that tells a dead letter sink of the end of another. */
  deadLetterIdOf(delivery: DeliveryId): DeliveryId;
  random(): number;
}

type CredentialCause = Extract<StopCause, 'credential_expired' | 'credential_refused'>;

/** An attempt that is over: the fact of it, and what is to be stored before it. */
export interface CompletedAttempt {
  readonly fact: AttemptMade;
  /** The next attempt, when there is to be one. */
  readonly nextTask?: DeliveryTask;
  /** The delivery to the dead letter sink, when this one ended without success and there is such a sink. */
  readonly deadLetterTask?: DeliveryTask;
  /** What the exchange says of the sink; absent without one. */
  readonly exchange?: NonNullable<SendReport['exchange']>;
}

/** A delivery whose signature is refused for now: no attempt was made, none is used up. */
export interface HeldDelivery {
  readonly held: DeliveryTask;
  readonly untilMs: number;
}

/** A delivery that may be attempted now, with everything that is needed for it. */
export interface ReadyDelivery {
  readonly task: DeliveryTask & { readonly deadlineAtMs: number };
  readonly event: CloudEvent;
  /** Where it goes; of a dead letter {@link deadLetterTarget}. */
  readonly target: Subscription;
}

export interface AttemptDelivery {
  /** Finds what is to be sent and whether it still may be. */
  prepare(task: DeliveryTask): Promise<ReadyDelivery | CompletedAttempt>;
  /** Sends it once and says what follows. */
  send(ready: ReadyDelivery, before?: BeforeRequest): Promise<CompletedAttempt | HeldDelivery>;
  /** Sends several in one request; its outcome is that of each. In the order of `batch`. */
  sendBatch(
    batch: readonly [ReadyDelivery, ...ReadyDelivery[]],
    before?: BeforeRequest,
  ): Promise<readonly (CompletedAttempt | HeldDelivery)[]>;
  /** Ends a delivery without looking whether it might be sent. */
  end(task: DeliveryTask, reason: DeadReason): Promise<CompletedAttempt>;
}

/** Makes one attempt, of one delivery or of a batch. It writes nothing; {@link import('./settle-attempt.ts')} does. */
export function makeAttemptDelivery(ports: AttemptPorts, options: SendOptions): AttemptDelivery {
  const notification = makeSendNotification(ports, options);

  async function prepare(task: DeliveryTask): Promise<ReadyDelivery | CompletedAttempt> {
    const startedAtMs = ports.now();
    const original = await eventOf(task, ports.readEvent);
    const subscription = await ports.findSubscription(task.tenant, task.subscription);
    const over = (reason: DeadReason) =>
      endWithoutRequest({ task, event: original, subscription }, startedAtMs, reason);
    if (original === undefined) return over('event_expired_from_store');
    if (subscription === undefined) return over('subscription_deleted');
    const target = task.deadLetter === undefined ? subscription : deadLetterTarget(subscription);
    if (target === undefined || deliveryFateOf(target) === 'end') return over('subscription_disabled');
    const deadlineAtMs = task.deadlineAtMs ?? deadlineOf(target.spec.config.retry, task.acceptedAtMs);
    if (startedAtMs > deadlineAtMs) return over('deadline_passed');
    if (startedAtMs >= expiresAtMs(task, original)) return over('event_expired');
    const event = task.deadLetter ? deadLetterEvent(original, task.deadLetter, task.subscription) : original;
    return { task: { ...task, deadlineAtMs }, event, target };
  }

  /** The dead letter of an event that has expired is news all the same. */
  function expiresAtMs(task: DeliveryTask, event: CloudEvent): number {
    return (task.deadLetter === undefined ? expiresAtOf(event) : undefined) ?? Infinity;
  }

  async function send(ready: ReadyDelivery, before?: BeforeRequest): Promise<CompletedAttempt | HeldDelivery> {
    try {
      return conclude(ready, await notification.send(ready, before), ports.now());
    } catch (error) {
      return refused(ready, error);
    }
  }

  async function sendBatch(batch: readonly [ReadyDelivery, ...ReadyDelivery[]], before?: BeforeRequest) {
    try {
      const sent = await notification.sendBatch(batch, before);
      const endedAtMs = ports.now();
      return batch.map((ready) => conclude(ready, sent, endedAtMs));
    } catch (error) {
      return batch.map((ready) => refused(ready, error));
    }
  }

  function conclude(ready: ReadyDelivery, { exchange, sentAtMs, sentAs }: Sent, endedAtMs: number): CompletedAttempt {
    const { task, event, target } = ready;
    const { retry } = target.spec.config;
    const outcome = classify(exchange, retry.outcomes);
    const secondTry = secondTryAfter(ready, { exchange, sentAtMs, sentAs });
    const expires = expiresAtMs(task, event);
    const next = decideNext({
      outcome,
      ...(exchange.kind === 'response' ? { status: exchange.status } : {}),
      ...(exchange.kind === 'response' && exchange.retryAfter !== undefined ? { retryAfter: exchange.retryAfter } : {}),
      attempt: task.attempt,
      firstAttempt: task.firstAttempt,
      secondTries: secondTryCount(task),
      hasSecondTry: secondTry !== undefined,
      policy: retry,
      deadlineAtMs: task.deadlineAtMs,
      expiresAtMs: expires,
      nowMs: endedAtMs,
      random: ports.random(),
    });
    const fact: AttemptMade = {
      ...factOf(task, event),
      startedAtMs: sentAtMs,
      durationMs: endedAtMs - sentAtMs,
      request: { outcome, ...describeExchange(exchange) },
      next,
    };
    const completed = { fact, exchange: reportOf(exchange, outcome, endedAtMs) };
    if (next.kind === 'dead') return { ...completed, ...deadLetterOf({ ...ready, subscription: target }, fact) };
    if (next.kind !== 'retry') return completed;
    const { holds: _over, ...rest } = task;
    return { ...completed, nextTask: { ...rest, ...secondTry, attempt: task.attempt + 1, dueAtMs: next.atMs } };
  }

  function endWithoutRequest(parts: Ended, atMs: number, reason: DeadReason): CompletedAttempt {
    const { task, event } = parts;
    const fact: AttemptMade = {
      ...factOf(task, event),
      startedAtMs: atMs,
      durationMs: 0,
      next: { kind: 'dead', reason },
    };
    return { fact, ...deadLetterOf(parts, fact) };
  }

  function deadLetterOf(
    { task, event, subscription }: Ended,
    fact: AttemptMade,
  ): Pick<CompletedAttempt, 'deadLetterTask'> {
    const target = subscription === undefined ? undefined : deadLetterTarget(subscription);
    if (task.deadLetter !== undefined || event === undefined || target === undefined || fact.next.kind !== 'dead')
      return {};
    const { delivery, tenant, subscription: id, eventSeq, acceptedAtMs, traceparent } = task;
    const status = fact.request?.status;
    const attempts = attemptsMade(fact);
    const deadLetterTask: DeliveryTask = {
      delivery: ports.deadLetterIdOf(delivery),
      tenant,
      subscription: id,
      eventSeq,
      acceptedAtMs,
      // The time of the delivery itself is up, most often; its dead letter has as long again.
      deadlineAtMs: deadlineOf(target.spec.config.retry, fact.startedAtMs + fact.durationMs),
      attempt: 1,
      firstAttempt: 1,
      ...(traceparent === undefined ? {} : { traceparent }),
      deadLetter: { reason: fact.next.reason, attempts, ...(status === undefined ? {} : { status }) },
      event: carriedEvent(event),
    };
    return { deadLetterTask };
  }

  /** @throws whatever is not a refusal: the delivery comes again */
  function refused({ task, event, target }: ReadyDelivery, error: unknown): CompletedAttempt | HeldDelivery {
    if (!(error instanceof SignatureRefused)) throw error;
    const nowMs = ports.now();
    if (error.isForGood) return endWithoutRequest({ task, event, subscription: target }, nowMs, 'unsignable');
    if (error.reason === 'credential_expired' || error.reason === 'credential_refused')
      ports.pauseFor(error.reason, target, error.detail ?? error.message);
    else ports.reportRefusal(error);
    const { holds = 0 } = task;
    return { held: { ...task, holds: holds + 1 }, untilMs: holdUntilMs(holds, nowMs, task.deadlineAtMs) };
  }

  return {
    prepare,
    send,
    sendBatch,
    async end(task, reason) {
      const event = await eventOf(task, ports.readEvent);
      const subscription = await ports.findSubscription(task.tenant, task.subscription);
      return endWithoutRequest({ task, event, subscription }, ports.now(), reason);
    },
  };
}

interface Ended {
  readonly task: DeliveryTask;
  readonly event: CloudEvent | undefined;
  readonly subscription: Subscription | undefined;
}

function secondTryAfter(
  { task, event, target }: ReadyDelivery,
  { exchange, sentAtMs, sentAs }: Sent,
): SecondTries | undefined {
  if (exchange.kind !== 'response') return undefined;
  const { retry } = target.spec.config;
  const credential = target.spec.sinkcredential?.credentialtype;
  return secondTryOf({
    status: exchange.status,
    sentAtMs,
    event,
    sentAs,
    ...(credential === undefined ? {} : { credential }),
    tried: task,
    ...(retry.outcomes === undefined ? {} : { overrides: retry.outcomes }),
  });
}

function factOf(task: DeliveryTask, event: CloudEvent | undefined) {
  const name = (attribute: string): string => (event && attributeOf(event, attribute)) ?? '';
  return {
    kind: 'attempt' as const,
    tenant: task.tenant,
    delivery: task.delivery,
    subscription: task.subscription,
    eventSeq: task.eventSeq,
    acceptedAtMs: task.acceptedAtMs,
    source: name('source'),
    id: name('id'),
    type: name('type'),
    attempt: task.attempt,
  };
}

function describeExchange(exchange: Exchange | NatsExchange) {
  if (exchange.kind === 'published') return {};
  if (exchange.kind === 'error') return { error: exchange.error, message: exchange.message };
  const { status, body } = exchange;
  if (body === undefined || body.text === '') return { status };
  return { status, responseBody: body.text, responseTruncated: body.truncated };
}

function reportOf(
  exchange: Exchange | NatsExchange,
  outcome: Outcome,
  atMs: number,
): CompletedAttempt['exchange'] & {} {
  if (exchange.kind === 'published') return { outcome };
  if (exchange.kind === 'error') return { outcome, error: exchange.error };
  const { status, retryAfter } = exchange;
  const askedMs = retryAfter === undefined ? undefined : parseRetryAfter(retryAfter, atMs);
  return { outcome, status, ...(askedMs === undefined ? {} : { askedUntilMs: atMs + askedMs }) };
}
