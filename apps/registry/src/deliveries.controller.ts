import { Controller, Get, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type {
  DeadLetterResource,
  DeliveryResource,
  DeliveryWithAttemptsResource,
  PageResource,
} from '#contracts/http/lookup-resources';
import { deadLettersQuery, deliveriesQuery } from '#contracts/http/page-query';
import { parseQuery } from '#contracts/http/violations';
import { isDeliveryId, type DeliveryId, type TenantId } from '#core/ids';
import { callerOf, requireScope } from '#platform/authenticate';
import { ProblemError, type Problem } from '#platform/problem';
import { pageRequest } from './page-request.ts';
import { notFound, queryOrRefuse } from './problems.ts';
import type { Redelivered } from './redelivery/redeliver.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import {
  deadLetterToResource,
  deliveryToResource,
  deliveryWithAttemptsToResource,
  pageToResource,
} from './resources.ts';

/** `/v1/deliveries` and `/v1/dead-letters`: what was sent, what came back, and once more. */
@Controller('v1')
export class DeliveriesController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  @Get('deliveries')
  async list(@Req() request: FastifyRequest): Promise<PageResource<DeliveryResource>> {
    const tenant = await this.#reader(request);
    const { limit, after, ...filter } = queryOrRefuse(parseQuery(deliveriesQuery, request.query));
    const page = { ...filter, ...pageRequest({ limit, after }) };
    return pageToResource(await this.#ports.readSide.listDeliveries(tenant, page), deliveryToResource);
  }

  @Get('deliveries/:id')
  async get(@Req() request: FastifyRequest, @Param('id') id: string): Promise<DeliveryWithAttemptsResource> {
    const tenant = await this.#reader(request);
    const delivery = await this.#ports.readSide.findDelivery(tenant, existing(id));
    if (delivery === undefined) throw notFound('delivery', id);
    return deliveryWithAttemptsToResource(delivery);
  }

  /** A new round of attempts for a delivery that is over; answers before the first of them. */
  @Post('deliveries/:id/redeliver')
  @HttpCode(202)
  async redeliver(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
  ): Promise<{ readonly delivery: string; readonly attempt: number }> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    const tenant = requireScope(principal, 'manage');
    const result = await this.#ports.redeliver(tenant, existing(id), callerOf(principal));
    if (result.kind === 'accepted') return { delivery: id, attempt: result.attempt };
    if (result.kind === 'not_found') throw notFound('delivery', id);
    throw new ProblemError(problemOf(result));
  }

  @Get('dead-letters')
  async listDeadLetters(@Req() request: FastifyRequest): Promise<PageResource<DeadLetterResource>> {
    const tenant = await this.#reader(request);
    const { limit, after, ...filter } = queryOrRefuse(parseQuery(deadLettersQuery, request.query));
    const page = { ...filter, ...pageRequest({ limit, after }) };
    return pageToResource(await this.#ports.readSide.listDeadLetters(tenant, page), deadLetterToResource);
  }

  async #reader(request: FastifyRequest): Promise<TenantId> {
    return requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
  }
}

function existing(id: string): DeliveryId {
  if (!isDeliveryId(id)) throw notFound('delivery', id);
  return id;
}

function problemOf(result: Exclude<Redelivered, { kind: 'accepted' | 'not_found' }>): Problem {
  switch (result.kind) {
    case 'in_progress':
      return {
        status: 409,
        code: 'delivery-in-progress',
        detail: `The delivery is ${result.state}: an attempt is due anyway. Only one that is delivered or dead can be redelivered.`,
      };
    case 'subscription_deleted':
      return {
        status: 409,
        code: 'subscription-deleted',
        detail: `The subscription ${result.subscription} is deleted, so there is no sink to deliver to.`,
      };
    case 'subscription_ended':
      return {
        status: 409,
        code: 'subscription-state',
        detail: `The subscription ${result.subscription} is ${result.state}, so nothing is sent to its sink.`,
      };
    case 'event_gone':
      return {
        status: 410,
        code: 'event-data-gone',
        detail: 'The retention of events is over for this one, so it cannot be sent again.',
      };
    case 'dead_letter':
      return {
        status: 409,
        code: 'delivery-of-dead-letter',
        detail: 'This is what was sent to the dead letter sink about another delivery. Redeliver that one.',
      };
  }
}
