import { Inject, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Counter, type Registry as MetricsRegistry } from 'prom-client';
import { BUS, LANE_STATES, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import { consumeBatches, type Consuming } from '#bus/consume';
import type { LaneStates } from '#bus/lane-states';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { makeWakes, type Wakes } from '#bus/wake';
import { makeTenantBudgets } from '#core/match/tenant-budget';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from '#platform/tokens';
import type { MatcherConfig } from './config.ts';
import { makeFairTurns, type FairTurns } from './fair-turns.ts';
import { makeMatchBatch } from './match-batches.ts';
import { makeMatchEvent, type MatchPorts, type MatchResult } from './match-events.ts';
import { makeMatchPorts } from './matcher.ports.ts';

/** A quarter of the publisher's window: what does not take turns always finds room. */
const TURNS_AT_ONCE = 256;
/** One partition has about half of it at most, which keeps all turns busy; of large events fewer. */
const DETACHED_MAX = { messages: 1000, bytes: 64 * 1024 * 1024 };
/** Of the events that are matched together; as many wait, or of each partition the largest message of the server. */
const PULLED_MAX_BYTES = 16 * 1024 * 1024;

/** EVENTS → which subscriptions? → DELIVERIES and LANES. */
@Module({})
export class MatcherModule implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #bus: Bus;
  readonly #snapshot: RegistrySnapshot;
  readonly #laneStates: LaneStates;
  readonly #config: MatcherConfig;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #health: HealthChecks;
  readonly #matched: Counter<'result'>;
  readonly #deliveries: Counter<'road'>;
  readonly #turns: FairTurns = makeFairTurns({ maxUnderWay: TURNS_AT_ONCE });
  readonly #wakes: Wakes;
  #consuming: Consuming | undefined;

  constructor(
    @Inject(BUS) bus: Bus,
    @Inject(REGISTRY_SNAPSHOT) snapshot: RegistrySnapshot,
    @Inject(LANE_STATES) laneStates: LaneStates,
    @Inject(CONFIG) config: MatcherConfig,
    @Inject(LOGGER) logger: Logger,
    @Inject(CLOCK) clock: Clock,
    @Inject(HEALTH_CHECKS) health: HealthChecks,
    @Inject(METRICS) metrics: MetricsRegistry,
  ) {
    this.#bus = bus;
    this.#snapshot = snapshot;
    this.#laneStates = laneStates;
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
    this.#health = health;
    this.#wakes = makeWakes(bus);
    this.#matched = new Counter({
      name: 'posthaste_matcher_events_total',
      help: 'Events looked at, by result: matched, unmatched, rejected.',
      labelNames: ['result'],
      registers: [metrics],
    });
    this.#deliveries = new Counter({
      name: 'posthaste_matcher_deliveries_total',
      help: 'Deliveries made, by the road they were put on: common, bulk, lane.',
      labelNames: ['road'],
      registers: [metrics],
    });
  }

  onApplicationBootstrap(): void {
    const { topology } = this.#bus;
    const matchBatch = makeMatchBatch({
      catchUp: () => this.#snapshot.catchUp(),
      matchEvent: makeMatchEvent(this.#ports(), this.#turns, { maxEventBytes: this.#config.POSTHASTE_EVENT_MAX_BYTES }),
      tenantOfSubject: topology.tenantOfEventSubject,
      publishedSubject: topology.publishedEventSubject,
      observe: (result) => {
        this.#matched.inc({ result: labelOf(result) });
      },
      logger: this.#logger,
    });
    const consuming = consumeBatches(
      this.#bus,
      {
        stream: topology.streams.EVENTS,
        consumer: [topology.consumers.unpartitionedMatcher, ...topology.consumers.matchers],
        maxMessages: this.#config.POSTHASTE_MATCHER_BATCH,
        maxBytes: PULLED_MAX_BYTES,
        maxWaitMs: 0,
        maxDetached: DETACHED_MAX,
      },
      matchBatch,
    );
    this.#consuming = consuming;
    this.#health.add({
      name: 'matcher',
      check() {
        if (!consuming.isAlive()) throw new Error('a consumer of EVENTS is not running');
      },
    });
  }

  /** A fan-out that takes turns may have seconds to go: it is given back, and the next matcher makes the same deliveries. */
  async onModuleDestroy(): Promise<void> {
    this.#turns.close();
    await this.#consuming?.stop();
    await this.#wakes.stop();
  }

  #ports(): MatchPorts {
    const perSecond = this.#config.POSTHASTE_MATCHER_TENANT_DELIVERIES_PER_SECOND;
    return makeMatchPorts({
      bus: this.#bus,
      snapshot: this.#snapshot,
      laneStates: this.#laneStates,
      wakes: this.#wakes,
      budgets: makeTenantBudgets({ burst: perSecond, perSecond }),
      clock: this.#clock,
      countDelivery: (road) => {
        this.#deliveries.inc({ road });
      },
    });
  }
}

function labelOf(result: MatchResult): string {
  if (result.kind === 'rejected') return 'rejected';
  return result.count > 0 ? 'matched' : 'unmatched';
}
