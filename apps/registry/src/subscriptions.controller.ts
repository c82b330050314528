import { Controller, Delete, Get, HttpCode, Inject, Param, Patch, Post, Put, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { deleteSubscriptionsQuery, subscriptionsQuery, type SubscriptionsQuery } from '#contracts/http/page-query';
import type { SubscriptionRequest } from '#contracts/http/subscription-body';
import { parseSubscriptionPatch } from '#contracts/http/subscription-patch';
import { subscriptionToResource, type SubscriptionResource } from '#contracts/http/subscription-resource';
import { parseQuery, type Parsed } from '#contracts/http/violations';
import type { TenantId } from '#core/ids';
import { policyOf } from '#core/registry/tenant';
import { headerNamesOf, type HeaderNames } from '#core/signature/header-names';
import { callerOf, requireScope, type Caller } from '#platform/authenticate';
import { ProblemError } from '#platform/problem';
import { entityTag } from './entity-tag.ts';
import { bodyOrRefuse, notFound, queryOrRefuse } from './problems.ts';
import { readJson } from './read-json.ts';
import { readSubscriptionBody } from './read-subscription-body.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { existingId, showWritten, targetOf } from './subscription-answers.ts';

/** `/v1/subscriptions`: the CloudEvents Subscriptions API (SA-1), with PATCH and operations by sink beside it. */
@Controller('v1/subscriptions')
export class SubscriptionsController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** The only answer, besides that of a change which sets it, that shows the secret. */
  @Post()
  @HttpCode(201)
  async create(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const { tenant, caller } = await this.#manager(request);
    const wanted = bodyOrRefuse(await this.#readBody(request, tenant));
    const resource = showWritten(await this.#ports.subscriptions.create(tenant, wanted, caller), '', reply);
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
    const query = queryOrRefuse(parseQuery(subscriptionsQuery, request.query));
    const { data, next } = await this.#ports.listSubscriptions(tenant, query);
    if (next !== undefined) reply.header('link', `</v1/subscriptions?${nextQuery(query, next)}>; rel="next"`);
    return data.map((subscription) => subscriptionToResource(subscription));
  }

  /** Deletes each subscription with exactly this sink; answers with them as they were. */
  @Delete()
  async deleteWithSink(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<readonly SubscriptionResource[]> {
    const { tenant, caller } = await this.#manager(request);
    const { sink } = queryOrRefuse(parseQuery(deleteSubscriptionsQuery, request.query));
    const results = await this.#ports.subscriptions.removeWithSink(tenant, sink, caller);
    if (results.length === 0) throw notFound('subscription with the sink', sink);
    const deleted = results.map((result) => showWritten(result, '', reply));
    reply.removeHeader('etag');
    return deleted;
  }

  @Get(':id')
  async get(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const tenant = await this.#reader(request);
    const found = await this.#ports.state.subscription(tenant, existingId(id));
    if (found === undefined) throw notFound('subscription', id);
    reply.header('etag', entityTag(found.revision));
    return subscriptionToResource(found);
  }

  /** Replaces the whole subscription; secrets that the body leaves out stay. */
  @Put(':id')
  async replace(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const target = await targetOf(this.#ports, request, id);
    const wanted = withId(await this.#readBody(request, target.tenant), id);
    bodyOrRefuse(wanted); // also for a subscription that is not there: a bad body is bad anyway
    return showWritten(await this.#ports.subscriptions.change(target, () => wanted), id, reply);
  }

  /** Changes what a merge patch names (RFC 7396). */
  @Patch(':id')
  async patch(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const target = await targetOf(this.#ports, request, id);
    requireMergePatch(request);
    const patch = readJson(request.body);
    const names = await this.#headerNames(target.tenant);
    const result = await this.#ports.subscriptions.change(target, (state) =>
      withId(parseSubscriptionPatch(subscriptionToResource(state), patch, names), id),
    );
    return showWritten(result, id, reply);
  }

  /** Answers with the subscription as it was (SA-1). */
  @Delete(':id')
  async delete(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const target = await targetOf(this.#ports, request, id);
    const deleted = showWritten(await this.#ports.subscriptions.remove(target), id, reply);
    reply.removeHeader('etag');
    return deleted;
  }

  async #readBody({ body }: FastifyRequest, tenant: TenantId): Promise<Parsed<SubscriptionRequest>> {
    const sent = readJson(body);
    return readSubscriptionBody(sent, this.#ports.subscriptions.checkSink, await this.#headerNames(tenant));
  }

  async #headerNames(tenant: TenantId): Promise<HeaderNames> {
    return headerNamesOf(policyOf(await this.#ports.state.tenant(tenant)).headerPrefix);
  }

  async #manager(request: FastifyRequest): Promise<{ readonly tenant: TenantId; readonly caller: Caller }> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    return { tenant: requireScope(principal, 'manage'), caller: callerOf(principal) };
  }

  async #reader(request: FastifyRequest): Promise<TenantId> {
    return requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
  }
}

/** An id in a body has to be that of the path (SA-2). */
function withId(parsed: Parsed<SubscriptionRequest>, inPath: string): Parsed<SubscriptionRequest> {
  if (!parsed.ok || parsed.value.id === undefined || parsed.value.id === inPath) return parsed;
  const detail = `This must be ${inPath} as in the path, or be left out: an id never changes (SA-2).`;
  return { ok: false, violations: [{ rule: 'SA-2', pointer: '/id', detail }] };
}

function nextQuery({ limit, after: _before, ...filter }: SubscriptionsQuery, next: string): string {
  const parameters = Object.entries({ ...filter, after: next, ...(limit === undefined ? {} : { limit: `${limit}` }) });
  return new URLSearchParams(
    parameters.filter((entry): entry is [string, string] => entry[1] !== undefined),
  ).toString();
}

const MERGE_PATCH = 'application/merge-patch+json';

/** Plain JSON is taken as well: nothing else could be meant here. */
function requireMergePatch({ headers }: FastifyRequest): void {
  const type = (headers['content-type'] ?? MERGE_PATCH).split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === MERGE_PATCH || type === 'application/json') return;
  throw new ProblemError({
    status: 415,
    code: 'unsupported-media-type',
    detail: `A PATCH must be a merge patch (RFC 7396): send it as ${MERGE_PATCH}.`,
    headers: { 'accept-patch': MERGE_PATCH },
  });
}
