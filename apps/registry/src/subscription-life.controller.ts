import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PageResource } from '#contracts/http/lookup-resources';
import { historyQuery } from '#contracts/http/page-query';
import type { SubscriptionResource } from '#contracts/http/subscription-resource';
import { pauseBody } from '#contracts/http/pause-body';
import { parseBody, parseQuery } from '#contracts/http/violations';
import { requireScope } from '#platform/authenticate';
import { bodyOrRefuse, notFound, queryOrRefuse } from './problems.ts';
import { readOptionalJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { existingId, showWritten, targetOf } from './subscription-answers.ts';
import type { HistoryEntry } from './subscription-history.ts';

const DEFAULT_LIMIT = 50;

/** What happens to a subscription beside the Subscriptions API: pause, resume, and what happened so far. */
@Controller('v1/subscriptions/:id')
export class SubscriptionLifeController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** Events are matched on, and their deliveries wait. */
  @Post('pause')
  @HttpCode(200)
  async pause(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const target = await targetOf(this.#ports, request, id);
    const { reason } = bodyOrRefuse(parseBody(pauseBody, readOptionalJson(request.body)));
    const command = { kind: 'PauseSubscription', ...(reason === undefined ? {} : { reason }) } as const;
    return showWritten(await this.#ports.subscriptions.command(target, command), id, reply);
  }

  /** From paused and from disabled; to pending when a consent is still missing. */
  @Post('resume')
  @HttpCode(200)
  async resume(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const target = await targetOf(this.#ports, request, id);
    return showWritten(await this.#ports.subscriptions.command(target, { kind: 'ResumeSubscription' }), id, reply);
  }

  /** Oldest first; of a deleted subscription as well. */
  @Get('history')
  async history(@Req() request: FastifyRequest, @Param('id') id: string): Promise<PageResource<HistoryEntry>> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    const { limit = DEFAULT_LIMIT, after = 0 } = queryOrRefuse(parseQuery(historyQuery, request.query));
    const entries = await this.#ports.readHistory(tenant, existingId(id));
    if (entries.length === 0) throw notFound('subscription', id);
    const rest = entries.slice(after);
    const data = rest.slice(0, limit);
    return rest.length > limit ? { data, next: String(after + limit) } : { data };
  }
}
