import { Controller, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { rotateSecretBody } from '#contracts/http/signing-key-body';
import type { SubscriptionResource } from '#contracts/http/subscription-resource';
import { parseBody } from '#contracts/http/violations';
import { callerOf, requireAdmin } from '#platform/authenticate';
import { bodyOrRefuse } from './problems.ts';
import { readOptionalJson } from './read-json.ts';
import { REGISTRY_PORTS, type RegistryPorts } from './registry.ports.ts';
import type { Resealing } from './reseal-secrets.ts';
import { showWritten, targetOf } from './subscription-answers.ts';

/** What happens to secrets that are kept: rotation of one, and all of them under another master key. */
@Controller('v1')
export class SecretsController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** The answer shows the new secret, once. The one before signs as well until its grace is over (SW-4). */
  @Post('subscriptions/:id/secret/rotate')
  @HttpCode(200)
  async rotate(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SubscriptionResource> {
    const target = await targetOf(this.#ports, request, id);
    const wanted = bodyOrRefuse(parseBody(rotateSecretBody, readOptionalJson(request.body)));
    return showWritten(await this.#ports.subscriptions.rotateSecret(target, wanted), id, reply);
  }

  /** For the operator, after signers were started with a new master key before the old one. May be called again. */
  @Post('secrets/reseal')
  @HttpCode(200)
  async reseal(@Req() request: FastifyRequest): Promise<Resealing> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    requireAdmin(principal);
    return this.#ports.resealSecrets(callerOf(principal));
  }
}
