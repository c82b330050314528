import { Controller, HttpCode, Inject, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { parseFilterTest, type FilterTest, type FilterTestResource } from '#contracts/http/filter-test-body';
import { jsonPointer } from '#contracts/http/violations';
import type { CloudEvent } from '#core/event/cloud-event';
import { decodeUtf8 } from '#core/event/utf8';
import { explainFilters } from '#core/filter/explain-filters';
import { lintFilters } from '#core/filter/lint-filters';
import type { TenantId } from '#core/ids';
import { requireScope } from '#platform/authenticate';
import { eventDataGone, findOneEvent } from './find-one-event.ts';
import { bodyOrRefuse } from './problems.ts';
import { readJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';

/** `/v1/filters/test`: what filters would make of an event, before anybody subscribes with them. */
@Controller('v1/filters')
export class FiltersController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** Changes nothing, so it is 200 and may be asked with the scope `read`. */
  @Post('test')
  @HttpCode(200)
  async test(@Req() request: FastifyRequest): Promise<FilterTestResource> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    const text = decodeUtf8(request.body as Uint8Array) ?? ''; // reading it takes it away
    const { filters, about } = bodyOrRefuse(parseFilterTest(readJson(request.body), text));
    const event = about.kind === 'event' ? about.event : await this.#storedEvent(tenant, about);
    const warnings = lintFilters(filters).map(({ path, detail, position }) => ({
      pointer: jsonPointer(['filters', ...path]),
      detail,
      position,
    }));
    return { ...explainFilters(filters, event), ...(warnings.length === 0 ? {} : { warnings }) };
  }

  async #storedEvent(
    tenant: TenantId,
    { id, source }: Extract<FilterTest['about'], { kind: 'stored' }>,
  ): Promise<CloudEvent> {
    const { seq } = await findOneEvent(this.#ports.readSide, tenant, id, source);
    const event = await this.#ports.readEvent(seq);
    if (event === undefined) throw eventDataGone();
    return event;
  }
}
