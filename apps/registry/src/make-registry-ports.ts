import type { Bus } from '#bus/connection';
import { BusUnavailable, RequestFailed, WrongLastSequence } from '#bus/bus-errors';
import { makeEventReader } from '#bus/event-reader';
import { headerPairs } from '#bus/header-pairs';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { readSubject } from '#bus/read-subject';
import { request } from '#bus/request';
import { encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { CloudEvent } from '#core/event/cloud-event';
import { parseNatsMessage } from '#core/event/nats-binding';
import { makeApiKeyFinder, makeAuthenticate } from '#platform/authenticate';
import { randomBytes, sha256Hex } from '#platform/digest';
import type { Clock } from '#platform/tokens';
import type { Database } from '#store/database';
import { findDelivery } from '#store/find-delivery';
import { findEvent } from '#store/find-event';
import { listDeadLetters } from '#store/list-dead-letters';
import { listDeliveries } from '#store/list-deliveries';
import { listApiKeys, listTenants } from '#store/list-registry';
import { sqlStateOf } from '#store/store-errors';
import { makeCheckSink } from './check-sink.ts';
import type { RegistryConfig } from './config.ts';
import { makeExecuteCommand, type ExecuteCommand } from './execute-command.ts';
import { answering } from './problems.ts';
import { makeRedeliver } from './redeliver.ts';
import type { CurrentState, ReadSide, RegistryPorts } from './registry.ports.ts';
import { makeSealCredential, makeSealSecret } from './seal-secret.ts';
import { historyOf } from './subscription-history.ts';
import { makeSubscriptionDirectory, type SubscriptionDirectory } from './subscription-directory.ts';
import { makeRequestValidation } from './validation/request-validation.ts';
import { makeRequestPorts } from './validation/validation.ports.ts';
import { makeVerifySubscription } from './validation/verify-subscription.ts';
import { makeWriteSubscriptions } from './write-subscriptions.ts';
import { makeWriteTenants } from './write-tenants.ts';

const SEAL_TIMEOUT_MS = 5_000;
/** People look at events one at a time. */
const EVENT_CACHE_BYTES = 8 * 1024 * 1024;

export interface RegistryParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly db: Database;
  readonly config: RegistryConfig;
  readonly clock: Clock;
}

/** Everything that the controllers ask for, on a real bus and database. */
export function makeRegistryPorts(parts: RegistryParts): RegistryPorts {
  const { snapshot, config } = parts;
  const execute = answering('bus', isBusAway, makeExecute(parts)) as ExecuteCommand;
  const catchUp = answering('bus', isBusAway, () => snapshot.catchUp());
  const readSide = makeReadSide(parts.db);
  const directory = makeSubscriptionDirectory(snapshot);
  const readEvent = answering('bus', isBusAway, makeReadEvent(parts.bus));
  return {
    authenticate: makeAuthenticate({
      adminToken: config.POSTHASTE_ADMIN_TOKEN,
      findApiKey: makeApiKeyFinder(snapshot),
      async hasTenant(tenant) {
        if (snapshot.tenant(tenant) === undefined) await snapshot.catchUp();
        return snapshot.tenant(tenant) !== undefined;
      },
    }),
    state: makeCurrentState(snapshot, catchUp),
    tenants: makeWriteTenants({ state: snapshot, execute, catchUp, sha256Hex, now: parts.clock, randomBytes }),
    subscriptions: makeSubscriptions(parts, execute, directory),
    readHistory: answering('bus', isBusAway, makeReadHistory(parts)),
    async listSubscriptions(tenant, { limit, after, ...filter }) {
      await catchUp();
      return directory.list(tenant, filter, { limit, after });
    },
    readSide,
    readEvent,
    verifySubscription: answering('bus', isBusAway, makeVerification(parts)),
    redeliver: answering('bus', isBusAway, makeRedelivery(parts, readSide, readEvent)),
  };
}

function makeVerification(parts: RegistryParts): RegistryPorts['verifySubscription'] {
  const requestValidation = makeRequestValidation(makeRequestPorts({ ...parts, execute: makeExecute(parts) }));
  return makeVerifySubscription({ requestValidation, now: parts.clock });
}

/** Commands with the errors of the bus as they are. */
export function makeExecute({
  bus: { publisher, topology },
  snapshot,
  clock,
}: Pick<RegistryParts, 'bus' | 'snapshot' | 'clock'>): ExecuteCommand {
  return makeExecuteCommand({
    registrySubject: topology.registrySubject,
    lastSeqOf: (subject) => snapshot.lastSeqOf(subject),
    catchUp: () => snapshot.catchUp(),
    position: () => snapshot.position(),
    async append(subject, record, { lastSubjectSeq, lastSeq }) {
      const headers: [string, string][] = lastSeq === undefined ? [] : [['Nats-Expected-Last-Sequence', `${lastSeq}`]];
      const payload = Buffer.from(JSON.stringify(record));
      await publisher.publish(subject, payload, { expectedLastSubjectSeq: lastSubjectSeq, headers });
    },
    isConflict: (error) => error instanceof WrongLastSequence,
    now: clock,
  });
}

