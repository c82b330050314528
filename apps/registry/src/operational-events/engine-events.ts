import type { CircuitChanged, DeadLetter } from '#contracts/bus/facts';
import type { CloudEvent } from '#core/event/cloud-event';
import { isOperationalType } from '#core/match/operational-event';
import type { Subscription } from '#core/registry/subscription';
import { addressOf, isoOf, operationalEvent } from './operational-event.ts';

/** A circuit opened, or is closed again. */
export function circuitEvent(fact: CircuitChanged, subscription: Subscription | undefined): CloudEvent {
  const { change, sinceMs, cause, failingSinceMs, lastStatus, lastError, atMs } = fact;
  return operationalEvent({
    type: `io.posthaste.circuit.${change}`,
    id: `${fact.subscription}.circuit-${change}.${sinceMs}`,
    subscription: fact.subscription,
    atMs,
    data: {
      sink: subscription && addressOf(subscription.spec.sink),
      since: isoOf(sinceMs),
      cause,
      failingSince: failingSinceMs === undefined ? undefined : isoOf(failingSinceMs),
      lastStatus,
      lastError,
    },
  });
}

/** True of dead letters that a tenant is told of: not of what is no delivery, nor of an operational event that is one. */
export function isDeadDelivery(letter: DeadLetter): letter is Extract<DeadLetter, { kind: 'delivery' }> {
  return letter.kind === 'delivery' && !isOperationalType(letter.type);
}

/** A delivery was given up. */
export function deadEvent(
  letter: Extract<DeadLetter, { kind: 'delivery' }>,
  subscription: Subscription | undefined,
): CloudEvent {
  const { delivery, eventSeq, attempts, reason, lastStatus, lastError, acceptedAtMs, source, id, type, atMs } = letter;
  return operationalEvent({
    type: 'io.posthaste.delivery.dead',
    id: `${delivery}.dead.${eventSeq}-${letter.attempt ?? attempts}`,
    subscription: letter.subscription,
    atMs,
    data: {
      sink: subscription && addressOf(subscription.spec.sink),
      delivery,
      reason,
      attempts,
      lastStatus,
      lastError,
      event: { source, id, type },
      acceptedAt: isoOf(acceptedAtMs),
    },
  });
}
