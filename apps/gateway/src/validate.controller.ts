import { Controller, Get, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ProblemError, unavailable, type Problem } from '#platform/problem';
import type { Confirmation, ConfirmRequest } from './confirm-validation.ts';

export const VALIDATE_PORTS = Symbol('VALIDATE_PORTS');

export interface ValidatePorts {
  confirmValidation(request: ConfirmRequest): Promise<Confirmation>;
  isBusAway(error: unknown): boolean;
}

/**
 * `GET` and `POST /validate/{subscription}?code=…`: where a sink, or a person with the link, confirms that it wants the
 * notifications (WH-15). `HEAD` is what programs send that look at links before people open them: it confirms nothing.
 */
@Controller('validate/:subscription')
export class ValidateController {
  readonly #ports: ValidatePorts;

  constructor(@Inject(VALIDATE_PORTS) ports: ValidatePorts) {
    this.#ports = ports;
  }

  @Get()
  async open(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('subscription') subscription: string,
    @Query('code') code: unknown,
  ): Promise<void> {
    if (request.method !== 'GET') throw new ProblemError(NOT_FOUND);
    await this.#confirm(request, reply, { subscription, code });
  }

  @Post()
  async call(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('subscription') subscription: string,
    @Query('code') code: unknown,
  ): Promise<void> {
    await this.#confirm(request, reply, { subscription, code });
  }

  async #confirm(
    { headers }: FastifyRequest,
    reply: FastifyReply,
    { subscription, code }: { subscription: string; code: unknown },
  ): Promise<void> {
    const rate = headers['webhook-allowed-rate'];
    const confirmation = await this.#ask({
      subscription,
      code: typeof code === 'string' ? code : undefined,
      allowedRate: Array.isArray(rate) ? rate.join(', ') : rate,
    });
    if (confirmation.kind === 'not_found') throw new ProblemError(NOT_FOUND);
    if (confirmation.kind === 'invalid_rate') throw new ProblemError(INVALID_RATE);
    await reply
      .code(200)
      .headers({
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      })
      .type('text/plain; charset=utf-8')
      .send(`Confirmed: the notifications of subscription ${subscription} are welcome.\n`);
  }

  async #ask(request: ConfirmRequest): Promise<Confirmation> {
    try {
      return await this.#ports.confirmValidation(request);
    } catch (error) {
      if (this.#ports.isBusAway(error)) throw unavailable('bus-unavailable', BUS_UNAVAILABLE, error);
      throw error;
    }
  }
}

const BUS_UNAVAILABLE = 'The confirmation could not be stored. Open the same address again in a moment.';

const NOT_FOUND: Problem = {
  status: 404,
  code: 'not-found',
  detail: 'This link confirms nothing: it is not complete, its time is over, or another one has replaced it.',
};

const INVALID_RATE: Problem = {
  status: 400,
  code: 'invalid-rate',
  detail: 'Nothing was confirmed. WebHook-Allowed-Rate must be * or a whole number above 0: requests per minute.',
  errors: [{ rule: 'WH-12', pointer: 'webhook-allowed-rate', detail: 'Correct it, or leave it out.' }],
};
