import { Controller, Get, Inject, Param, Put, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { tenantBody, tenantToResource, type TenantResource } from '#contracts/http/tenant-body';
import type { PageResource } from '#contracts/http/lookup-resources';
import { pageQuery } from '#contracts/http/page-query';
import { parseBody, parseQuery } from '#contracts/http/violations';
import { isTenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { callerOf, requireAdmin, requireScope } from '#platform/authenticate';
import { ProblemError } from '#platform/problem';
import { pageRequest } from './page-request.ts';
import { bodyOrRefuse, conflict, notFound, queryOrRefuse } from './problems.ts';
import { readOptionalJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { pageToResource } from './resources.ts';

/** `/v1/tenants`: the operator's list of who uses this installation. */
@Controller('v1/tenants')
export class TenantsController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  @Get()
  async list(@Req() request: FastifyRequest): Promise<PageResource<TenantResource>> {
    requireAdmin(await this.#ports.authenticate(request.headers, request.ip));
    const query = queryOrRefuse(parseQuery(pageQuery, request.query));
    const { data, ...page } = await this.#ports.readSide.listTenants(pageRequest(query));
    // The rows know names and order; policies are in the fold only.
    const tenants = await Promise.all(data.map(async (row) => (await this.#ports.state.tenant(row.id)) ?? row));
    return pageToResource({ ...page, data: tenants }, tenantToResource);
  }

  /** A tenant may look at itself; of the others it does not learn even that they exist. */
  @Get(':tenant')
  async get(@Req() request: FastifyRequest, @Param('tenant') id: string): Promise<TenantResource> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    if (!principal.isAdmin) requireScope(principal, 'read', 'manage');
    const isOwn = principal.isAdmin || principal.tenant === id;
    const tenant = isTenantId(id) && isOwn ? await this.#ports.state.tenant(id) : undefined;
    if (tenant === undefined) throw notFound('tenant', id);
    return tenantToResource(tenant);
  }

  @Put(':tenant')
  async put(
    @Req() request: FastifyRequest,
    @Param('tenant') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<TenantResource> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    requireAdmin(principal);
    if (!isTenantId(id)) throw new ProblemError(INVALID_TENANT_ID);
    const wanted = bodyOrRefuse(parseBody(tenantBody, readOptionalJson(request.body)));
    const result = await this.#ports.tenants.putTenant(id, wanted, callerOf(principal));
    if (result.kind === 'conflict') throw conflict('tenant');
    if (result.kind === 'prefix_taken') throw prefixTaken(result.by);
    if (result.isNew) reply.code(201).header('location', `/v1/tenants/${id}`);
    return tenantToResource(result.tenant);
  }
}

/** Of these the first are named; when they are mended, the next ones are. */
const NAMED_MAX = 20;

function prefixTaken(by: readonly Subscription[]): ProblemError {
  const some = by.length === 1 ? 'A subscription of this tenant sets' : `${by.length} subscriptions of this tenant set`;
  return new ProblemError({
    status: 409,
    code: 'header-prefix-taken',
    detail: `${some} a header that this prefix would make. Change that first, or choose another prefix. Nothing was changed.`,
    errors: by.slice(0, NAMED_MAX).map(({ id }) => ({
      rule: 'SA-9',
      pointer: '/policy/headerPrefix',
      detail: `The subscription ${id} sets such a header, in protocolsettings.headers or as its credential.`,
    })),
  });
}

const INVALID_TENANT_ID = {
  status: 400,
  code: 'tenant-invalid',
  detail: 'A tenant id is 1 to 63 of a-z, 0-9 and -, starting and ending with a letter or digit.',
  errors: [{ pointer: 'tenant', detail: 'Choose another id in the path.' }],
} as const;
