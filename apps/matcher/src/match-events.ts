import { MessageTooLarge, PublishRefused } from '#bus/bus-errors';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { eventSizeViolation } from '#core/event/event-size';
import { isTraceparent } from '#core/event/traceparent';
import { deliveryIdInput, makeDeliveryId, type DeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import type { Road } from '#core/lane/road';
import { isOperationalType, reservedType } from '#core/match/operational-event';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { carriedEvent, encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import { MATCHES_PER_FACT, type EventMatched } from '#contracts/bus/facts';
import type { FairTurns } from './fair-turns.ts';
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
  /** Subscriptions that name operational events; the others never get one. */
  asksForOperationalEvents(subscription: SubscriptionId): boolean;
  roadOf(subscription: SubscriptionId): Pick<Road, 'road' | 'isAsleep'>;
  /** True when the tenant may put so many deliveries more on the common road now; they are counted then. */
  takeFromBudget(tenant: TenantId, count: number): boolean;
  publishTask(road: 'common' | 'bulk' | 'lane', task: DeliveryTask, payload: Uint8Array): Promise<void>;
  /** Tells those who drain lanes that this one has something. Resolves when that is stored. */
  wakeLane(subscription: SubscriptionId, options: { isAsleep: boolean }): Promise<void>;
  publishMatched(fact: EventMatched, part: number): Promise<void>;
  publishRejected(entry: RejectedEntry): Promise<void>;
  eventSubject(tenant: TenantId, type: string): string;
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

export interface Matching {
  /** It takes its turns with others (a large fan-out, a burst, lanes): whoever waits for small ones must not wait for it. */
  readonly takesTurns: boolean;
  /** Resolves when all that follows from the event is stored: then, and only then, it may be acknowledged. */
  readonly result: Promise<MatchResult>;
}

/**
 * An event that more subscriptions want goes by the bulk road as a whole: 100 deliveries are 3 to 4 ms of a matcher's
 * time (2 cores, shared), which is what others may have to wait.
 */
export const SMALL_FAN_OUT_MAX = 100;

/**
 * Decides which subscriptions an event is for, and makes one delivery of each. Run again after a crash, it makes the
 * same deliveries with the same ids, which the stream recognises.
 *
 * | road   | for                                                                                             |
 * | ------ | ----------------------------------------------------------------------------------------------- |
 * | lane   | subscriptions whose deliveries wait or are in order: append, then wake, whatever the event is   |
 * | bulk   | the others, of an event that many want, and of a tenant that is over its budget                 |
 * | common | the others                                                                                      |
 *
 * Call {@link MatchPorts.catchUp} once per pulled batch before the first event of it.
 */
export function makeMatchEvent(ports: MatchPorts, turns: FairTurns, { maxEventBytes }: { maxEventBytes: number }) {
  return function matchEvent(stored: StoredEvent): Matching {
    const { tenant, parsed } = stored;
    if (!ports.isKnownTenant(tenant)) return rejected(stored, [unknownTenant(stored)]);
    if (!parsed.ok) return rejected(stored, parsed.violations);
    const { event } = parsed;
    const violation = eventSizeViolation(event, { maxEventBytes }) ?? reservedTypeViolation(stored, event);
    if (violation !== undefined) return rejected(stored, [violation]);
    const matches = matchesOf(tenant, event);
    const { road, takesTurns } = wayOf(tenant, matches);
    const each: FanOut['each'] = takesTurns ? (count, start) => turns.run(tenant, count, start) : allAtOnce;
    const fanOut: FanOut = { stored, event, road, each };
    return { takesTurns, result: unlessHopeless(stored, carryOut(fanOut, matches)) };
  };

  function matchesOf(tenant: TenantId, event: CloudEvent): readonly SubscriptionId[] {
    const matches = ports.match(tenant, event);
    if (!isOperationalType(attributeOf(event, 'type') ?? '')) return matches;
    const about = attributeOf(event, 'subject');
    return matches.filter((id) => id !== about && ports.asksForOperationalEvents(id));
  }

  /** With a lane among them it takes turns as well: the wake that follows an append is put together with others for 50 ms. */
  function wayOf(tenant: TenantId, matches: readonly SubscriptionId[]): Pick<FanOut, 'road'> & { takesTurns: boolean } {
    if (matches.length > SMALL_FAN_OUT_MAX) return { road: 'bulk', takesTurns: true };
    const laneCount = matches.filter((subscription) => ports.roadOf(subscription).road === 'lane').length;
    const isWithinBudget = ports.takeFromBudget(tenant, matches.length - laneCount);
    return { road: isWithinBudget ? 'common' : 'bulk', takesTurns: !isWithinBudget || laneCount > 0 };
  }

  async function carryOut(fanOut: FanOut, matches: readonly SubscriptionId[]): Promise<MatchResult> {
    const subscriptions = await withinLimits(fanOut, matches);
    if (subscriptions.length === 0) await tell(fanOut, 0, [], 0);
    const lanes = await publishAll(fanOut, subscriptions);
    await wakeAll(fanOut, lanes);
    return { kind: 'matched', count: subscriptions.length };
  }

  async function withinLimits(fanOut: FanOut, matches: readonly SubscriptionId[]): Promise<readonly SubscriptionId[]> {
    const limited = matches.flatMap((subscription) => {
      const limits = ports.limitsOf(subscription);
      return limits === undefined ? [] : [{ subscription, limits }];
    });
    if (limited.length === 0) return matches;
    const over = new Set<SubscriptionId>();
    await fanOut.each(limited.length, async (i) => {
      const one = limited[i];
      if (one !== undefined && !(await isWithinLimits(fanOut, one.subscription, one.limits)))
        over.add(one.subscription);
    });
    return matches.filter((subscription) => !over.has(subscription));
  }

  /** The count comes last: only what would be delivered takes a number. */
  async function isWithinLimits(
    { stored, event }: FanOut,
    subscription: SubscriptionId,
    { untilMs, maxEvents }: MatchLimits,
  ): Promise<boolean> {
    if (stored.acceptedAtMs > untilMs) return false;
    if (maxEvents === undefined) return true;
    return (await ports.count(subscription, deliveryId(stored.tenant, event, subscription))) <= maxEvents;
  }

  function deliveryId(tenant: TenantId, event: CloudEvent, subscription: SubscriptionId): DeliveryId {
    const source = attributeOf(event, 'source') ?? '';
    const id = attributeOf(event, 'id') ?? '';
    return makeDeliveryId(ports.sha256(deliveryIdInput(tenant, source, id, subscription)));
  }

  /**
   * Tells of a part of the deliveries when those are stored: a crash before that repeats both, and nothing is told that
   * did not happen. Ids are made when it is their turn, so that a fan-out that waits costs eight bytes for each.
   *
   * @returns the lanes that have to be woken
   */
  async function publishAll(fanOut: FanOut, subscriptions: readonly SubscriptionId[]): Promise<readonly LaneToWake[]> {
    const { stored, event } = fanOut;
    const carried = carriedEvent(event);
    const lanes: LaneToWake[] = [];
    const parts = new Map<number, Match[]>();
    await fanOut.each(subscriptions.length, async (i) => {
      const subscription = subscriptions[i] as SubscriptionId;
      const delivery = deliveryId(stored.tenant, event, subscription);
      const { road, isAsleep } = ports.roadOf(subscription);
      const task = firstAttempt(stored, delivery, subscription, carried);
      await ports.publishTask(road === 'lane' ? 'lane' : fanOut.road, task, encodeDeliveryTask(task));
      if (road === 'lane') lanes.push({ subscription, isAsleep });

      const part = Math.floor(i / MATCHES_PER_FACT);
      const done = parts.get(part) ?? [];
      parts.set(part, done);
      done.push({ delivery, subscription });
      if (done.length < Math.min(MATCHES_PER_FACT, subscriptions.length - part * MATCHES_PER_FACT)) return;
      parts.delete(part);
      await tell(fanOut, subscriptions.length, done, part);
    });
    return lanes;
  }

  function tell({ stored, event }: FanOut, matchCount: number, matches: readonly Match[], part: number): Promise<void> {
    return ports.publishMatched(matchedFact(stored, event, matchCount, matches, ports.now()), part);
  }

  /** Few lanes do not take turns: a wake that is put together with others would keep one for up to 50 ms. */
  async function wakeAll({ each }: FanOut, lanes: readonly LaneToWake[]): Promise<void> {
    const wakeEach = lanes.length > SMALL_FAN_OUT_MAX ? each : allAtOnce;
    await wakeEach(lanes.length, async (i) => {
      const lane = lanes[i];
      if (lane !== undefined) await ports.wakeLane(lane.subscription, { isAsleep: lane.isAsleep });
    });
  }

  async function unlessHopeless(stored: StoredEvent, result: Promise<MatchResult>): Promise<MatchResult> {
    try {
      return await result;
    } catch (error) {
      const hopeless = hopelessViolation(error);
      if (hopeless === undefined) throw error;
      return reject(stored, [hopeless]);
    }
  }

  function rejected(stored: StoredEvent, violations: readonly Violation[]): Matching {
    return { takesTurns: false, result: reject(stored, violations) };
  }

  async function reject(stored: StoredEvent, violations: readonly Violation[]): Promise<MatchResult> {
    await ports.publishRejected(rejectedEntry(stored, violations, ports.now()));
    return { kind: 'rejected' };
  }

  /**
   * Only we publish these, marked and onto the subject of the type: the mark is against mistakes, the subject is what an
   * operator can forbid to producers (docs/operational-events.md).
   */
  function reservedTypeViolation({ tenant, subject, isMarkedOperational }: StoredEvent, event: CloudEvent) {
    const type = attributeOf(event, 'type') ?? '';
    if (!isOperationalType(type)) return undefined;
    if (isMarkedOperational === true && subject === ports.eventSubject(tenant, type)) return undefined;
    return { ...reservedType(type), pointer: 'ce-type' };
  }
}

type Match = EventMatched['matches'][number];

interface FanOut {
  readonly stored: StoredEvent;
  readonly event: CloudEvent;
  /** Of those that do not go by their lane. */
  readonly road: 'common' | 'bulk';
  /** Carries out pieces of it, all at once or when it is their turn. */
  readonly each: (count: number, start: (index: number) => Promise<void>) => Promise<void>;
}

interface LaneToWake {
  readonly subscription: SubscriptionId;
  readonly isAsleep: boolean;
}

async function allAtOnce(count: number, start: (index: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => start(i)));
}

function firstAttempt(
  stored: StoredEvent,
  delivery: DeliveryId,
  subscription: SubscriptionId,
  event: DeliveryTask['event'],
): DeliveryTask {
  return {
    delivery,
    tenant: stored.tenant,
    subscription,
    eventSeq: stored.seq,
    acceptedAtMs: stored.acceptedAtMs,
    attempt: 1,
    firstAttempt: 1,
    ...(isTraceparent(stored.traceparent) ? { traceparent: stored.traceparent } : {}),
    event,
  };
}

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
