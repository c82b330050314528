import { Module, type DynamicModule } from '@nestjs/common';
import { HealthChecks } from './health.ts';
import type { Logger } from './logger.ts';
import { makeMetrics } from './metrics.ts';
import { OperationsController } from './operations.controller.ts';
import { CLOCK, CONFIG, HEALTH_CHECKS, LOGGER, METRICS, type Clock } from './tokens.ts';

export interface PlatformOptions {
  readonly config: unknown;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Names of health checks without which the process still does its work. */
  readonly optionalChecks?: readonly string[];
}

/** What every service has: its configuration, a logger, metrics, health and a clock, and the pages that show them. */
@Module({})
export class PlatformModule {
  static forRoot({ config, logger, clock = Date.now, optionalChecks = [] }: PlatformOptions): DynamicModule {
    const shared = [
      { provide: CONFIG, useValue: config },
      { provide: LOGGER, useValue: logger },
      { provide: METRICS, useFactory: makeMetrics },
      { provide: HEALTH_CHECKS, useFactory: () => new HealthChecks(optionalChecks) },
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
