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
import { consumeEach, type Consuming } from '#bus/consume';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { makeSlots } from '#bus/slots';
import { makeAddressGuard } from '#outbound/address-guard';
import { makeGuardedClient, type GuardedClient } from '#outbound/guarded-client';
import { makeSecureContext } from '#outbound/guarded-connector';
import { makeNatsSinkClient, type NatsSinkClient } from '#outbound/nats-sink';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { originOf } from '#platform/public-address';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from '#platform/tokens';
import { productVersion } from '#platform/version';
import { makeAttemptDelivery } from './attempt-delivery.ts';
import type { DeliveryConfig } from './config.ts';
import { makeDeliverMessage } from './deliver-message.ts';
import { makeObserveAttempt } from './delivery.metrics.ts';
import { makeAttemptPorts, makeHold, makeSetAside, makeSettlePorts } from './delivery.ports.ts';
import { makeSettleAttempt } from './settle-attempt.ts';
import { consumeValidations } from './validation/validation.consumer.ts';

/** DELIVERIES and RETRIES → one HTTPS attempt → what next? */
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
      allowCidrs: config.POSTHASTE_SINK_ALLOW,
      allowHttp: config.POSTHASTE_SINK_HTTP,
      allowOrigins: config.POSTHASTE_INBOX_URL === undefined ? [] : [config.POSTHASTE_INBOX_URL],
      ...(config.POSTHASTE_SINK_CA_FILE === undefined ? {} : { caFile: config.POSTHASTE_SINK_CA_FILE }),
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

  onApplicationBootstrap(): void {
    const deliverMessage = this.#makeDeliverMessage();
    const { streams, consumers } = this.#bus.topology;
    const fresh = makeSlots(this.#config.POSTHASTE_DELIVERY_SLOTS);
    const retry = makeSlots(Math.ceil(this.#config.POSTHASTE_DELIVERY_SLOTS / 4));
    const roads = [
      ...consumers.fresh.map((consumer) => ({ stream: streams.DELIVERIES, consumer, slots: fresh })),
      ...consumers.retry.map((consumer) => ({ stream: streams.RETRIES, consumer, slots: retry })),
    ];
    const consuming = [
      ...roads.map((road) => consumeEach(this.#bus, road, deliverMessage)),
      consumeValidations({
        bus: this.#bus,
        snapshot: this.#snapshot,
        client: this.#client,
        config: this.#config,
        userAgent: this.#userAgent(),
        clock: this.#clock,
        metrics: this.#metrics,
      }),
    ];
    this.#consuming = consuming;
    this.#health.add({
      name: 'delivery',
      check() {
        if (!consuming.every((one) => one.isAlive()))
          throw new Error('a consumer of deliveries or validations is not running');
      },
    });
    this.#logger.debug({ consumers: consuming.length }, 'delivering');
  }

  /** Shutdown never counts as a failure of the sink and never cuts a request short: what is in flight ends first. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.#consuming.map((one) => one.stop()));
  }

  async onApplicationShutdown(): Promise<void> {
    this.#natsClient.close();
    await this.#client.close();
  }

  #makeDeliverMessage() {
    const clients = { client: this.#client, natsClient: this.#natsClient };
    return makeDeliverMessage({
      attemptDelivery: makeAttemptDelivery(makeAttemptPorts(this.#bus, this.#snapshot, clients, this.#clock), {
        userAgent: this.#userAgent(),
        origin: originOf(this.#config),
      }),
      hold: makeHold(this.#bus),
      settleAttempt: makeSettleAttempt(makeSettlePorts(this.#bus, this.#clock)),
      setAside: makeSetAside(this.#bus, this.#snapshot, this.#clock),
      observe: makeObserveAttempt(this.#metrics),
    });
  }

  #userAgent(): string {
    return this.#config.POSTHASTE_USER_AGENT ?? `Posthaste/${productVersion()}`;
  }
}
