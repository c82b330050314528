import type { Bus } from '#bus/connection';
import { WrongLastSequence } from '#bus/bus-errors';
import { makeEventReader } from '#bus/event-reader';
import { makeKeyUses } from '#bus/key-uses';
import { headerPairs } from '#bus/header-pairs';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { readBackwards } from '#bus/read-backwards';
import { onlyRecords } from '#bus/read-record';
import { readSubject } from '#bus/read-subject';
import { request } from '#bus/request';
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
import { countRedeliverable } from '#store/select-redeliverable';
import { makeReadAudit, type ReadAuditPorts } from './audit/read-audit.ts';
import { makeCheckSink } from './check-sink.ts';
import type { RegistryConfig } from './config.ts';
import { makeExecuteCommand, type ExecuteCommand } from './execute-command.ts';
import { isBusAway, isReadSideAway } from './is-away.ts';
import { answering } from './problems.ts';
import { makeRedeliver } from './redelivery/redeliver.ts';
import { makeBeginRoundOn } from './redelivery/redelivery.ports.ts';
import { makeRedeliveries } from './redelivery/request-redelivery.ts';
import type { CurrentState, ReadSide, RegistryPorts } from './registry.ports.ts';
import { makeResealSecrets } from './reseal-secrets.ts';
import { makeMakeKey, makeReseal, makeSealCredential, makeSealSecret } from './seal-secret.ts';
import { makeSigningKeys } from './signing-keys.ts';
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
  /** As {@link makeExecute} makes it. One for the whole process, so that all who write the same subject take turns. */
  readonly execute: ExecuteCommand;
}

/** Everything that the controllers ask for, on a real bus and database. */
export function makeRegistryPorts(parts: RegistryParts): RegistryPorts {
  const { snapshot, config } = parts;
  const execute = answering('bus', isBusAway, parts.execute) as ExecuteCommand;
  const catchUp = answering('bus', isBusAway, () => snapshot.catchUp());
  const readSide = makeReadSide(parts.db);
  const directory = makeSubscriptionDirectory(snapshot);
  const readEvent = answering('bus', isBusAway, makeReadEvent(parts.bus));
  const askSigner = (payload: Uint8Array) =>
    request(parts.bus, parts.bus.topology.sealSubject, payload, SEAL_TIMEOUT_MS);
  const signingKeys = makeSigningKeys({
    state: snapshot,
    execute,
    catchUp,
    makeKey: answering('signer', isBusAway, makeMakeKey(askSigner)),
  });
  const keyUses = makeKeyUses(parts.bus, parts.clock);
  return {
    authenticate: makeAuthenticate({
      now: parts.clock,
      guessesPerMinute: config.POSTHASTE_WRONG_CREDENTIALS_PER_MINUTE,
      onKeyUsed: ({ tenant, id }, address) => keyUses.used(tenant, id, address),
      adminToken: config.POSTHASTE_ADMIN_TOKEN,
      findApiKey: makeApiKeyFinder(snapshot),
      async hasTenant(tenant) {
        if (snapshot.tenant(tenant) === undefined) await snapshot.catchUp();
        return snapshot.tenant(tenant) !== undefined;
      },
    }),
    lastKeyUse: answering('bus', isBusAway, (tenant, key) => keyUses.lastUse(tenant, key)),
    state: makeCurrentState(snapshot, catchUp),
    tenants: makeWriteTenants({
      state: snapshot,
      subscriptions: (tenant) => snapshot.subscriptions(tenant),
      execute,
      catchUp,
      sha256Hex,
      now: parts.clock,
      randomBytes,
    }),
    subscriptions: makeSubscriptions(parts, { execute, directory, askSigner, signingKeys }),
    signingKeys,
    resealSecrets: makeResealSecrets({
      state: snapshot,
      execute,
      catchUp,
      reseal: answering('signer', isBusAway, makeReseal(askSigner)),
    }),
    readHistory: answering('bus', isBusAway, makeReadHistory(parts)),
    async listSubscriptions(tenant, { limit, after, ...filter }) {
      await catchUp();
      return directory.list(tenant, filter, { limit, after });
    },
    readAudit: answering('bus', isBusAway, makeReadAudit({ read: makeReadStreams(parts.bus) })),
    readSide,
    readEvent,
    verifySubscription: answering('bus', isBusAway, makeVerification(parts)),
    redeliver: answering('bus', isBusAway, makeRedelivery(parts, readSide, readEvent)),
    redeliveries: makeRedeliveries({
      state: snapshot,
      catchUp,
      execute,
      count: answering('read-side', isReadSideAway, (set) => countRedeliverable(parts.db, set)),
      now: parts.clock,
      randomBytes,
    }),
  };
}

