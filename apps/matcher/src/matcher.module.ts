import { Inject, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Counter, type Registry as MetricsRegistry } from 'prom-client';
import { BUS, REGISTRY_SNAPSHOT } from '#bus/bus.module';
import type { Bus } from '#bus/connection';
import { consumeBatches, type Consuming } from '#bus/consume';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import type { SubscriptionId } from '#core/ids';
import { makeMatchIndex } from '#core/match/match-index';
import { isMatched, matchesUntilMs } from '#core/registry/subscription-state';
import type { Subscription } from '#core/registry/subscription';
import { sha256 } from '#platform/digest';
import type { HealthChecks } from '#platform/health';
import type { Logger } from '#platform/logger';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from '#platform/tokens';
import type { MatcherConfig } from './config.ts';
import { makeCountMatch } from './count-matches.ts';
import { makeMatchBatch } from './match-batches.ts';
import { makeMatchEvent, type MatchLimits, type MatchPorts, type MatchResult } from './match-events.ts';

/** EVENTS → which subscriptions? → DELIVERIES. */
@Module({})
export class MatcherModule implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #bus: Bus;
  readonly #snapshot: RegistrySnapshot;
  readonly #config: MatcherConfig;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #health: HealthChecks;
  readonly #matched: Counter<'result'>;
  #consuming: Consuming | undefined;

  constructor(
    @Inject(BUS) bus: Bus,
    @Inject(REGISTRY_SNAPSHOT) snapshot: RegistrySnapshot,
    @Inject(CONFIG) config: MatcherConfig,
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
    this.#matched = new Counter({
      name: 'posthaste_matcher_events_total',
      help: 'Events looked at, by result: matched, unmatched, rejected.',
      labelNames: ['result'],
      registers: [metrics],
    });
  }

  onApplicationBootstrap(): void {
    const { topology } = this.#bus;
    const matchBatch = makeMatchBatch({
      catchUp: () => this.#snapshot.catchUp(),
      matchEvent: makeMatchEvent(this.#ports(), { maxEventBytes: this.#config.POSTHASTE_EVENT_MAX_BYTES }),
      tenantOfSubject: (subject) => topology.tenantOfEventSubject(subject),
      observe: (result) => {
        this.#matched.inc({ result: labelOf(result) });
      },
      logger: this.#logger,
    });
    const consuming = consumeBatches(
      this.#bus,
      {
        stream: topology.streams.EVENTS,
        consumer: topology.consumers.matcher,
        maxMessages: this.#config.POSTHASTE_MATCHER_BATCH,
        maxWaitMs: 0,
      },
      matchBatch,
    );
    this.#consuming = consuming;
    this.#health.add({
      name: 'matcher',
      check() {
        if (!consuming.isAlive()) throw new Error('the consumer of EVENTS is not running');
      },
    });
  }

  async onModuleDestroy(): Promise<void> {
    await this.#consuming?.stop();
  }

  #ports(): MatchPorts {
    const { topology, publisher } = this.#bus;
    const index = makeMatchIndex();
    const limits = new Map<SubscriptionId, MatchLimits>();
    const follow = (id: SubscriptionId, now: Subscription | undefined): void => {
      if (now !== undefined && isMatched(now)) index.put(now);
      else index.remove(id);
      const limitsNow = now && limitsOf(now);
      if (limitsNow === undefined) limits.delete(id);
      else limits.set(id, limitsNow);
    };
    for (const subscription of this.#snapshot.subscriptions()) follow(subscription.id, subscription);
    this.#snapshot.onSubscriptionChange(follow);
    const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
    return {
      catchUp: () => this.#snapshot.catchUp(),
      isKnownTenant: (tenant) => this.#snapshot.tenant(tenant) !== undefined,
      match: (tenant, event) => index.match(tenant, event),
      limitsOf: (subscription) => limits.get(subscription),
      count: makeCountMatch(this.#bus),
      async publishTask(task, payload) {
        await publisher.publish(topology.deliverSubject(task.subscription), payload, {
          msgId: `${task.delivery}-${task.eventSeq}`,
        });
      },
      async publishMatched(fact, part) {
        const msgId = `m:${fact.eventSeq}:${part}`;
        await publisher.publish(topology.journalSubject(fact.tenant, fact.kind), encode(fact), { msgId });
      },
      async publishRejected(entry) {
        const msgId = `x:${entry.eventSeq}`;
        await publisher.publish(topology.deadSubject(entry.tenant, '_rejected'), encode(entry), { msgId });
      },
      sha256,
      now: this.#clock,
    };
  }
}

/** Few have any, so the others cost one look into a small map. */
function limitsOf(subscription: Subscription): MatchLimits | undefined {
  const untilMs = matchesUntilMs(subscription);
  const { maxEvents } = subscription.spec.config;
  if (untilMs === Infinity && maxEvents === undefined) return undefined;
  return { untilMs, ...(maxEvents === undefined ? {} : { maxEvents }) };
}

function labelOf(result: MatchResult): string {
  if (result.kind === 'rejected') return 'rejected';
  return result.count > 0 ? 'matched' : 'unmatched';
}
