import type { AttributeValue, CloudEvent } from '#core/event/cloud-event';
import type { Subscription } from '#core/registry/subscription';
import type { SubscriptionId } from '#core/ids';
import type { DeadLetterNote } from '#contracts/bus/delivery-task';

/**
 * The original event as it goes to a dead letter sink: every attribute and the data as they are, and what became of the
 * delivery as extension attributes (CE-6: lower-case letters and digits).
 *
 * | attribute                | value                                                            |
 * | ------------------------ | ---------------------------------------------------------------- |
 * | `deadletterreason`       | why, one of the codes of dead letters                            |
 * | `deadletterstatus`       | status of the last response, an integer; absent without one      |
 * | `deadletterattempts`     | attempts that were made, an integer                              |
 * | `deadlettersubscription` | the subscription that it was for                                 |
 */
export function deadLetterEvent(event: CloudEvent, note: DeadLetterNote, subscription: SubscriptionId): CloudEvent {
  const told: readonly (readonly [string, AttributeValue | undefined])[] = [
    ['deadletterreason', note.reason],
    ['deadletterstatus', note.status],
    ['deadletterattempts', note.attempts],
    ['deadlettersubscription', subscription],
  ];
  const attributes = new Map(event.attributes);
  for (const [name, value] of told) if (value !== undefined) attributes.set(name, value);
  return { ...event, attributes };
}

/**
 * The subscription as far as its dead letter sink is concerned: another address, reached by the same retry policy and
 * signature, at no rate and in no order. Pausing, disabling and consent are about the sink itself.
 *
 * @returns undefined when there is no dead letter sink (any more)
 */
export function deadLetterTarget(subscription: Subscription): Subscription | undefined {
  const { deadLetterSink, rate: _rate, batch: _batch, ...config } = subscription.spec.config;
  if (deadLetterSink === undefined) return undefined;
  const { sinkcredential: _credential, ...spec } = subscription.spec;
  return {
    ...subscription,
    state: 'active',
    validation: { status: 'none', attempts: 0 },
    spec: {
      ...spec,
      sink: deadLetterSink,
      protocol: 'HTTP',
      protocolsettings: { method: 'POST' },
      config: { ...config, ordering: 'none', onDeadLetter: 'skip' },
    },
  };
}
