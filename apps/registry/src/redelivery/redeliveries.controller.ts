import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PageResource } from '#contracts/http/lookup-resources';
import {
  redeliveriesQuery,
  redeliveryBody,
  redeliveryToResource,
  selectionToResource,
  type RedeliveryPreview,
  type RedeliveryResource,
} from '#contracts/http/redelivery-body';
import { parseBody, parseQuery } from '#contracts/http/violations';
import { isRedeliveryId, type RedeliveryId } from '#core/ids';
import { callerOf, requireScope } from '#platform/authenticate';
import { ProblemError } from '#platform/problem';
import { bodyOrRefuse, conflict, invalidBody, notFound, queryOrRefuse } from '../problems.ts';
import { readOptionalJson } from '../read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from '../registry.ports.ts';
import type { RedeliveryRequest } from './request-redelivery.ts';

/** `/v1/redeliveries`: jobs that redeliver a set. */
@Controller('v1/redeliveries')
export class RedeliveriesController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** 202 with the job; a dry run counts only, 200. */
  @Post()
  @HttpCode(202)
  async request(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RedeliveryResource | RedeliveryPreview> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    const tenant = requireScope(principal, 'manage');
    const wanted = bodyOrRefuse(parseBody(redeliveryBody, readOptionalJson(request.body)));
    const result = await this.#ports.redeliveries.request(tenant, wanted, callerOf(principal));
    if (result.kind === 'requested') {
      reply.header('location', `/v1/redeliveries/${result.job.id}`);
      return redeliveryToResource(result.job);
    }
    if (result.kind !== 'counted') throw problemOf(result);
    reply.code(200);
    return { selection: selectionToResource(result.selection), count: result.count };
  }

  @Get()
  async list(@Req() request: FastifyRequest): Promise<PageResource<RedeliveryResource>> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    const query = queryOrRefuse(parseQuery(redeliveriesQuery, request.query));
    const { data, ...page } = await this.#ports.redeliveries.list(tenant, query);
    return { data: data.map(redeliveryToResource), ...page };
  }

  @Get(':id')
  async get(@Req() request: FastifyRequest, @Param('id') id: string): Promise<RedeliveryResource> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    const job = await this.#ports.redeliveries.find(tenant, existing(id));
    if (job === undefined) throw notFound('redelivery', id);
    return redeliveryToResource(job);
  }

  /** Nothing more is begun; rounds that were begun go on. */
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(@Req() request: FastifyRequest, @Param('id') id: string): Promise<RedeliveryResource> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    const tenant = requireScope(principal, 'manage');
    const result = await this.#ports.redeliveries.cancel(tenant, existing(id), callerOf(principal));
    switch (result.kind) {
      case 'cancelled':
        return redeliveryToResource(result.job);
      case 'not_found':
        throw notFound('redelivery', id);
      case 'refused':
        throw new ProblemError({ status: 409, code: 'redelivery-finished', detail: result.detail });
      case 'conflict':
        throw conflict('redelivery');
    }
  }
}

function existing(id: string): RedeliveryId {
  if (!isRedeliveryId(id)) throw notFound('redelivery', id);
  return id;
}

function problemOf(result: Exclude<RedeliveryRequest, { kind: 'requested' | 'counted' }>): ProblemError {
  switch (result.kind) {
    case 'invalid':
      return invalidBody(result.violations);
    case 'subscription_unknown': {
      const { detail, ...rest } = notFound('subscription', result.subscription).problem;
      return new ProblemError({ ...rest, detail, errors: [{ pointer: '/subscription', detail }] });
    }
    case 'too_many': {
      const running = result.running.join(', ');
      const detail = `As many redeliveries are running as a tenant may have at once. Wait for one of them or cancel it: ${running}.`;
      return new ProblemError({ status: 409, code: 'too-many-redeliveries', detail });
    }
    case 'conflict':
      return conflict('redelivery');
  }
}
