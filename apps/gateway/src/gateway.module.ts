import { Module } from '@nestjs/common';
import { Histogram, type Registry as MetricsRegistry } from 'prom-client';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import { BusUnavailable, MessageTooLarge } from '#bus/bus-errors';
import { makeKeyUses } from '#bus/key-uses';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { answerMessageId, encodeValidation } from '#contracts/bus/validation';
import { makeApiKeyFinder, makeAuthenticate } from '#platform/authenticate';
import { makeDeduplicationIdOf } from '#platform/deduplication-id';
import { constantTimeEqual, sha256Hex } from '#platform/digest';
import { originOf } from '#platform/public-address';
import { CLOCK, CONFIG, METRICS, type Clock } from '#platform/tokens';
import { makeAcceptEvents } from './accept-events.ts';
import { makeAnswerSender } from './answer-sender.ts';
import type { GatewayConfig } from './config.ts';
import { makeConfirmValidation } from './confirm-validation.ts';
import { PUBLISH_PORTS, type PublishPorts } from './gateway.ports.ts';
import { PUBLIC_KEY_PORTS, PublicKeysController, type PublicKeyPorts } from './public-keys.controller.ts';
import { PublishController } from './publish.controller.ts';
import { VALIDATE_PORTS, ValidateController, type ValidatePorts } from './validate.controller.ts';

/** How long a producer waits before it is told to send again; the election of a leader takes longer, a reconnect less. */
const STORE_TIMEOUT_MS = 5_000;

/** How long one who asks for public keys waits to be told the newest. */
const KEYS_TIMEOUT_MS = 1_000;

/** The data plane's way in: HTTP → EVENTS. */
@Module({
  controllers: [PublishController, ValidateController, PublicKeysController],
  providers: [
    { provide: PUBLISH_PORTS, inject: [BUS, REGISTRY_SNAPSHOT, CONFIG, METRICS, CLOCK], useFactory: makePublishPorts },
    { provide: VALIDATE_PORTS, inject: [BUS, REGISTRY_SNAPSHOT, CONFIG, CLOCK], useFactory: makeValidatePorts },
    { provide: PUBLIC_KEY_PORTS, inject: [REGISTRY_SNAPSHOT, CLOCK], useFactory: makePublicKeyPorts },
  ],
})
export class GatewayModule {}

function makePublicKeyPorts(snapshot: RegistrySnapshot, now: Clock): PublicKeyPorts {
  return {
    signingKeyById: (id) => snapshot.signingKeyById(id),
    signingKeys: (tenant) => snapshot.signingKeys(tenant),
    async catchUp() {
      try {
        await snapshot.catchUp(KEYS_TIMEOUT_MS);
        return true;
      } catch (error) {
        if (error instanceof BusUnavailable) return false;
        throw error;
      }
    },
    now,
  };
}

function makePublishPorts(
  bus: Bus,
  snapshot: RegistrySnapshot,
  config: GatewayConfig,
  metrics: MetricsRegistry,
  clock: Clock,
): PublishPorts {
  const seconds = new Histogram({
    name: 'posthaste_gateway_publish_seconds',
    help: 'Duration of a publish request from its last byte to the acknowledgement of JetStream, by result.',
    labelNames: ['result'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    registers: [metrics],
  });
  const { publisher, topology } = bus;
  const keyUses = makeKeyUses(bus, clock);
  const authenticate = makeAuthenticate({
    now: clock,
    guessesPerMinute: config.POSTHASTE_WRONG_CREDENTIALS_PER_MINUTE,
    onKeyUsed: ({ tenant, id }, address) => keyUses.used(tenant, id, address),
    adminToken: config.POSTHASTE_ADMIN_TOKEN,
    findApiKey: makeApiKeyFinder(snapshot),
    hasTenant: async (tenant) => {
      if (snapshot.tenant(tenant) !== undefined) return true;
      await snapshot.catchUp();
      return snapshot.tenant(tenant) !== undefined;
    },
  });
  return {
    authenticate,
    answerHandshake: makeAnswerSender({
      authenticate,
      tenant: (id) => snapshot.tenant(id),
      origins: config.POSTHASTE_PUBLISH_ORIGINS,
    }),
    acceptEvents: makeAcceptEvents(
      {
        publish: (subject, payload, options) =>
          publisher.publish(subject, payload, { ...options, timeoutMs: STORE_TIMEOUT_MS }),
        eventSubject: (tenant, type) => topology.eventSubject(tenant, type),
        deduplicationIdOf: makeDeduplicationIdOf(config.POSTHASTE_ADMIN_TOKEN),
      },
      { maxEventBytes: config.POSTHASTE_EVENT_MAX_BYTES },
    ),
    isSaturated: () => publisher.pending() > config.POSTHASTE_PUBLISH_MAX_PENDING,
    faultOf(error) {
      if (error instanceof BusUnavailable) return 'bus_unavailable';
      return error instanceof MessageTooLarge ? 'too_large_for_bus' : undefined;
    },
    startTimer() {
      const stop = seconds.startTimer();
      return (result) => {
        stop({ result });
      };
    },
  };
}

function makeValidatePorts(
  { publisher, topology }: Bus,
  snapshot: RegistrySnapshot,
  config: GatewayConfig,
  clock: Clock,
): ValidatePorts {
  return {
    confirmValidation: makeConfirmValidation(
      {
        subscriptionById: (id) => snapshot.subscriptionById(id),
        catchUp: () => snapshot.catchUp(),
        async tell(answer) {
          const subject = topology.validationToldSubject(answer.tenant, answer.subscription);
          await publisher.publish(subject, encodeValidation(answer), { msgId: answerMessageId(answer) });
        },
        sha256Hex,
        isEqual: constantTimeEqual,
        now: clock,
      },
      { origin: originOf(config) },
    ),
    isBusAway: (error) => error instanceof BusUnavailable,
  };
}