function makeReadHistory({ bus, snapshot }: RegistryParts): RegistryPorts['readHistory'] {
  const stream = bus.topology.streams.REGISTRY;
  return async (tenant, id) => {
    await snapshot.catchUp();
    const subject = bus.topology.registrySubject(tenant, 'subscription', id);
    return historyOf(await readSubject(bus, { stream, subject, lastSeq: snapshot.lastSeqOf(subject) }));
  };
}

function makeSubscriptions(
  { bus, snapshot, config, clock }: RegistryParts,
  execute: ExecuteCommand,
  directory: SubscriptionDirectory,
) {
  const ask = (payload: Uint8Array) => request(bus, bus.topology.sealSubject, payload, SEAL_TIMEOUT_MS);
  const inboxUrl = config.POSTHASTE_INBOX_URL;
  return makeWriteSubscriptions({
    state: snapshot,
    execute,
    directory,
    catchUp: answering('bus', isBusAway, () => snapshot.catchUp()),
    seal: answering('signer', isBusAway, makeSealSecret(ask)),
    sealCredential: answering('signer', isBusAway, makeSealCredential(ask)),
    isSinkUnique: config.POSTHASTE_SINK_UNIQUE,
    checkSink: makeCheckSink({
      allowCidrs: config.POSTHASTE_SINK_ALLOW,
      allowHttp: config.POSTHASTE_SINK_HTTP,
      ...(inboxUrl === undefined ? {} : { inboxUrl }),
    }),
    now: clock,
    randomBytes,
  });
}

function makeCurrentState(snapshot: RegistrySnapshot, catchUp: () => Promise<void>): CurrentState {
  return {
    async tenant(id) {
      await catchUp();
      return snapshot.tenant(id);
    },
    async apiKey(tenant, id) {
      await catchUp();
      return snapshot.apiKey(tenant, id);
    },
    async subscription(tenant, id) {
      await catchUp();
      return snapshot.subscription(tenant, id);
    },
  };
}

function makeReadSide(db: Database): ReadSide {
  const asked = <Arguments extends unknown[], Result>(query: (db: Database, ...args: Arguments) => Promise<Result>) =>
    answering('read-side', isReadSideAway, (...args: Arguments) => query(db, ...args));
  return {
    listTenants: asked(listTenants),
    listApiKeys: asked(listApiKeys),
    findEvent: asked(findEvent),
    listDeliveries: asked(listDeliveries),
    findDelivery: asked(findDelivery),
    listDeadLetters: asked(listDeadLetters),
  };
}

function makeReadEvent(bus: Bus): (seq: number) => Promise<CloudEvent | undefined> {
  const readStored = makeEventReader(bus, { cacheBytes: EVENT_CACHE_BYTES });
  return async (seq) => {
    const stored = await readStored(seq);
    if (stored === undefined) return undefined;
    const parsed = parseNatsMessage(headerPairs(stored.headers), stored.payload);
    return parsed.ok ? parsed.event : undefined;
  };
}

function makeRedelivery(
  { bus: { publisher, topology }, snapshot, clock }: RegistryParts,
  readSide: ReadSide,
  readEvent: RegistryPorts['readEvent'],
): RegistryPorts['redeliver'] {
  return makeRedeliver({
    findDelivery: readSide.findDelivery,
    async findSubscription(tenant, id) {
      await snapshot.catchUp();
      return snapshot.subscription(tenant, id);
    },
    readEvent,
    async publishTask(task, msgId) {
      await publisher.publish(topology.deliverSubject(task.subscription), encodeDeliveryTask(task), { msgId });
    },
    async publishFact(fact, msgId) {
      const subject = topology.journalSubject(fact.tenant, fact.kind);
      await publisher.publish(subject, Buffer.from(JSON.stringify(fact)), { msgId });
    },
    now: clock,
  });
}

function isBusAway(error: unknown): boolean {
  return error instanceof BusUnavailable || error instanceof RequestFailed;
}

/**
 * No answer from PostgreSQL at all, or one that says that it cannot serve now: connection (08), resources (53), shutting
 * down or starting (57), system (58), no such database yet (3D000), not migrated yet (42P01).
 */
function isReadSideAway(error: unknown): boolean {
  const state = sqlStateOf(error);
  if (state !== undefined) return /^(08|53|57|58)|^(3D000|42P01)$/.test(state);
  return !(error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError);
}
