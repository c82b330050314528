import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pageQuery } from '#contracts/http/page-query';
import { subscriptionBody, type SubscriptionRequest } from '#contracts/http/subscription-body';
import { subscriptionToResource, type SubscriptionResource } from '#contracts/http/subscription-resource';
import { parseBody, parseQuery } from '#contracts/http/violations';
import { isSubscriptionId, type SubscriptionId, type TenantId } from '#core/ids';
import { requireScope } from '#platform/authenticate';
import { pageRequest } from './page-request.ts';
import { bodyOrRefuse, conflict, invalidBody, notFound, queryOrRefuse } from './problems.ts';
import { readJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import type { SubscriptionWritten } from './write-subscriptions.ts';

/** `/v1/subscriptions`: the CloudEvents Subscriptions API (SA-1), as far as exact, prefix and suffix filters over HTTP. */
@Controller('v1/subscriptions')
export class SubscriptionsController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** The only answer, besides that of a `PUT` which changes it, that shows the secret. */
  @Post()
  @HttpCode(201)
  async create(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const { tenant, by } = await this.#manager(request);
    const wanted = bodyOrRefuse(parseBody(subscriptionBody, readJson(request.body)));
    const resource = show(await this.#ports.subscriptions.create({ tenant, request: wanted, by }), '', reply);
    reply.header('location', `/v1/subscriptions/${resource.id}`);
    return resource;
  }

  /** The body is an array, as the Subscriptions API has it; the next page is in the `Link` header. */
  @Get()
  async list(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<readonly SubscriptionResource[]> {
    const tenant = await this.#reader(request);
    const query = queryOrRefuse(parseQuery(pageQuery, request.query));
    const { data, next } = await this.#ports.readSide.listSubscriptions(tenant, pageRequest(query));
    if (next !== undefined) {
      const limit = query.limit === undefined ? '' : `&limit=${query.limit}`;
      reply.header('link', `</v1/subscriptions?after=${encodeURIComponent(next)}${limit}>; rel="next"`);
    }
    return data.map((subscription) => subscriptionToResource(subscription));
  }

  @Get(':id')
  async get(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SubscriptionResource> {
    const tenant = await this.#reader(request);
    const subscription = await this.#ports.state.subscription(tenant, existing(id));
    if (subscription === undefined) throw notFound('subscription', id);
    return subscriptionToResource(subscription);
  }

  /** Replaces the whole subscription; a secret that the body leaves out stays. */
  @Put(':id')
  async replace(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const { tenant, by } = await this.#manager(request);
    const subscription = existing(id);
    const wanted = bodyOrRefuse(parseBody(subscriptionBody, readJson(request.body)));
    requireSameId(wanted, id);
    return show(await this.#ports.subscriptions.replace(subscription, { tenant, request: wanted, by }), id, reply);
  }

  /** Answers with the subscription as it was (SA-1). */
  @Delete(':id')
  async delete(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const { tenant, by } = await this.#manager(request);
    return show(await this.#ports.subscriptions.remove(existing(id), tenant, by), id, reply);
  }

  async #manager(request: FastifyRequest): Promise<{ readonly tenant: TenantId; readonly by: string }> {
    const principal = await this.#ports.authenticate(request.headers);
    return { tenant: requireScope(principal, 'manage'), by: principal.by };
  }

  async #reader(request: FastifyRequest): Promise<TenantId> {
    return requireScope(await this.#ports.authenticate(request.headers), 'read', 'manage');
  }
}

/** What is not shaped like an id names nothing, and must not get into a subject of the bus. */
function existing(id: string): SubscriptionId {
  if (!isSubscriptionId(id)) throw notFound('subscription', id);
  return id;
}

function requireSameId({ id: inBody }: SubscriptionRequest, inPath: string): void {
  if (inBody === undefined || inBody === inPath) return;
  const detail = `This must be ${inPath} as in the path, or be left out: an id never changes (SA-2).`;
  throw invalidBody([{ rule: 'SA-2', pointer: '/id', detail }]);
}

function show(result: SubscriptionWritten, id: string, reply: FastifyReply): SubscriptionResource {
  switch (result.kind) {
    case 'written':
      if (result.secret !== undefined) reply.header('cache-control', 'no-store');
      return subscriptionToResource(result.subscription, result.secret);
    case 'invalid':
      throw invalidBody(result.violations);
    case 'not_found':
      throw notFound('subscription', id);
    case 'conflict':
      throw conflict('subscription');
  }
}
