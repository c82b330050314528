import { Controller, HttpCode, Inject, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { subscriptionToResource, type SubscriptionResource } from '#contracts/http/subscription-resource';
import { isSubscriptionId } from '#core/ids';
import { callerOf, requireScope } from '#platform/authenticate';
import { ProblemError } from '#platform/problem';
import { conflict, notFound } from '../problems.ts';
import { REGISTRY_PORTS, type RegistryPorts } from '../registry.ports.ts';

/** `POST /v1/subscriptions/{id}/verify`: asks the sink for its consent once more. */
@Controller('v1/subscriptions/:id/verify')
export class VerifyController {
  readonly #ports: RegistryPorts;

  constructor(@Inject(REGISTRY_PORTS) ports: RegistryPorts) {
    this.#ports = ports;
  }

  /** Answers before the sink does: what it says is in `validation` of the subscription then. */
  @Post()
  @HttpCode(202)
  async verify(@Req() request: FastifyRequest, @Param('id') id: string): Promise<SubscriptionResource> {
    const principal = await this.#ports.authenticate(request.headers, request.ip);
    const tenant = requireScope(principal, 'manage');
    if (!isSubscriptionId(id)) throw notFound('subscription', id);
    const verified = await this.#ports.verifySubscription(tenant, id, callerOf(principal));
    switch (verified.kind) {
      case 'requested':
        return subscriptionToResource(verified.subscription);
      case 'too_soon':
        throw tooSoon(verified.waitMs);
      case 'refused':
        if (verified.refusal.code === 'not_found') throw notFound('subscription', id);
        throw new ProblemError({ status: 409, code: 'conflict', detail: verified.refusal.detail });
      case 'conflict':
        throw conflict('subscription');
    }
  }
}

function tooSoon(waitMs: number): ProblemError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new ProblemError({
    status: 429,
    code: 'verify-too-soon',
    detail: `The sink was asked a moment ago; it may be asked again in ${seconds} s.`,
    headers: { 'retry-after': String(seconds) },
  });
}
