import {
  Inject,
  Module,
  Optional,
  type DynamicModule,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import { Counter, type Registry as MetricsRegistry } from 'prom-client';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { HEALTH_CHECKS, LOGGER, METRICS } from '#platform/tokens';
import { connectBus, type Bus } from './connection.ts';
import { openLaneStates, type LaneStates } from './lane-states.ts';
import { openRegistrySnapshot, type RegistrySnapshot } from './registry-snapshot.ts';
import { ensureTopology } from './ensure-topology.ts';

export const BUS = Symbol('BUS');
export const REGISTRY_SNAPSHOT = Symbol('REGISTRY_SNAPSHOT');
/** Only where it was asked for, see {@link BusModuleOptions}. */
export const LANE_STATES = Symbol('LANE_STATES');

export interface BusConfig {
  readonly POSTHASTE_NATS_URL: string;
  readonly POSTHASTE_DEPLOYMENT: string;
  readonly POSTHASTE_STREAM_REPLICAS: number;
  readonly POSTHASTE_EVENT_RETENTION_SECONDS: number;
  readonly POSTHASTE_DEDUPLICATION_SECONDS: number;
  readonly POSTHASTE_ACK_WAIT_SECONDS: number;
}

export interface BusModuleOptions {
  readonly name: string;
  readonly config: BusConfig;
  /** Whether this process folds CIRCUITS. Default false. */
  readonly laneStates?: boolean;
}

/** The process's one connection to NATS and its one fold of REGISTRY, and of CIRCUITS. Closed last, when everybody else has drained. */
@Module({})
export class BusModule implements OnApplicationShutdown {
  readonly #bus: Bus;
  readonly #snapshot: RegistrySnapshot;
  readonly #laneStates: LaneStates | undefined;

  constructor(
    @Inject(BUS) bus: Bus,
    @Inject(REGISTRY_SNAPSHOT) snapshot: RegistrySnapshot,
    @Optional() @Inject(LANE_STATES) laneStates?: LaneStates,
  ) {
    this.#bus = bus;
    this.#snapshot = snapshot;
    this.#laneStates = laneStates;
  }

  static forRoot({ name, config, laneStates = false }: BusModuleOptions): DynamicModule {
    const laneStatesProvider = { provide: LANE_STATES, inject: [BUS, HEALTH_CHECKS], useFactory: openStates };
    const providers: Provider[] = [
      {
        provide: BUS,
        inject: [LOGGER, HEALTH_CHECKS],
        useFactory: (logger: Logger, health: HealthChecks) => openBus(name, config, logger, health),
      },
      {
        provide: REGISTRY_SNAPSHOT,
        inject: [BUS, HEALTH_CHECKS, METRICS],
        useFactory: openSnapshot,
      },
    ];
    return {
      module: BusModule,
      global: true,
      providers: laneStates ? [...providers, laneStatesProvider] : providers,
      exports: laneStates ? [BUS, REGISTRY_SNAPSHOT, LANE_STATES] : [BUS, REGISTRY_SNAPSHOT],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#laneStates?.stop();
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

async function openSnapshot(bus: Bus, health: HealthChecks, metrics: MetricsRegistry): Promise<RegistrySnapshot> {
  const refused = new Counter({
    name: 'posthaste_registry_records_refused_total',
    help: 'Messages of REGISTRY that are left out: the registry did not write them, or nobody can read them.',
    registers: [metrics],
  });
  const snapshot = await openRegistrySnapshot(bus, { onRefused: () => refused.inc() });
  health.add({
    name: 'registry-snapshot',
    check() {
      if (!snapshot.isLive()) throw new Error('the fold of REGISTRY is not following the stream');
    },
  });
  return snapshot;
}

async function openStates(bus: Bus, health: HealthChecks): Promise<LaneStates> {
  const states = await openLaneStates(bus);
  health.add({
    name: 'lane-states',
    check() {
      if (!states.isLive()) throw new Error('the fold of CIRCUITS is not following the stream');
    },
  });
  return states;
}
