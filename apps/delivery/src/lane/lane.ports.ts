import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '#bus/connection';
import type { Delivered } from '#bus/delivered';
import type { LaneEntry, LaneStore } from '#bus/lane-store';
import type { Wakes } from '#bus/wake';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { toStructuredJson } from '#core/event/structured-json';
import { deadlineOf } from '#core/delivery/retry-schedule';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { LaneMessage } from '#core/lane/lane-message';
import type { LaneStep } from '#core/lane/lane-owner';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { decodeDeliveryTask, UnreadableTask } from '#contracts/bus/delivery-task-codec';
import type { SubscriptionFact, SubscriptionVerdict } from '#contracts/bus/facts';
import type { Clock } from '#platform/tokens';
import { SignerUnavailable } from '../sign-client.ts';
import type { AttemptDelivery, HeldDelivery, ReadyDelivery } from '../attempt-delivery.ts';
import { eventOf } from '../event-of.ts';
import { isDeadLetterLane } from './lane-key.ts';

/** Bytes of a lane that are read at once. */
const READ_MAX_BYTES = 4 * 1024 * 1024;
const BEHIND_PAUSE_MS = 20;

/**
 * Reads a lane. Only the leader knows what its end is; entries come from any replica, and one that is behind is asked again.
 *
 * @param fromSeq 0: from the beginning, which is where the leader says that it is
 */
export function makeReadLane(store: Pick<LaneStore, 'read' | 'lastSeq' | 'oldest'>) {
  return async function readLane(laneKey: SubscriptionId, fromSeq: number, limit: number) {
    for (;;) {
      const lastSeq = await store.lastSeq(laneKey);
      if (lastSeq === 0 || lastSeq < fromSeq) return ended(Math.max(lastSeq, fromSeq - 1));
      const first = fromSeq > 0 ? fromSeq : (await store.oldest(laneKey))?.laneSeq;
      if (first === undefined) return ended(lastSeq);
      const read = { fromSeq: first, maxMessages: limit, maxBytes: READ_MAX_BYTES };
      const entries = await store.read(laneKey, read);
      const readUpToSeq = entries.at(-1)?.laneSeq;
      if (readUpToSeq !== undefined) return { entries, readUpToSeq, isEnd: readUpToSeq >= lastSeq };
      await delay(BEHIND_PAUSE_MS);
    }
  };

  function ended(readUpToSeq: number) {
    return { entries: [] as readonly LaneEntry[], readUpToSeq, isEnd: true };
  }
}

export interface ReadTaskPorts {
  setAside(message: Pick<Delivered, 'subject' | 'seq' | 'timestampMs'>, why: string): Promise<void>;
  remove(laneSeq: number): Promise<void>;
  subjectOf(laneKey: SubscriptionId): string;
}

/** What is no task goes where an operator finds it, and out of the lane. */
export function makeReadTask({ setAside, remove, subjectOf }: ReadTaskPorts) {
  return async function readTask(laneKey: SubscriptionId, entry: LaneEntry): Promise<DeliveryTask | undefined> {
    try {
      return decodeDeliveryTask(entry.data);
    } catch (error) {
      if (!(error instanceof UnreadableTask)) throw error;
      const place = { subject: subjectOf(laneKey), seq: entry.laneSeq, timestampMs: entry.storedAtMs };
      await setAside(place, error.message);
      await remove(entry.laneSeq);
      return undefined;
    }
  };
}

/** What the holder of a lane has to know of a delivery. A large event is read only when that depends on it. */
export function makeDescribe(readEvent: (seq: number) => Promise<CloudEvent | undefined>) {
  return async function describe(
    { laneSeq, storedAtMs }: LaneEntry,
    task: DeliveryTask,
    target: Subscription | undefined,
  ): Promise<LaneMessage> {
    const config = target?.spec.config;
    const hasKey = config?.ordering === 'partitionkey';
    const isBatched = config?.batch !== undefined;
    const event = hasKey || isBatched ? await eventOf(task, readEvent) : undefined;
    return {
      laneSeq,
      storedAtMs,
      eventSeq: task.eventSeq,
      key: (hasKey && event && attributeOf(event, 'partitionkey')) || '',
      bytes: isBatched && event !== undefined ? toStructuredJson(event).length : 0,
      attempt: task.attempt,
      deadlineAtMs: task.deadlineAtMs ?? deadlineOf(config?.retry ?? DEFAULT_RETRY_POLICY, task.acceptedAtMs),
    };
  };
}

