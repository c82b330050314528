import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { CloudEvent } from '#core/event/cloud-event';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { sha256 } from '#platform/digest';
import type { Logger } from '#platform/logger';
import type { Clock } from '#platform/tokens';
import type { Database } from '#store/database';
import { countRedeliverable, selectRedeliverable } from '#store/select-redeliverable';
import type { ExecuteCommand } from '../execute-command.ts';
import { isBusAway, isReadSideAway } from '../is-away.ts';
import { makeBeginRound, type BeginRound } from './begin-round.ts';
import { redeliveryAggregate } from './redelivery-aggregate.ts';
import type { RunRedeliveryPorts } from './run-redelivery.ts';

/** By whom the registry's events say that a job went on or ended. */
const REDELIVERY_ACTOR = 'redelivery';

export interface RoundParts {
  readonly bus: Bus;
  findSubscription(tenant: TenantId, id: SubscriptionId): Promise<Subscription | undefined>;
  readEvent(seq: number): Promise<CloudEvent | undefined>;
}

export function makeBeginRoundOn({
  bus: { publisher, topology },
  findSubscription,
  readEvent,
}: RoundParts): BeginRound {
  return makeBeginRound({
    findSubscription,
    readEvent,
    sha256,
    async publishTask(task, msgId) {
      await publisher.publish(topology.deliverSubject(task.subscription), encodeDeliveryTask(task), { msgId });
    },
    async publishFact(fact, msgId) {
      const subject = topology.journalSubject(fact.tenant, fact.kind);
      await publisher.publish(subject, Buffer.from(JSON.stringify(fact)), { msgId });
    },
  });
}

export interface RedeliveryParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly db: Database;
  readonly execute: ExecuteCommand;
  readEvent(seq: number): Promise<CloudEvent | undefined>;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
}

/** Of the fold as it stands: a job asks too often to ask the broker each time, and delivery looks once more. */
export function makeRunPorts(parts: RedeliveryParts): Omit<RunRedeliveryPorts, 'sleep' | 'isStopping'> {
  const { bus, snapshot, db, execute, readEvent, clock, logger } = parts;
  return {
    find: (tenant, id) => snapshot.redelivery(tenant, id),
    select: (set, limit) => selectRedeliverable(db, set, limit),
    count: (set) => countRedeliverable(db, set),
    beginRound: makeBeginRoundOn({
      bus,
      findSubscription: (tenant, id) => Promise.resolve(snapshot.subscription(tenant, id)),
      readEvent,
    }),
    async record({ tenant, id }, command) {
      const executed = await execute(
        redeliveryAggregate(snapshot, tenant, id),
        { by: REDELIVERY_ACTOR },
        () => command,
      );
      return executed.kind === 'done';
    },
    isReadSideAway,
    isBusAway,
    onTrouble: (err, redelivery) => {
      logger.warn({ err, redelivery }, 'a redelivery is held up, or has failed; its state says which');
    },
    now: clock,
  };
}
