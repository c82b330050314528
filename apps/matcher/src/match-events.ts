import { MessageTooLarge, PublishRefused } from '#bus/bus-errors';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { eventSizeViolation } from '#core/event/event-size';
import { deliveryIdInput, makeDeliveryId, type DeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { encodeDeliveryTask, travelsInline } from '#contracts/bus/delivery-task-codec';
import { MATCHES_PER_FACT, type EventMatched } from '#contracts/bus/facts';
import { rejectedEntry, type RejectedEntry, type Violation } from './rejected-entry.ts';
import type { StoredEvent } from './stored-event.ts';

/** What the matcher needs from outside. Every publish resolves when JetStream has stored the message. */
export interface MatchPorts {
  /** Resolves when the index has every subscription that was acknowledged before the call (the fence). */
  catchUp(): Promise<void>;
  isKnownTenant(tenant: TenantId): boolean;
  match(tenant: TenantId, event: CloudEvent): readonly SubscriptionId[];
  /** Undefined for the most part: no limit. */
  limitsOf(subscription: SubscriptionId): MatchLimits | undefined;
  /** Counts a match of a subscription that has a limit of them; the same delivery again has the same number. From 1. */
  count(subscription: SubscriptionId, delivery: DeliveryId): Promise<number>;
  publishTask(task: DeliveryTask, payload: Uint8Array): Promise<void>;
  publishMatched(fact: EventMatched, part: number): Promise<void>;
  publishRejected(entry: RejectedEntry): Promise<void>;
  sha256(text: string): Uint8Array;
  now(): number;
}

/** Where the matches of a subscription end. */
export interface MatchLimits {
  /** Events that were accepted later do not match. `Infinity` for never. */
  readonly untilMs: number;
  /** Events that match in all. */
  readonly maxEvents?: number;
}

export type MatchResult = { readonly kind: 'matched'; readonly count: number } | { readonly kind: 'rejected' };

/**
 * Decides which subscriptions an event is for, and makes one delivery of each. Run again after a crash, it makes the
 * same deliveries with the same ids, which the stream recognises.
 *
 * Call {@link MatchPorts.catchUp} once per pulled batch before the first event of it.
 */
export function makeMatchEvent(ports: MatchPorts, { maxEventBytes }: { maxEventBytes: number }) {
  return async function matchEvent(stored: StoredEvent): Promise<MatchResult> {
    const { tenant, parsed } = stored;
    if (!ports.isKnownTenant(tenant)) return reject(stored, [unknownTenant(stored)]);
    if (!parsed.ok) return reject(stored, parsed.violations);
    const tooLarge = eventSizeViolation(parsed.event, { maxEventBytes });
    if (tooLarge !== undefined) return reject(stored, [tooLarge]);
    try {
      return await fanOut(stored, parsed.event);
    } catch (error) {
      const hopeless = hopelessViolation(error);
      if (hopeless === undefined) throw error;
      return reject(stored, [hopeless]);
    }
  };

  async function fanOut(stored: StoredEvent, event: CloudEvent): Promise<MatchResult> {
    const { tenant } = stored;
    const matches = await withinLimits(
      stored,
      ports.match(tenant, event).map((subscription) => ({
        subscription,
        delivery: deliveryId(tenant, event, subscription),
      })),
    );
    await publishTasks(stored, event, matches);
    await publishFacts(stored, event, matches);
    return { kind: 'matched', count: matches.length };
  }

  async function withinLimits(stored: StoredEvent, matches: readonly Match[]): Promise<readonly Match[]> {
    const limits = matches.map(({ subscription }) => ports.limitsOf(subscription));
    if (limits.every((limit) => limit === undefined)) return matches;
    const isWithin = await Promise.all(matches.map((match, i) => isWithinLimits(stored, match, limits[i])));
    return matches.filter((_match, i) => isWithin[i]);
  }

  /** The count comes last: only what would be delivered takes a number. */
  async function isWithinLimits(
    { acceptedAtMs }: StoredEvent,
    { subscription, delivery }: Match,
    limits: MatchLimits | undefined,
  ): Promise<boolean> {
    if (limits === undefined) return true;
    if (acceptedAtMs > limits.untilMs) return false;
    return limits.maxEvents === undefined || (await ports.count(subscription, delivery)) <= limits.maxEvents;
  }

  function deliveryId(tenant: TenantId, event: CloudEvent, subscription: SubscriptionId): DeliveryId {
    const source = attributeOf(event, 'source') ?? '';
    const id = attributeOf(event, 'id') ?? '';
    return makeDeliveryId(ports.sha256(deliveryIdInput(tenant, source, id, subscription)));
  }

  async function publishTasks(stored: StoredEvent, event: CloudEvent, matches: readonly Match[]): Promise<void> {
    const carried: DeliveryTask['event'] = travelsInline(event)
      ? { kind: 'inline', value: event }
      : { kind: 'reference' };
    await Promise.all(
      matches.map(({ delivery, subscription }) => {
        const task: DeliveryTask = {
          delivery,
          tenant: stored.tenant,
          subscription,
          eventSeq: stored.seq,
          acceptedAtMs: stored.acceptedAtMs,
          attempt: 1,
          firstAttempt: 1,
          ...(stored.traceparent === undefined ? {} : { traceparent: stored.traceparent }),
          event: carried,
        };
        return ports.publishTask(task, encodeDeliveryTask(task));
      }),
    );
  }

  /** After the tasks: a crash in between repeats both, and nothing is told that did not happen. */
  async function publishFacts(stored: StoredEvent, event: CloudEvent, matches: readonly Match[]): Promise<void> {
    const parts = Math.max(1, Math.ceil(matches.length / MATCHES_PER_FACT));
    const facts = Array.from({ length: parts }, (_, part): Promise<void> => {
      const told = matches.slice(part * MATCHES_PER_FACT, (part + 1) * MATCHES_PER_FACT);
      return ports.publishMatched(matchedFact(stored, event, matches.length, told, ports.now()), part);
    });
    await Promise.all(facts);
  }

  async function reject(stored: StoredEvent, violations: readonly Violation[]): Promise<MatchResult> {
    await ports.publishRejected(rejectedEntry(stored, violations, ports.now()));
    return { kind: 'rejected' };
  }
}

type Match = EventMatched['matches'][number];

/** What no redelivery can change. Without this the event would come back for ever; deliveries made before stay. */
function hopelessViolation(error: unknown): Violation | undefined {
  if (error instanceof MessageTooLarge) {
    const detail = `What follows from the event is larger than a message of the NATS server may be: ${error.message}.`;
    return { rule: 'CE-12', pointer: '', detail };
  }
  if (!(error instanceof PublishRefused)) return undefined;
  return {
    rule: 'not-storable',
    pointer: '',
    detail: `The NATS server refuses what follows from it: ${error.message}.`,
  };
}

function unknownTenant({ tenant, subject }: StoredEvent): Violation {
  return {
    rule: 'tenant-unknown',
    pointer: subject,
    detail: `There is no tenant "${tenant}". Create it with PUT /v1/tenants/${tenant}, or publish onto the subject of another.`,
  };
}

function matchedFact(
  stored: StoredEvent,
  event: CloudEvent,
  matchCount: number,
  matches: readonly Match[],
  atMs: number,
): EventMatched {
  return {
    kind: 'matched',
    tenant: stored.tenant,
    eventSeq: stored.seq,
    acceptedAtMs: stored.acceptedAtMs,
    source: attributeOf(event, 'source') ?? '',
    id: attributeOf(event, 'id') ?? '',
    type: attributeOf(event, 'type') ?? '',
    atMs,
    matchCount,
    matches,
  };
}
