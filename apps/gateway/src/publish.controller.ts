import { Controller, HttpCode, Inject, Options, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requireScope } from '#platform/authenticate';
import { ProblemError, unavailable, type Problem } from '#platform/problem';
import type { AcceptedEvent, Acceptance } from './accept-events.ts';
import { PUBLISH_PORTS, type PublishPorts, type PublishResult } from './gateway.ports.ts';
import { requestCredential } from './request-credential.ts';

/** `POST /publish`: the CloudEvents HTTP binding in all three modes (HB-1, HB-2). */
@Controller()
export class PublishController {
  readonly #ports: PublishPorts;

  constructor(@Inject(PUBLISH_PORTS) ports: PublishPorts) {
    this.#ports = ports;
  }

  @Post('publish')
  @HttpCode(202)
  async publish(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ events: readonly AcceptedEvent[] }> {
    const { headers, isInUrl } = requestCredential(request.headers, request.query);
    const tenant = requireScope(await this.#ports.authenticate(headers, request.ip), 'publish');
    if (this.#ports.isSaturated()) throw new ProblemError(SATURATED);
    const traceparent = request.headers['traceparent'];
    const acceptance = await this.#measured({
      tenant,
      headers: rawHeaderPairs(request.raw.rawHeaders),
      body: request.body instanceof Uint8Array ? request.body : new Uint8Array(),
      ...(typeof traceparent === 'string' ? { traceparent } : {}),
    });
    if (isInUrl) reply.header('cache-control', 'private');
    if (acceptance.kind === 'accepted') return { events: acceptance.events };
    throw new ProblemError(problemOf(acceptance));
  }

  /**
   * Abuse protection from the other side: this is a webhook target for other senders (WH-18). Who asks need not have a
   * credential; with one, the policy of its tenant counts. No CORS: a browser is not a sender, and its preflight would ask
   * here too (WH-19).
   */
  @Options('publish')
  async handshake(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { headers } = requestCredential(request.headers, request.query);
    const consent = await this.#ports.answerHandshake(headers, request.ip);
    await reply
      .code(200)
      .headers({ allow: 'POST, OPTIONS', ...Object.fromEntries(consent) })
      .send();
  }

  /** What throws is measured as well: an outage of the bus has to be seen in the latency. */
  async #measured(request: Parameters<PublishPorts['acceptEvents']>[0]): Promise<Acceptance> {
    const stop = this.#ports.startTimer();
    let result: PublishResult = 'unavailable';
    try {
      const acceptance = await this.#accept(request);
      result = acceptance.kind;
      return acceptance;
    } finally {
      stop(result);
    }
  }

  async #accept(request: Parameters<PublishPorts['acceptEvents']>[0]): Promise<Acceptance> {
    try {
      return await this.#ports.acceptEvents(request);
    } catch (error) {
      const fault = this.#ports.faultOf(error);
      if (fault === 'bus_unavailable') throw unavailable('bus-unavailable', BUS_UNAVAILABLE, error);
      if (fault === 'too_large_for_bus') throw new ProblemError(TOO_LARGE_FOR_BUS, { cause: error });
      throw error;
    }
  }
}

const BUS_UNAVAILABLE =
  'The event store did not confirm in time. Send the same request again: what was stored already is recognised.';

const TOO_LARGE_FOR_BUS: Problem = {
  status: 413,
  code: 'event-too-large',
  detail:
    'The event is larger than a message of the NATS server may be (its max_payload). Send a reference to the data.',
};

const SATURATED: Problem = {
  status: 429,
  code: 'too-many-pending',
  detail: 'Too many events are waiting to be stored. Nothing was accepted; send the same request again later.',
  headers: { 'retry-after': '1' },
};

function rawHeaderPairs(raw: readonly string[]): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return pairs;
}

function problemOf({ kind, violations }: Exclude<Acceptance, { kind: 'accepted' }>): Problem {
  switch (kind) {
    case 'too_large':
      return {
        status: 413,
        code: 'event-too-large',
        detail: 'The event is too large; nothing was accepted.',
        errors: violations,
      };
    case 'unsupported_media_type':
      return {
        status: 415,
        code: 'unsupported-media-type',
        detail:
          'Send application/cloudevents+json, application/cloudevents-batch+json, or a binary-mode event with ce- headers; charset UTF-8, not compressed.',
        errors: violations,
        headers: { 'accept-encoding': 'identity' },
      };
    case 'invalid':
      return {
        status: 400,
        code: 'invalid-event',
        detail: 'The request does not hold valid CloudEvents; nothing was accepted. See errors.',
        errors: violations,
      };
  }
}
