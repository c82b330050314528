import { Inject, Module, type DynamicModule, type OnApplicationShutdown } from '@nestjs/common';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { HEALTH_CHECKS, LOGGER } from '#platform/tokens';
import { connectBus, type Bus } from './connection.ts';
import { openRegistrySnapshot, type RegistrySnapshot } from './registry-snapshot.ts';
import { ensureTopology } from './ensure-topology.ts';

export const BUS = Symbol('BUS');
export const REGISTRY_SNAPSHOT = Symbol('REGISTRY_SNAPSHOT');

export interface BusConfig {
  readonly POSTHASTE_NATS_URL: string;
  readonly POSTHASTE_DEPLOYMENT: string;
  readonly POSTHASTE_STREAM_REPLICAS: number;
  readonly POSTHASTE_EVENT_RETENTION_SECONDS: number;
  readonly POSTHASTE_DEDUPLICATION_SECONDS: number;
  readonly POSTHASTE_ACK_WAIT_SECONDS: number;
}

/** The process's one connection to NATS and its one fold of REGISTRY. Closed last, when everybody else has drained. */
@Module({})
export class BusModule implements OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #snapshot: RegistrySnapshot;

  constructor(@Inject(BUS) bus: Bus, @Inject(REGISTRY_SNAPSHOT) snapshot: RegistrySnapshot) {
    this.#bus = bus;
    this.#snapshot = snapshot;
  }

  static forRoot({ name, config }: { name: string; config: BusConfig }): DynamicModule {
    return {
      module: BusModule,
      global: true,
      providers: [
        {
          provide: BUS,
          inject: [LOGGER, HEALTH_CHECKS],
          useFactory: (logger: Logger, health: HealthChecks) => openBus(name, config, logger, health),
        },
        {
          provide: REGISTRY_SNAPSHOT,
          inject: [BUS, HEALTH_CHECKS],
          useFactory: openSnapshot,
        },
      ],
      exports: [BUS, REGISTRY_SNAPSHOT],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#snapshot.stop();
    await this.#bus.close();
  }
}

async function openBus(name: string, config: BusConfig, logger: Logger, health: HealthChecks): Promise<Bus> {
  const bus = await connectBus({
    servers: config.POSTHASTE_NATS_URL,
    name,
    deployment: config.POSTHASTE_DEPLOYMENT,
    logger,
    topology: {
      replicas: config.POSTHASTE_STREAM_REPLICAS,
      eventRetentionSeconds: config.POSTHASTE_EVENT_RETENTION_SECONDS,
      deduplicationSeconds: config.POSTHASTE_DEDUPLICATION_SECONDS,
      ackWaitSeconds: config.POSTHASTE_ACK_WAIT_SECONDS,
    },
  });
  health.add({
    name: 'nats',
    check() {
      if (!bus.isConnected()) throw new Error('not connected to NATS; reconnecting');
    },
  });
  await ensureTopology(bus);
  return bus;
}

async function openSnapshot(bus: Bus, health: HealthChecks): Promise<RegistrySnapshot> {
  const snapshot = await openRegistrySnapshot(bus);
  health.add({
    name: 'registry-snapshot',
    check() {
      if (!snapshot.isLive()) throw new Error('the fold of REGISTRY is not following the stream');
    },
  });
  return snapshot;
}
