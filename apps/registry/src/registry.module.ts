import { Inject, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, type Clock } from '#platform/tokens';
import { openDatabase, type Database } from '#store/database';
import { ApiKeysController } from './api-keys.controller.ts';
import type { RegistryConfig } from './config.ts';
import { declareMethods } from './declare-methods.ts';
import { DeliveriesController } from './deliveries.controller.ts';
import { EventsController } from './events.controller.ts';
import { FiltersController } from './filters.controller.ts';
import { makeExecute, makeRegistryPorts } from './make-registry-ports.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { LIMITS_RUNNER, LimitsRunner } from './limits.runner.ts';
import { SubscriptionLifeController } from './subscription-life.controller.ts';
import { SubscriptionsController } from './subscriptions.controller.ts';
import { TenantsController } from './tenants.controller.ts';
import { VALIDATION_WORKER, ValidationRunner } from './validation/validation.provider.ts';
import { VerifyController } from './validation/verify.controller.ts';

const READ_SIDE = Symbol('READ_SIDE');

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
    EventsController,
    DeliveriesController,
    VerifyController,
    FiltersController,
  ],
  providers: [
    {
      provide: READ_SIDE,
      inject: [CONFIG, LOGGER],
      useFactory: (config: RegistryConfig, logger: Logger) =>
        openDatabase({ url: config.POSTHASTE_DATABASE_URL, logger, applicationName: 'posthaste-registry' }),
    },
    {
      provide: REGISTRY_PORTS,
      inject: [BUS, REGISTRY_SNAPSHOT, READ_SIDE, CONFIG, CLOCK],
      useFactory: (bus: Bus, snapshot: RegistrySnapshot, db: Database, config: RegistryConfig, clock: Clock) =>
        makeRegistryPorts({ bus, snapshot, db, config, clock }),
    },
    {
      provide: LIMITS_RUNNER,
      inject: [BUS, REGISTRY_SNAPSHOT, REGISTRY_PORTS, LOGGER, CLOCK],
      useFactory: (bus: Bus, snapshot: RegistrySnapshot, ports: RegistryPorts, logger: Logger, clock: Clock) =>
        new LimitsRunner({ bus, snapshot, ports, logger, now: clock }),
    },
    {
      provide: VALIDATION_WORKER,
      inject: [BUS, REGISTRY_SNAPSHOT, CLOCK, HEALTH_CHECKS],
      useFactory: (bus: Bus, snapshot: RegistrySnapshot, clock: Clock, health: HealthChecks) =>
        new ValidationRunner({ bus, snapshot, clock, execute: makeExecute({ bus, snapshot, clock }) }, health),
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
