import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EventResource } from '#contracts/http/lookup-resources';
import { eventQuery } from '#contracts/http/page-query';
import { parseQuery } from '#contracts/http/violations';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { requireScope } from '#platform/authenticate';
import type { EventRecord } from '#store/find-event';
import { eventDataGone, findOneEvent } from './find-one-event.ts';
import { queryOrRefuse } from './problems.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import { eventToResource } from './resources.ts';

/** `/v1/events/{id}`: what became of an event, and its data while EVENTS keeps it. */
@Controller('v1/events')
export class EventsController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  @Get(':id')
  async get(@Req() request: FastifyRequest, @Param('id') id: string): Promise<EventResource> {
    return eventToResource(await this.#find(request, id));
  }

  /** The exact bytes. They are a stranger's: no browser is to run or guess anything. */
  @Get(':id/data')
  async data(@Req() request: FastifyRequest, @Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    const { seq } = await this.#find(request, id);
    const event = await this.#ports.readEvent(seq);
    if (event === undefined) throw eventDataGone();
    if (event.data === undefined) {
      await reply.code(204).send();
      return;
    }
    await reply
      .headers({
        'content-type': contentTypeOf(event),
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'none'; sandbox",
        'content-disposition': 'attachment',
      })
      .send(Buffer.from(event.data.bytes));
  }

  async #find(request: FastifyRequest, id: string): Promise<EventRecord> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    const { source } = queryOrRefuse(parseQuery(eventQuery, request.query));
    return findOneEvent(this.#ports.readSide, tenant, id, source);
  }
}

function contentTypeOf(event: CloudEvent): string {
  const declared = attributeOf(event, 'datacontenttype');
  if (declared !== undefined) return declared;
  return event.data?.form === 'json' ? 'application/json' : 'application/octet-stream';
}
