import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Registry as MetricsRegistry } from 'prom-client';
import type { HealthChecks } from './health.ts';
import { HEALTH_CHECKS, METRICS } from './tokens.ts';

/** What an operator asks of every process. */
@Controller()
export class OperationsController {
  readonly #health: HealthChecks;
  readonly #metrics: MetricsRegistry;

  constructor(@Inject(HEALTH_CHECKS) health: HealthChecks, @Inject(METRICS) metrics: MetricsRegistry) {
    this.#health = health;
    this.#metrics = metrics;
  }

  /** 200 while the process turns over its event loop. */
  @Get('livez')
  livez(): { status: string } {
    return { status: 'ok' };
  }

  /** 200 only when the service can do its work, 503 with what is missing otherwise. */
  @Get('readyz')
  async readyz(@Res() reply: FastifyReply): Promise<void> {
    const readiness = await this.#health.readiness();
    await reply.code(readiness.ready ? 200 : 503).send(readiness);
  }

  @Get('metrics')
  async metrics(@Res() reply: FastifyReply): Promise<void> {
    await reply.type(this.#metrics.contentType).send(await this.#metrics.metrics());
  }
}
