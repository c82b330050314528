import { setTimeout as delay } from 'node:timers/promises';
import type { Bus } from '#bus/connection';
import type { Delivered } from '#bus/delivered';
import { makeEventReader } from '#bus/event-reader';
import { headerPairs } from '#bus/header-pairs';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { request } from '#bus/request';
import { scheduleRetry } from '#bus/schedule';
import { lastToken } from '#bus/subject-token';
import { parseNatsMessage } from '#core/event/nats-binding';
import { makeDeliveryId, type SubscriptionId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { encodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { DeadLetter } from '#contracts/bus/facts';
import type { GuardedClient } from '#outbound/guarded-client';
import type { NatsSinkClient } from '#outbound/nats-sink';
import { randomBytes, sha256, shortHash } from '#platform/digest';
import type { Clock } from '#platform/tokens';
import type { AttemptPorts, HeldDelivery } from './attempt-delivery.ts';
import { makeClientIdentities } from './client-identities.ts';
import { laneKeyOf, subscriptionOf } from './lane/lane-key.ts';
import { makePublishSubscriptionFact, makeTellVerdict } from './lane/lane.ports.ts';
import type { SettlePorts } from './settle-attempt.ts';
import { makeSignClient } from './sign-client.ts';
import { childTraceparent } from './trace-context.ts';

/** Recently read large events, shared by all deliveries of a fan-out. */
const EVENT_CACHE_BYTES = 64 * 1024 * 1024;

/** What follows an attempt is stored even when NATS is away for a while: giving up here would repeat the POST. */
const SETTLE_TIMEOUT_MS = 120_000;

const CERTIFICATE_TIMEOUT_MS = 2_000;

/** What a request on the bus has beside its payload, and some more. */
const MESSAGE_OVERHEAD_BYTES = 1024;

/** How the attempt use case reaches JetStream, the signer and the sinks. */
export function makeAttemptPorts(
  bus: Bus,
  snapshot: RegistrySnapshot,
  { client, natsClient }: { readonly client: GuardedClient; readonly natsClient: NatsSinkClient },
  clock: Clock,
): AttemptPorts {
  const readStored = makeEventReader(bus, { cacheBytes: EVENT_CACHE_BYTES });
  const signClient = makeSignClient({
    maxMessageBytes: () => (bus.nc.info?.max_payload ?? Infinity) - MESSAGE_OVERHEAD_BYTES,
    request: (payload, timeoutMs) => request(bus, bus.topology.signSubject, payload, timeoutMs),
  });
  const verdicts = makeTellVerdict(makePublishSubscriptionFact(bus), () => undefined, clock);
  const identities = makeClientIdentities({
    request: (payload) => request(bus, bus.topology.clientCertificateSubject, payload, CERTIFICATE_TIMEOUT_MS),
    makeIdentity: client.makeIdentity,
    now: clock,
    sleep: (ms) => delay(ms, undefined, { ref: false }),
  });
  snapshot.onSubscriptionChange(identities.forget);
  const randomHex = (n: number): string => Buffer.from(randomBytes(n)).toString('hex');
  return {
    async findSubscription(tenant, id) {
      const known = snapshot.subscription(tenant, id);
      // Nothing ends because this process has not heard of a subscription yet, or of its resume.
      if (known !== undefined && deliveryFateOf(known) !== 'end') return known;
      await snapshot.catchUp();
      return snapshot.subscription(tenant, id);
    },
    async readEvent(seq) {
      const stored = await readStored(seq);
      if (stored === undefined) return undefined;
      const parsed = parseNatsMessage(headerPairs(stored.headers), stored.payload);
      return parsed.ok ? parsed.event : undefined;
    },
    sign: signClient.sign,
    identityOf: identities.identityOf,
    post: (url, headers, body, identity) => client.post(url, headers, body, { identity }),
    publish: (server, subject, headers, payload) => natsClient.publish(server, subject, headers, payload),
    childTraceparent: (parent) => childTraceparent(parent, randomHex),
    batchIdOf: (members) => `bat_${shortHash(members.join(' '))}`,
    deadLetterIdOf: (delivery) => makeDeliveryId(sha256(`${delivery} dead`)),
    reportRefusal: ({ message, reason }) => {
      bus.logger.error({ reason }, message);
    },
    pauseFor(cause, target, detail) {
      verdicts.credential(cause, target, detail).catch((err: unknown) => {
        bus.logger.warn(
          { err, subscription: target.id },
          'a credential is not good any more; told with the next delivery',
        );
      });
    },
    now: clock,
    random: Math.random,
  };
}

/** How the settle use case stores what follows. Message ids make every step repeatable. */
export function makeSettlePorts({ publisher, topology }: Bus, clock: Clock): SettlePorts {
  const publish = async (subject: string, value: unknown, msgId: string): Promise<void> => {
    const payload = Buffer.from(JSON.stringify(value));
    await publisher.publish(subject, payload, { msgId, timeoutMs: SETTLE_TIMEOUT_MS });
  };
  return {
    scheduleRetry: (task, payload, atMs) =>
      scheduleRetry({ publisher, topology }, { ...timerOf(task), atMs, payload, timeoutMs: SETTLE_TIMEOUT_MS }),
    publishDeadLetter: (letter) =>
      publish(
        topology.deadSubject(letter.tenant, letter.subscription),
        letter,
        `d:${letter.delivery}-${letter.eventSeq}:${letter.attempt ?? letter.attempts}`,
      ),
    async publishTask(task, payload) {
      await publisher.publish(topology.deliverSubject(laneKeyOf(task)), payload, {
        msgId: `t:${task.delivery}-${task.eventSeq}:${task.deadLetter?.attempts ?? 0}`,
        timeoutMs: SETTLE_TIMEOUT_MS,
      });
    },
    publishFact: (fact) =>
      publish(
        topology.journalSubject(fact.tenant, fact.kind),
        fact,
        // An attempt that a crash repeats is told again: the later telling counts (its row, and its next step, are replaced).
        `a:${fact.delivery}-${fact.eventSeq}:${fact.attempt}:${fact.startedAtMs}`,
      ),
    now: clock,
  };
}

/** Puts a delivery off by the timer of its attempts. */
export function makeHold({ publisher, topology }: Bus) {
  return ({ held, untilMs }: HeldDelivery): Promise<void> =>
    scheduleRetry({ publisher, topology }, { ...timerOf(held), atMs: untilMs, payload: encodeDeliveryTask(held) });
}

/** What is owed to a dead letter sink waits by itself: it is nothing that waits for the subscription's own sink. */
function timerOf(task: DeliveryTask): DeliveryTask {
  return { ...task, subscription: laneKeyOf(task) };
}

/** A message that is not a task goes to the dead letters of its tenant, with what was wrong. */
export function makeSetAside({ publisher, topology }: Bus, snapshot: RegistrySnapshot, clock: Clock) {
  return async function setAside(
    message: Pick<Delivered, 'subject' | 'seq' | 'timestampMs'>,
    why: string,
  ): Promise<void> {
    const subscription = subscriptionOf(lastToken(message.subject) as SubscriptionId);
    const tenant = snapshot.subscriptionById(subscription)?.tenant ?? 'unknown';
    const entry: DeadLetter = {
      kind: 'rejected',
      tenant,
      subject: message.subject,
      eventSeq: message.seq,
      acceptedAtMs: message.timestampMs,
      violations: [{ rule: 'task.unreadable', pointer: message.subject, detail: why }],
      atMs: clock(),
    };
    await publisher.publish(topology.deadSubject(tenant, '_rejected'), Buffer.from(JSON.stringify(entry)), {
      msgId: `u:${message.subject}:${message.seq}`,
    });
  };
}
