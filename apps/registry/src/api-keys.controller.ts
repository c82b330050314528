import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { apiKeyBody, apiKeyToResource, type ApiKeyResource } from '#contracts/http/api-key-body';
import type { PageResource } from '#contracts/http/lookup-resources';
import { pageQuery } from '#contracts/http/page-query';
import { parseBody, parseQuery } from '#contracts/http/violations';
import { isApiKeyId, isTenantId, type TenantId } from '#core/ids';
import type { ApiKey } from '#core/registry/api-key';
import { callerOf, requireScope, type Principal } from '#platform/authenticate';
import { pageRequest } from './page-request.ts';
import { bodyOrRefuse, conflict, invalidBody, notFound, queryOrRefuse } from './problems.ts';
import { readJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { pageToResource } from './resources.ts';

const EXPIRED = 'This must be in the future: such a key would never be accepted.';

/** `/v1/tenants/{tenant}/keys`: the operator hands out keys, and so does a key of the tenant with the scope `admin`. */
@Controller('v1/tenants/:tenant/keys')
export class ApiKeysController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** The only answer that ever shows the key. */
  @Post()
  @HttpCode(201)
  async create(
    @Req() request: FastifyRequest,
    @Param('tenant') tenant: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ApiKeyResource> {
    const caller = callerOf(await this.#admin(request, tenant));
    if (!isTenantId(tenant)) throw notFound('tenant', tenant);
    const wanted = bodyOrRefuse(parseBody(apiKeyBody, readJson(request.body)));
    const result = await this.#ports.tenants.createApiKey(tenant, wanted, caller);
    if (result.kind === 'tenant_unknown') throw notFound('tenant', tenant);
    if (result.kind === 'conflict') throw conflict('API key');
    if (result.kind === 'expired') throw invalidBody([{ pointer: '/expiresAt', detail: EXPIRED }]);
    reply.header('location', `/v1/tenants/${tenant}/keys/${result.apiKey.id}`).header('cache-control', 'no-store');
    return apiKeyToResource(result.apiKey, { key: result.text });
  }

  @Get()
  async list(@Req() request: FastifyRequest, @Param('tenant') tenant: string): Promise<PageResource<ApiKeyResource>> {
    await this.#admin(request, tenant);
    const query = queryOrRefuse(parseQuery(pageQuery, request.query));
    const { data, ...page } = await this.#ports.readSide.listApiKeys(await this.#existing(tenant), pageRequest(query));
    // The rows know ids and order; what a key may do, and that it was revoked, is told by the fold.
    const keys = await Promise.all(data.map((row) => this.#ports.state.apiKey(row.tenant, row.id)));
    const shown = await Promise.all(keys.filter((key) => key !== undefined).map((key) => this.#show(key)));
    return pageToResource({ ...page, data: shown }, (key) => key);
  }

  @Get(':key')
  async get(
    @Req() request: FastifyRequest,
    @Param('tenant') tenant: string,
    @Param('key') id: string,
  ): Promise<ApiKeyResource> {
    await this.#admin(request, tenant);
    const apiKey = isTenantId(tenant) && isApiKeyId(id) ? await this.#ports.state.apiKey(tenant, id) : undefined;
    if (apiKey === undefined) throw notFound('API key', id);
    return this.#show(apiKey);
  }

  /** Revokes the key; the answer shows it as it was. */
  @Delete(':key')
  async revoke(
    @Req() request: FastifyRequest,
    @Param('tenant') tenant: string,
    @Param('key') id: string,
  ): Promise<ApiKeyResource> {
    const caller = callerOf(await this.#admin(request, tenant));
    if (!isTenantId(tenant) || !isApiKeyId(id)) throw notFound('API key', id);
    const result = await this.#ports.tenants.revokeApiKey(tenant, id, caller);
    if (result.kind === 'not_found') throw notFound('API key', id);
    if (result.kind === 'conflict') throw conflict('API key');
    return apiKeyToResource(result.apiKey);
  }

  /** Another tenant's keys are not there, whoever's key asks. */
  async #admin(request: FastifyRequest, tenant: string): Promise<Principal> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    if (principal.isAdmin) return principal;
    requireScope(principal, 'admin');
    if (principal.tenant !== tenant) throw notFound('tenant', tenant);
    return principal;
  }

  async #show(apiKey: ApiKey): Promise<ApiKeyResource> {
    const lastUse = await this.#ports.lastKeyUse(apiKey.tenant, apiKey.id);
    return apiKeyToResource(apiKey, lastUse === undefined ? {} : { lastUse });
  }

  async #existing(tenant: string): Promise<TenantId> {
    if (!isTenantId(tenant) || (await this.#ports.state.tenant(tenant)) === undefined) throw notFound('tenant', tenant);
    return tenant;
  }
}
