import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import type { Bus } from '#bus/connection';
import { followStream, type Following } from '#bus/follow';
import type { RegistrySnapshot } from '#bus/registry-snapshot';
import { lastToken } from '#bus/subject-token';
import type { SubscriptionId } from '#core/ids';
import type { Logger } from '#platform/logger';
import type { RegistryPorts } from './registry.ports.ts';
import { makeLimitWatch, type LimitWatch } from './watch-limits.ts';

export const LIMITS_RUNNER = Symbol('LIMITS_RUNNER');

export interface LimitsParts {
  readonly bus: Bus;
  readonly snapshot: RegistrySnapshot;
  readonly ports: Pick<RegistryPorts, 'subscriptions'>;
  readonly logger: Logger;
  now(): number;
}

/** Watches the limits of all subscriptions for as long as the registry runs. */
export class LimitsRunner implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #parts: LimitsParts;
  #watch: LimitWatch | undefined;
  #following: Following | undefined;

  constructor(parts: LimitsParts) {
    this.#parts = parts;
  }

  onApplicationBootstrap(): void {
    const { bus, snapshot, ports, logger, now } = this.#parts;
    const { topology } = bus;
    const watch = makeLimitWatch({
      subscriptions: () => snapshot.subscriptions(),
      subscriptionById: (id) => snapshot.subscriptionById(id),
      expire: (target, command) => ports.subscriptions.command(target, command),
      async forgetCount(id) {
        await bus.jsm.streams.purge(topology.streams.COUNTERS, { filter: topology.countSubject(id) });
      },
      onTrouble: (err, subscription) => {
        logger.warn(
          { err, subscription },
          'a subscription could not expire, or its count be forgotten; once more later',
        );
      },
      now,
      after(ms, work) {
        const timer = setTimeout(work, ms).unref();
        return () => {
          clearTimeout(timer);
        };
      },
    });
    snapshot.onSubscriptionChange((id, subscription) => {
      watch.changed(id, subscription);
    });
    this.#watch = watch;
    this.#following = followStream(
      bus,
      { stream: topology.streams.COUNTERS, from: 'last-per-subject' },
      ({ subject, data }) => {
        const { val } = JSON.parse(new TextDecoder().decode(data)) as { readonly val: string };
        watch.counted(lastToken(subject) as SubscriptionId, Number(val));
      },
    );
  }

  async onModuleDestroy(): Promise<void> {
    this.#watch?.stop();
    await this.#following?.stop();
  }
}
