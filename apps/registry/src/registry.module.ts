import { Inject, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import type { Registry as MetricsRegistry } from 'prom-client';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { TenantId } from '#core/ids';
import { makeDeduplicationIdOf } from '#platform/deduplication-id';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from '#platform/tokens';
import { openDatabase, type Database } from '#store/database';
import { AuditController } from './audit/audit.controller.ts';
import { ApiKeysController } from './api-keys.controller.ts';
import type { RegistryConfig } from './config.ts';
import { CREDENTIAL_KEEPER, CredentialKeeper } from './credentials/credentials.provider.ts';
import { declareMethods } from './declare-methods.ts';
import { DeliveriesController } from './deliveries.controller.ts';
import { EventsController } from './events.controller.ts';
import type { ExecuteCommand } from './execute-command.ts';
import { FiltersController } from './filters.controller.ts';
import { HealthController } from './health/health.controller.ts';
import { HEALTH_READER, HealthReader } from './health/health-reader.ts';
import { makeExecute, makeReadEvent, makeRegistryPorts } from './make-registry-ports.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { KEY_ROTATION, KeyRotationRunner } from './key-rotation.runner.ts';
import { makeRotateSigningKeys } from './rotate-signing-keys.ts';
import { LIMITS_RUNNER, LimitsRunner } from './limits.runner.ts';
import { RedeliveriesController } from './redelivery/redeliveries.controller.ts';
import { REGISTRY_WORKERS, registryWorkers } from './registry-workers.ts';
import { SecretsController } from './secrets.controller.ts';
import { SigningKeysController } from './signing-keys.controller.ts';
import { SubscriptionLifeController } from './subscription-life.controller.ts';
import { SubscriptionsController } from './subscriptions.controller.ts';
import { TenantsController } from './tenants.controller.ts';
import { VerifyController } from './validation/verify.controller.ts';
import { WorkerRunner } from './worker.runner.ts';

const READ_SIDE = Symbol('READ_SIDE');
const EXECUTE = Symbol('EXECUTE');
const DAY_MS = 24 * 3_600_000;

/**
 * The control plane: commands on aggregates → REGISTRY, look-ups ← Postgres.
 *
 * Postgres is no condition for being ready: without it, everything by id goes on, and look-ups answer 503.
 */
@Module({
  controllers: [
    TenantsController,
    ApiKeysController,
    SubscriptionsController,
    SubscriptionLifeController,
    HealthController,
    SecretsController,
    SigningKeysController,
    EventsController,
    DeliveriesController,
    RedeliveriesController,
    VerifyController,
    FiltersController,
    AuditController,
  ],
  providers: [
    {
      provide: READ_SIDE,
      inject: [CONFIG, LOGGER],
      useFactory: (config: RegistryConfig, logger: Logger) =>
        openDatabase({ url: config.POSTHASTE_DATABASE_URL, logger, applicationName: 'posthaste-registry' }),
    },
    {
      provide: EXECUTE,
      inject: [BUS, REGISTRY_SNAPSHOT, CLOCK],
      useFactory: (bus: Bus, snapshot: RegistrySnapshot, clock: Clock) => makeExecute({ bus, snapshot, clock }),
    },
    {
      provide: REGISTRY_PORTS,
      inject: [BUS, REGISTRY_SNAPSHOT, READ_SIDE, CONFIG, CLOCK, EXECUTE],
      useFactory: (
        bus: Bus,
        snapshot: RegistrySnapshot,
        db: Database,
        config: RegistryConfig,
        clock: Clock,
        execute: ExecuteCommand,
      ) => makeRegistryPorts({ bus, snapshot, db, config, clock, execute }),
    },
    {
      provide: KEY_ROTATION,
      inject: [REGISTRY_SNAPSHOT, REGISTRY_PORTS, CONFIG, LOGGER, CLOCK],
      useFactory: (
        snapshot: RegistrySnapshot,
        { signingKeys }: RegistryPorts,
        config: RegistryConfig,
        logger: Logger,
        now: Clock,
      ) => {
        const days = config.POSTHASTE_SIGNING_KEY_DAYS;
        const ports = { signingKeys: (tenant?: TenantId) => snapshot.signingKeys(tenant), keys: signingKeys, now };
        return new KeyRotationRunner({
          ...(days === 0 ? {} : { rotate: makeRotateSigningKeys(ports, days * DAY_MS) }),
          logger,
        });
      },
    },
    {
      provide: LIMITS_RUNNER,
      inject: [BUS, REGISTRY_SNAPSHOT, REGISTRY_PORTS, LOGGER, CLOCK],
      useFactory: (bus: Bus, snapshot: RegistrySnapshot, ports: RegistryPorts, logger: Logger, clock: Clock) =>
        new LimitsRunner({ bus, snapshot, ports, logger, now: clock }),
    },
    {
      provide: CREDENTIAL_KEEPER,
      inject: [BUS, REGISTRY_SNAPSHOT, EXECUTE],
      useFactory: (bus: Bus, snapshot: RegistrySnapshot, execute: ExecuteCommand) =>
        new CredentialKeeper(bus, { state: snapshot, execute }),
    },
    {
      provide: HEALTH_READER,
      inject: [BUS, CLOCK],
      useFactory: (bus: Bus, clock: Clock) => new HealthReader(bus, clock),
    },
    {
      provide: REGISTRY_WORKERS,
      inject: [BUS, REGISTRY_SNAPSHOT, READ_SIDE, CONFIG, EXECUTE, CLOCK, LOGGER, METRICS, HEALTH_CHECKS],
      useFactory: (
        bus: Bus,
        snapshot: RegistrySnapshot,
        db: Database,
        config: RegistryConfig,
        execute: ExecuteCommand,
        clock: Clock,
        logger: Logger,
        metrics: MetricsRegistry,
        health: HealthChecks,
      ) => {
        const readEvent = makeReadEvent(bus);
        const deduplicationIdOf = makeDeduplicationIdOf(config.POSTHASTE_ADMIN_TOKEN);
        const parts = { bus, snapshot, db, execute, deduplicationIdOf, clock, logger, metrics, readEvent };
        return new WorkerRunner(registryWorkers(parts), health);
      },
    },
  ],
})
export class RegistryModule implements OnModuleInit, OnApplicationShutdown {
  readonly #http: HttpAdapterHost;
  readonly #db: Database;

  constructor(@Inject(HttpAdapterHost) http: HttpAdapterHost, @Inject(READ_SIDE) db: Database) {
    this.#http = http;
    this.#db = db;
  }

  onModuleInit(): void {
    declareMethods(this.#http.httpAdapter.getInstance<FastifyInstance>());
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#db.close();
  }
}
