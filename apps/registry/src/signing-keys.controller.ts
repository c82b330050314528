import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PageResource } from '#contracts/http/lookup-resources';
import { signingKeyBody, signingKeyToResource, type SigningKeyResource } from '#contracts/http/signing-key-body';
import { parseBody } from '#contracts/http/violations';
import { isSigningKeyId, type SigningKeyId } from '#core/ids';
import { callerOf, requireScope } from '#platform/authenticate';
import { ProblemError } from '#platform/problem';
import { bodyOrRefuse, conflict, notFound } from './problems.ts';
import { readJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import type { SigningKeyStep, SigningKeyWritten } from './signing-keys.ts';

/** `/v1/signing-keys`: the key pairs that a tenant's notifications are signed with, and their rotation (MS-5). */
@Controller('v1/signing-keys')
export class SigningKeysController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** It signs nothing before it was published and activated. */
  @Post()
  @HttpCode(201)
  async create(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SigningKeyResource> {
    const { tenant, caller } = await this.#manager(request);
    const { algorithm } = bodyOrRefuse(parseBody(signingKeyBody, readJson(request.body)));
    const resource = show(await this.#ports.signingKeys.create(tenant, algorithm, caller), '');
    reply.header('location', `/v1/signing-keys/${resource.id}`);
    return resource;
  }

  /** All of them, newest first: they are few. */
  @Get()
  async list(@Req() request: FastifyRequest): Promise<PageResource<SigningKeyResource>> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    return { data: (await this.#ports.signingKeys.list(tenant)).map(signingKeyToResource) };
  }

  @Get(':id')
  async get(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SigningKeyResource> {
    const tenant = requireScope(await this.#ports.authenticate(request.headers, request.ip), 'read', 'manage');
    const found = (await this.#ports.signingKeys.list(tenant)).find((key) => key.id === id);
    if (found === undefined) throw notFound('signing key', id);
    return signingKeyToResource(found);
  }

  /** Its public half is served from now on. */
  @Post(':id/publish')
  @HttpCode(200)
  publish(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SigningKeyResource> {
    return this.#step(request, id, 'PublishSigningKey');
  }

  /** It signs from now on, in place of the one that did, which stays published. */
  @Post(':id/activate')
  @HttpCode(200)
  activate(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SigningKeyResource> {
    return this.#step(request, id, 'ActivateSigningKey');
  }

  /** It signs no more; without another active key, deliveries that need one wait. */
  @Post(':id/withdraw')
  @HttpCode(200)
  withdraw(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SigningKeyResource> {
    return this.#step(request, id, 'WithdrawSigningKey');
  }

  /** Its private half is forgotten, its public half served for as long as something signed with it can still arrive. */
  @Post(':id/retire')
  @HttpCode(200)
  retire(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SigningKeyResource> {
    return this.#step(request, id, 'RetireSigningKey');
  }

  async #step(request: FastifyRequest, id: string, kind: SigningKeyStep): Promise<SigningKeyResource> {
    const { tenant, caller } = await this.#manager(request);
    return show(await this.#ports.signingKeys.step(tenant, existing(id), kind, caller), id);
  }

  async #manager(request: FastifyRequest) {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    return { tenant: requireScope(principal, 'manage'), caller: callerOf(principal) };
  }
}

/** What is not shaped like an id names nothing, and must not get into a subject of the bus. */
function existing(id: string): SigningKeyId {
  if (!isSigningKeyId(id)) throw notFound('signing key', id);
  return id;
}

function show(written: SigningKeyWritten, id: string): SigningKeyResource {
  switch (written.kind) {
    case 'written':
      return signingKeyToResource(written.key);
    case 'not_found':
      throw notFound('signing key', id);
    case 'conflict':
      throw conflict('signing key');
    case 'refused':
      throw new ProblemError({ status: 409, code: 'signing-key-state', detail: written.detail });
  }
}
