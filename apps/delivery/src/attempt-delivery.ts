import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { toHttpNotification } from '#core/event/http-binding';
import { classify } from '#core/delivery/classify';
import type { DeadReason, Exchange } from '#core/delivery/outcome';
import { deadlineOf, decideNext } from '#core/delivery/retry-schedule';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { AttemptMade } from '#contracts/bus/facts';

type HeaderPair = readonly [string, string];

/** What the use case needs from outside. */
export interface AttemptPorts {
  /** The subscription as it is now; undefined when it is deleted. */
  findSubscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
  /** Reads an event that travels by reference; undefined when EVENTS no longer has it. */
  readEvent(seq: number): Promise<CloudEvent | undefined>;
  /** Signature headers. Waits while the signer is away: deliveries wait, they do not fail. */
  sign(request: {
    subscription: SubscriptionId;
    tenant: TenantId;
    messageId: string;
    timestampSeconds: number;
    body: Uint8Array;
  }): Promise<readonly HeaderPair[]>;
  post(url: string, headers: readonly HeaderPair[], body: Uint8Array): Promise<Exchange>;
  childTraceparent(parent: string | undefined): string;
  now(): number;
  random(): number;
}

/** An attempt that is over: the fact of it, and the task of the next one when there is to be one. */
export interface CompletedAttempt {
  readonly fact: AttemptMade;
  readonly nextTask?: DeliveryTask;
}

/**
 * Makes one attempt: finds what is to be sent, sends it once, says what follows. It writes nothing; {@link settle} does.
 */
export function makeAttemptDelivery(ports: AttemptPorts, { userAgent }: { userAgent: string }) {
  return async function attemptDelivery(task: DeliveryTask): Promise<CompletedAttempt> {
    const startedAtMs = ports.now();
    const event = task.event.kind === 'inline' ? task.event.value : await ports.readEvent(task.eventSeq);
    const names = namesOf(event);
    if (event === undefined) return endWithoutRequest(task, names, startedAtMs, 'event_expired_from_store');
    const subscription = await ports.findSubscription(task.tenant, task.subscription);
    if (subscription === undefined) return endWithoutRequest(task, names, startedAtMs, 'subscription_deleted');
    const { retry } = subscription.spec.config;
    const deadlineAtMs = task.deadlineAtMs ?? deadlineOf(retry, task.acceptedAtMs);
    if (startedAtMs > deadlineAtMs) return endWithoutRequest(task, names, startedAtMs, 'deadline_passed');

    const { exchange, sentAtMs } = await send(task, event, subscription);
    const endedAtMs = ports.now();
    const outcome = classify(exchange);
    const next = decideNext({
      outcome,
      ...(exchange.kind === 'response' && exchange.retryAfter !== undefined ? { retryAfter: exchange.retryAfter } : {}),
      attempt: task.attempt,
      firstAttempt: task.firstAttempt,
      policy: retry,
      deadlineAtMs,
      nowMs: endedAtMs,
      random: ports.random(),
    });
    const fact: AttemptMade = {
      ...factOf(task, names),
      startedAtMs: sentAtMs,
      durationMs: endedAtMs - sentAtMs,
      request: { outcome, ...describeExchange(exchange) },
      next,
    };
    if (next.kind !== 'retry') return { fact };
    return { fact, nextTask: { ...task, deadlineAtMs, attempt: task.attempt + 1 } };
  };

  async function send(task: DeliveryTask, event: CloudEvent, { spec, id, tenant }: Subscription) {
    const notification = toHttpNotification(event, spec.config.contentMode);
    const signature =
      spec.config.signature.profile === 'none'
        ? []
        : await ports.sign({
            subscription: id,
            tenant,
            messageId: task.delivery,
            timestampSeconds: Math.floor(ports.now() / 1000),
            body: notification.body,
          });
    const headers: HeaderPair[] = [
      ['content-type', notification.contentType],
      ['user-agent', userAgent],
      ...notification.headers,
      ...signature,
      ['traceparent', ports.childTraceparent(attributeOf(event, 'traceparent') ?? task.traceparent)],
    ];
    const sentAtMs = ports.now();
    return { sentAtMs, exchange: await ports.post(spec.sink, headers, notification.body) };
  }
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

function describeExchange(exchange: Exchange) {
  if (exchange.kind === 'error') return { error: exchange.error, message: exchange.message };
  const { status, body } = exchange;
  if (body === undefined || body.text === '') return { status };
  return { status, responseBody: body.text, responseTruncated: body.truncated };
}
