import type { Bus } from '#bus/connection';
import { consumeEach, type Consuming } from '#bus/consume';
import type { Delivered } from '#bus/delivered';
import { onlyRecords } from '#bus/read-record';
import { readSubject } from '#bus/read-subject';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { CircuitChanged, DeadLetter } from '#contracts/bus/facts';
import { OPERATIONAL_MARK } from '#contracts/bus/operational-mark';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { toNatsMessage } from '#core/event/nats-binding';
import type { TenantId } from '#core/ids';
import type { DeduplicationIdOf } from '#platform/deduplication-id';
import { readMessage, readRecordMessage } from '../engine/read-message.ts';
import { circuitEvent, deadEvent, isDeadDelivery } from './engine-events.ts';
import { isTold, lifeEvent } from './life-event.ts';
import { makeIsWatched } from './watchers.ts';

const SLOTS = 32;
const DEAD_SLOTS = 128;

export interface OperationalParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly deduplicationIdOf: DeduplicationIdOf;
  /** Told of each event that was not stored before. */
  observeEvent(type: string): void;
}

/**
 * Tells tenants what became of their subscriptions, by events among their own.
 *
 * ```
 * REGISTRY:    created, updated, paused … ─┐
 * JOURNAL:     circuit opened, closed ─────┼► EVENTS, marked as ours, the same occurrence with the same id
 * DEADLETTERS: a delivery was given up ────┘
 * ```
 *
 * A dead letter becomes an event only while a subscription of its tenant asks for operational events: a sink that is gone
 * leaves as many dead letters as it had events. Those about deliveries of operational events become none, so this ends.
 */
export function startOperationalWorker(parts: OperationalParts): Consuming {
  const { bus, snapshot } = parts;
  const { streams, consumers } = bus.topology;
  const publish = makePublishOperational(parts);
  const isWatched = makeIsWatched(snapshot);

  async function tellLife(message: Delivered): Promise<void> {
    const record = readRecordMessage(bus, message);
    if (record?.aggregate !== 'subscription' || !isTold(record.event)) return;
    const { subject, seq } = message;
    const messages = await readSubject(bus, { stream: streams.REGISTRY, subject, lastSeq: seq });
    const event = lifeEvent(onlyRecords(bus.topology, subject, messages), message);
    if (event !== undefined) await publish(record.tenant as TenantId, event);
  }

  async function tellCircuit(message: Delivered): Promise<void> {
    const fact = readMessage<CircuitChanged>(bus, message);
    if (fact !== undefined) {
      await publish(fact.tenant, circuitEvent(fact, snapshot.subscription(fact.tenant, fact.subscription)));
    }
  }

  async function tellDead(message: Delivered): Promise<void> {
    const letter = readMessage<DeadLetter>(bus, message);
    if (letter === undefined || !isDeadDelivery(letter)) return;
    // Who subscribed before it died is told of it.
    if (!isWatched(letter.tenant)) await snapshot.catchUp();
    if (!isWatched(letter.tenant)) return;
    await publish(letter.tenant, deadEvent(letter, snapshot.subscription(letter.tenant, letter.subscription)));
  }

  const consuming = (
    [
      [streams.REGISTRY, SLOTS, tellLife],
      [streams.JOURNAL, SLOTS, tellCircuit],
      [streams.DEADLETTERS, DEAD_SLOTS, tellDead],
    ] as const
  ).map(([stream, slots, tell]) =>
    consumeEach(bus, { stream, consumer: consumers.operational, slots }, async (message) => {
      await tell(message);
      message.ack();
    }),
  );
  return {
    isAlive: () => consuming.every((each) => each.isAlive()),
    async stop() {
      await Promise.all(consuming.map((each) => each.stop()));
    },
  };
}

/** Onto EVENTS like an event of the tenant, with the deduplication id that it would have at the gateway. */
function makePublishOperational({ bus: { publisher, topology }, deduplicationIdOf, observeEvent }: OperationalParts) {
  return async function publish(tenant: TenantId, event: CloudEvent): Promise<void> {
    const valueOf = (attribute: string): string => attributeOf(event, attribute) ?? '';
    const { headers, payload } = toNatsMessage(event);
    const { duplicate } = await publisher.publish(topology.eventSubject(tenant, valueOf('type')), payload, {
      msgId: deduplicationIdOf(tenant, valueOf('source'), valueOf('id')),
      headers: [...headers, OPERATIONAL_MARK],
    });
    if (!duplicate) observeEvent(valueOf('type'));
  };
}
