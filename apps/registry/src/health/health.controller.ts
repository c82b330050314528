import { Controller, Get, Inject, Param, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { SubscriptionHealthResource } from '#contracts/http/health-resource';
import { requireScope } from '#platform/authenticate';
import { isBusAway } from '../is-away.ts';
import { answering, notFound } from '../problems.ts';
import { REGISTRY_PORTS, type RegistryPorts } from '../registry.ports.ts';
import { existingId } from '../subscription-answers.ts';
import { HEALTH_READER, type HealthReader } from './health-reader.ts';

@Controller('v1/subscriptions/:id/health')
export class HealthController {
  readonly #ports: RegistryPorts;
  readonly #read: HealthReader['read'];

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts, @Inject(HEALTH_READER) reader: HealthReader) {
    this.#ports = ports;
    this.#read = answering('bus', isBusAway, (subscription) => reader.read(subscription));
  }

  /** How delivery to its sink goes now. */
  @Get()
  async health(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SubscriptionHealthResource> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    const subscription = await this.#ports.state.subscription(tenant, existingId(id));
    if (subscription === undefined) throw notFound('subscription', id);
    return this.#read(subscription);
  }
}
