import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { Registry as MetricsRegistry } from 'prom-client';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { Consuming } from '#bus/consume';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { makeAddressGuard } from '#outbound/address-guard';
import { toClientOptions } from '#outbound/client-options';
import { makeGuardedClient, type GuardedClient } from '#outbound/guarded-client';
import { makeSecureContext } from '#outbound/secure-context';
import { makeNatsSinkClient, type NatsSinkClient } from '#outbound/nats-sink';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { originOf } from '#platform/public-address';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from '#platform/tokens';
import type { DeliveryConfig } from './config.ts';
import { makeAttemptPorts } from './delivery.ports.ts';
import { startDelivery } from './start-delivery.ts';
import { makeUserAgentOf } from './user-agent-of.ts';
import { consumeValidations } from './validation/validation.consumer.ts';

/** DELIVERIES, RETRIES and LANES → one HTTPS attempt → what next? */
@Module({})
export class DeliveryModule implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #snapshot: RegistrySnapshot;
  readonly #config: DeliveryConfig;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #health: HealthChecks;
  readonly #metrics: MetricsRegistry;
  readonly #client: GuardedClient;
  readonly #natsClient: NatsSinkClient;
  #consuming: readonly Consuming[] = [];

  constructor(
    @Inject(BUS) bus: Bus,
    @Inject(REGISTRY_SNAPSHOT) snapshot: RegistrySnapshot,
    @Inject(CONFIG) config: DeliveryConfig,
    @Inject(LOGGER) logger: Logger,
    @Inject(CLOCK) clock: Clock,
    @Inject(HEALTH_CHECKS) health: HealthChecks,
    @Inject(METRICS) metrics: MetricsRegistry,
  ) {
    this.#bus = bus;
    this.#snapshot = snapshot;
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
    this.#health = health;
    this.#metrics = metrics;
    this.#client = makeGuardedClient({
      ...toClientOptions(config),
      connectTimeoutMs: config.POSTHASTE_SINK_CONNECT_TIMEOUT_SECONDS * 1000,
      totalTimeoutMs: config.POSTHASTE_SINK_TIMEOUT_SECONDS * 1000,
    });
    this.#natsClient = makeNatsSinkClient({
      guard: makeAddressGuard({ allowCidrs: config.POSTHASTE_SINK_ALLOW }),
      secureContext: makeSecureContext(config.POSTHASTE_SINK_CA_FILE),
      connectTimeoutMs: config.POSTHASTE_SINK_CONNECT_TIMEOUT_SECONDS * 1000,
      totalTimeoutMs: config.POSTHASTE_SINK_TIMEOUT_SECONDS * 1000,
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    const clients = { client: this.#client, natsClient: this.#natsClient };
    const userAgentOf = makeUserAgentOf(this.#snapshot, this.#config.POSTHASTE_USER_AGENT);
    const attemptPorts = makeAttemptPorts(this.#bus, this.#snapshot, clients, this.#clock);
    const consuming = [
      await startDelivery({
        bus: this.#bus,
        snapshot: this.#snapshot,
        attemptPorts,
        sendOptions: { userAgentOf, origin: originOf(this.#config) },
        config: this.#config,
        metrics: this.#metrics,
        clock: this.#clock,
      }),
      consumeValidations({
        bus: this.#bus,
        snapshot: this.#snapshot,
        client: this.#client,
        identityOf: attemptPorts.identityOf,
        config: this.#config,
        userAgentOf,
        clock: this.#clock,
        metrics: this.#metrics,
      }),
    ];
    this.#consuming = consuming;
    this.#health.add({
      name: 'delivery',
      check() {
        if (!consuming.every((one) => one.isAlive()))
          throw new Error('a consumer of deliveries, lanes or validations is not running');
      },
    });
    this.#warnOfLongRequests();
    this.#logger.debug('delivering');
  }

  /** Shutdown never counts as a failure of the sink and never cuts a request short: what is in flight ends first. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.#consuming.map((one) => one.stop()));
  }

  async onApplicationShutdown(): Promise<void> {
    this.#natsClient.close();
    await this.#client.close();
  }

  /** A lane is somebody else's an ack wait after its holder was heard of last; a request must not outlast half of it. */
  #warnOfLongRequests(): void {
    const { POSTHASTE_SINK_TIMEOUT_SECONDS: timeout, POSTHASTE_ACK_WAIT_SECONDS: ackWait } = this.#config;
    if (timeout <= ackWait / 2) return;
    this.#logger.warn(
      { POSTHASTE_SINK_TIMEOUT_SECONDS: timeout, POSTHASTE_ACK_WAIT_SECONDS: ackWait },
      'requests may take longer than half of the ack wait: after a partition two processes may send to one lane',
    );
  }
}