export interface MoveToLanePorts {
  readonly store: Pick<LaneStore, 'append'>;
  readonly wakes: Pick<Wakes, 'wake'>;
  /** The lane is drained in this process: its holder need not wait for its next look. */
  hint(laneKey: SubscriptionId): void;
}

/** Puts a message of a road on its lane, as it is. The same message again is a duplicate. */
export function makeMoveToLane({ store, wakes, hint }: MoveToLanePorts) {
  return async function moveToLane(
    laneKey: SubscriptionId,
    { subject, seq, data }: Delivered,
    { isAsleep }: { readonly isAsleep: boolean },
  ): Promise<void> {
    await store.append(laneKey, data, { msgId: `${subject}#${seq}` });
    hint(laneKey);
    await wakes.wake(laneKey, { isAsleep });
  };
}

/** Facts about subscriptions, onto JOURNAL. */
export function makePublishSubscriptionFact({ publisher, topology }: Pick<Bus, 'publisher' | 'topology'>) {
  return async function publishFact(fact: SubscriptionFact, msgId: string): Promise<void> {
    await publisher.publish(topology.journalSubject(fact.tenant, fact.kind), Buffer.from(JSON.stringify(fact)), {
      msgId,
    });
  };
}

/** Tells the registry what it should do about a subscription; the same about the same revision counts once. */
export function makeTellVerdict(
  publishFact: (fact: SubscriptionFact, msgId: string) => Promise<void>,
  targetOf: (laneKey: SubscriptionId) => Subscription | undefined,
  clock: Clock,
) {
  async function tell(
    { tenant, id: subscription }: Subscription,
    about: Pick<SubscriptionVerdict, 'revision' | 'verdict' | 'reason' | 'detail'>,
  ): Promise<void> {
    const fact: SubscriptionVerdict = { kind: 'verdict', tenant, subscription, ...about, atMs: clock() };
    await publishFact(fact, `v:${subscription}:${about.revision}:${about.reason}`);
  }

  return {
    gone: (target: Subscription): Promise<void> =>
      tell(target, {
        revision: target.revision,
        verdict: 'disable',
        reason: 'gone',
        detail: 'the sink answered 410 Gone',
      }),

    /** A new credential is another revision, so it is told of each once. */
    credential: (
      reason: Extract<SubscriptionVerdict['reason'], 'credential_expired' | 'credential_refused'>,
      target: Subscription,
      detail: string,
    ): Promise<void> => tell(target, { revision: target.revision, verdict: 'pause', reason, detail }),

    /** A dead letter sink that fails for ever is no reason to disable anything. */
    async ofLane(
      laneKey: SubscriptionId,
      { kind, revision, reason: detail }: Extract<LaneStep, { kind: 'pause' | 'disable' }>,
      state: LaneState | undefined,
    ): Promise<void> {
      const target = targetOf(laneKey);
      if (target === undefined || isDeadLetterLane(laneKey)) return;
      const circuit = state?.circuit;
      const isGone = circuit !== undefined && 'cause' in circuit && circuit.cause === 'gone';
      const reason = kind === 'pause' ? 'ordering_blocked' : isGone ? 'gone' : 'failing_since';
      await tell(target, { revision, verdict: kind, reason, detail });
    },
  };
}

/** How long a lane waits for a signer that does not answer. */
const SIGNER_PAUSE_MS = 5_000;

/** In a lane a delivery waits for the signer where it is; on a common road its message is given back. */
export function makeWaitForSigner(
  { send, sendBatch }: Pick<AttemptDelivery, 'send' | 'sendBatch'>,
  clock: Clock,
): Pick<AttemptDelivery, 'send' | 'sendBatch'> {
  const held = ({ task }: ReadyDelivery): HeldDelivery => ({
    held: { ...task, holds: (task.holds ?? 0) + 1 },
    untilMs: clock() + SIGNER_PAUSE_MS,
  });
  const unlessAway = <T>(error: unknown, instead: T): T => {
    if (error instanceof SignerUnavailable) return instead;
    throw error;
  };
  return {
    send: (ready, before) => send(ready, before).catch((error: unknown) => unlessAway(error, held(ready))),
    sendBatch: (batch, before) =>
      sendBatch(batch, before).catch((error: unknown) => unlessAway(error, batch.map(held))),
  };
}