function makeVerification(parts: RegistryParts): RegistryPorts['verifySubscription'] {
  const requestValidation = makeRequestValidation(makeRequestPorts(parts));
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
    async append(subject, record, expected) {
      await publisher.publish(subject, Buffer.from(JSON.stringify(record)), {
        expectedLastSubjectSeq: expected.lastSeq,
        ...(expected.subject === subject ? {} : { expectedLastSubject: expected.subject }),
      });
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
    const messages = await readSubject(bus, { stream, subject, lastSeq: snapshot.lastSeqOf(subject) });
    return historyOf(onlyRecords(bus.topology, subject, messages));
  };
}

function makeReadStreams(bus: Bus): ReadAuditPorts['read'] {
  const { streams, registrySubject, journalSubject } = bus.topology;
  return (source, { tenant = '*', aggregate = '*', ...bounds }) =>
    source === 'registry'
      ? readBackwards(bus, { stream: streams.REGISTRY, subject: registrySubject(tenant, aggregate, '*'), ...bounds })
      : readBackwards(bus, { stream: streams.JOURNAL, subject: journalSubject(tenant, 'redelivered'), ...bounds });
}

interface SubscriptionParts {
  readonly execute: ExecuteCommand;
  readonly directory: SubscriptionDirectory;
  readonly askSigner: (payload: Uint8Array) => Promise<Uint8Array>;
  readonly signingKeys: Pick<RegistryPorts['signingKeys'], 'ensureActive'>;
}

function makeSubscriptions(
  { snapshot, config, clock }: RegistryParts,
  { execute, directory, askSigner, signingKeys }: SubscriptionParts,
) {
  const inboxUrl = config.POSTHASTE_INBOX_URL;
  return makeWriteSubscriptions({
    state: snapshot,
    execute,
    directory,
    catchUp: answering('bus', isBusAway, () => snapshot.catchUp()),
    seal: answering('signer', isBusAway, makeSealSecret(askSigner)),
    sealCredential: answering('signer', isBusAway, makeSealCredential(askSigner)),
    ensureSigningKey: (tenant, algorithm, caller) => signingKeys.ensureActive(tenant, algorithm, caller),
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

/** An event in EVENTS, with the errors of the bus as they are. */
export function makeReadEvent(bus: Bus): (seq: number) => Promise<CloudEvent | undefined> {
  const readStored = makeEventReader(bus, { cacheBytes: EVENT_CACHE_BYTES });
  return async (seq) => {
    const stored = await readStored(seq);
    if (stored === undefined) return undefined;
    const parsed = parseNatsMessage(headerPairs(stored.headers), stored.payload);
    return parsed.ok ? parsed.event : undefined;
  };
}

function makeRedelivery(
  { bus, snapshot, clock }: RegistryParts,
  readSide: ReadSide,
  readEvent: RegistryPorts['readEvent'],
): RegistryPorts['redeliver'] {
  return makeRedeliver({
    findDelivery: readSide.findDelivery,
    beginRound: makeBeginRoundOn({
      bus,
      async findSubscription(tenant, id) {
        await snapshot.catchUp();
        return snapshot.subscription(tenant, id);
      },
      readEvent,
    }),
    now: clock,
  });
}
