import { Inject, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, LOGGER, type Clock } from '#platform/tokens';
import { openDatabase, type Database } from '#store/database';
import { ApiKeysController } from './api-keys.controller.ts';
import type { RegistryConfig } from './config.ts';
import { declareMethods } from './declare-methods.ts';
import { DeliveriesController } from './deliveries.controller.ts';
import { EventsController } from './events.controller.ts';
import { makeRegistryPorts } from './make-registry-ports.ts';
import { REGISTRY_PORTS } from './registry.ports.ts';
import { SubscriptionsController } from './subscriptions.controller.ts';
import { TenantsController } from './tenants.controller.ts';

const READ_SIDE = Symbol('READ_SIDE');

/**
 * The control plane: commands on aggregates → REGISTRY, look-ups ← Postgres.
 *
 * Postgres is no condition for being ready: without it, everything by id goes on, and look-ups answer 503.
 */
@Module({
  controllers: [TenantsController, ApiKeysController, SubscriptionsController, EventsController, DeliveriesController],
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
