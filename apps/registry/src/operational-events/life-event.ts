import type { CloudEvent } from '#core/event/cloud-event';
import { subscriptionDecider } from '#core/registry/subscription-decider';
import type { Subscription, SubscriptionEvent } from '#core/registry/subscription';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { addressOf, operationalEvent, type OperationalType } from './operational-event.ts';

type Step = OperationalType extends infer Type
  ? Type extends `io.posthaste.subscription.${infer Name}`
    ? Name
    : never
  : never;

/** What is told of each step; a validation that goes on is no step in the life of a subscription. */
const STEPS = {
  SubscriptionCreated: 'created',
  SubscriptionReplaced: 'updated',
  SecretRotated: 'updated',
  SubscriptionPaused: 'paused',
  SubscriptionResumed: 'resumed',
  SubscriptionDisabled: 'disabled',
  SubscriptionRetired: 'retired',
  SubscriptionExpired: 'expired',
  SubscriptionDeleted: 'deleted',
  SecretsResealed: undefined,
  CredentialRefreshed: undefined,
  ValidationRequested: undefined,
  ValidationRecorded: undefined,
} as const satisfies Record<SubscriptionEvent['kind'], Step | undefined>;

export function isTold({ kind }: Pick<SubscriptionEvent, 'kind'>): boolean {
  return STEPS[kind] !== undefined;
}

/**
 * The event that tells of one record, always the same one of the same record.
 *
 * @param history all messages of its subject in REGISTRY, oldest first; those after the record are left out
 * @param told the message of the record
 * @returns undefined when nothing is told of it
 */
export function lifeEvent(
  history: Iterable<Uint8Array>,
  told: { readonly data: Uint8Array; readonly seq: number },
): CloudEvent | undefined {
  const text = textOf(told.data);
  let before: Subscription | undefined;
  for (const data of history) {
    const record = textOf(data);
    const read = JSON.parse(record) as RegistryRecord;
    if (read.aggregate !== 'subscription') continue;
    const after = subscriptionDecider.evolve(before, read.event);
    if (record === text) return eventOf(read.event, after ?? before, told.seq);
    before = after;
  }
  return undefined;
}

/** @param subscription as it was left, of one that is deleted as it was before */
function eventOf(
  event: SubscriptionEvent,
  subscription: Subscription | undefined,
  recordSeq: number,
): CloudEvent | undefined {
  const step = STEPS[event.kind];
  if (step === undefined || subscription === undefined) return undefined;
  const { id, spec, state, validation } = subscription;
  return operationalEvent({
    type: `io.posthaste.subscription.${step}`,
    id: `${id}.${step}.${recordSeq}`,
    subscription: id,
    atMs: event.atMs,
    data: {
      sink: addressOf(spec.sink),
      state: step === 'deleted' ? undefined : state,
      changed: changedBy(event),
      reason: 'reason' in event ? event.reason : undefined,
      cause: 'cause' in event ? event.cause : undefined,
      detail:
        event.kind === 'SubscriptionExpired' && event.reason === 'validation_deadline' ? validation.detail : undefined,
      by: event.by,
    },
  });
}

function changedBy({ kind }: SubscriptionEvent): 'specification' | 'secret' | undefined {
  if (kind === 'SubscriptionReplaced') return 'specification';
  return kind === 'SecretRotated' ? 'secret' : undefined;
}

function textOf(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}
