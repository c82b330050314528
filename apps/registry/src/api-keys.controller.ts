import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { apiKeyBody, apiKeyToResource, type ApiKeyResource } from '#contracts/http/api-key-body';
import type { PageResource } from '#contracts/http/lookup-resources';
import { pageQuery } from '#contracts/http/page-query';
import { parseBody, parseQuery } from '#contracts/http/violations';
import { isApiKeyId, isTenantId, type TenantId } from '#core/ids';
import { requireAdmin } from '#platform/authenticate';
import { pageRequest } from './page-request.ts';
import { bodyOrRefuse, conflict, notFound, queryOrRefuse } from './problems.ts';
import { readJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { pageToResource } from './resources.ts';

/** `/v1/tenants/{tenant}/keys`: only the operator hands out keys. */
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
    const { by } = await this.#admin(request);
    if (!isTenantId(tenant)) throw notFound('tenant', tenant);
    const wanted = bodyOrRefuse(parseBody(apiKeyBody, readJson(request.body)));
    const result = await this.#ports.tenants.createApiKey(tenant, wanted, by);
    if (result.kind === 'tenant_unknown') throw notFound('tenant', tenant);
    if (result.kind === 'conflict') throw conflict('API key');
    reply.header('location', `/v1/tenants/${tenant}/keys/${result.apiKey.id}`).header('cache-control', 'no-store');
    return apiKeyToResource(result.apiKey, result.text);
  }

  @Get()
  async list(@Req() request: FastifyRequest, @Param('tenant') tenant: string): Promise<PageResource<ApiKeyResource>> {
    await this.#admin(request);
    const query = queryOrRefuse(parseQuery(pageQuery, request.query));
    const page = await this.#ports.readSide.listApiKeys(await this.#existing(tenant), pageRequest(query));
    return pageToResource(page, (key) => apiKeyToResource(key));
  }

  @Get(':key')
  async get(
    @Req() request: FastifyRequest,
    @Param('tenant') tenant: string,
    @Param('key') id: string,
  ): Promise<ApiKeyResource> {
    await this.#admin(request);
    const apiKey = isTenantId(tenant) && isApiKeyId(id) ? await this.#ports.state.apiKey(tenant, id) : undefined;
    if (apiKey === undefined) throw notFound('API key', id);
    return apiKeyToResource(apiKey);
  }

  /** Revokes the key; the answer shows it as it was. */
  @Delete(':key')
  async revoke(
    @Req() request: FastifyRequest,
    @Param('tenant') tenant: string,
    @Param('key') id: string,
  ): Promise<ApiKeyResource> {
    const { by } = await this.#admin(request);
    if (!isTenantId(tenant) || !isApiKeyId(id)) throw notFound('API key', id);
    const result = await this.#ports.tenants.revokeApiKey(tenant, id, by);
    if (result.kind === 'not_found') throw notFound('API key', id);
    if (result.kind === 'conflict') throw conflict('API key');
    return apiKeyToResource(result.apiKey);
  }

  async #admin(request: FastifyRequest): Promise<{ readonly by: string }> {
    const principal = await this.#ports.authenticate(request.headers);
    requireAdmin(principal);
    return principal;
  }

  async #existing(tenant: string): Promise<TenantId> {
    if (!isTenantId(tenant) || (await this.#ports.state.tenant(tenant)) === undefined) throw notFound('tenant', tenant);
    return tenant;
  }
}
