import { Module, type DynamicModule } from '@nestjs/common';
import { HealthChecks } from './health.ts';
import type { Logger } from './logger.ts';
import { makeMetrics } from './metrics.ts';
import { OperationsController } from './operations.controller.ts';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from './tokens.ts';

/** What every service has: its configuration, a logger, metrics, health and a clock, and the pages that show them. */
@Module({})
export class PlatformModule {
  static forRoot({
    config,
    logger,
    clock = Date.now,
  }: {
    config: unknown;
    logger: Logger;
    clock?: Clock;
  }): DynamicModule {
    const shared = [
      { provide: CONFIG, useValue: config },
      { provide: LOGGER, useValue: logger },
      { provide: METRICS, useFactory: makeMetrics },
      { provide: HEALTH_CHECKS, useFactory: () => new HealthChecks() },
      { provide: CLOCK, useValue: clock },
    ];
    return {
      module: PlatformModule,
      global: true,
      controllers: [OperationsController],
      providers: shared,
      exports: shared.map(({ provide }) => provide),
    };
  }
}
