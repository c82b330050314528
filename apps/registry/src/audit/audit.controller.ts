import { Controller, Get, Inject, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { auditQuery, type AuditResource } from '#contracts/http/audit';
import type { PageResource } from '#contracts/http/lookup-resources';
import { parseQuery } from '#contracts/http/violations';
import { requireScope } from '#platform/authenticate';
import { queryOrRefuse } from '../problems.ts';
import { REGISTRY_PORTS, type RegistryPorts } from '../registry.ports.ts';

/** `/v1/audit`: who changed what, when and from where. */
@Controller('v1/audit')
export class AuditController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** Newest first. The operator who names no tenant sees all of them. */
  @Get()
  async list(@Req() request: FastifyRequest): Promise<PageResource<AuditResource>> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    const tenant = principal.isAdmin ? principal.tenant : requireScope(principal, 'admin');
    return this.#ports.readAudit(tenant, queryOrRefuse(parseQuery(auditQuery, request.query)));
  }
}
