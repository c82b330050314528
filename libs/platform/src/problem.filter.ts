import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from './logger.ts';
import { problemDocument, ProblemError, type Problem } from './problem.ts';

/** Every error that leaves a controller becomes a problem document (RFC 9457); what is unexpected is logged once, here. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const problem = toProblem(error, request);
    if (problem.status === 500) {
      this.#logger.error({ err: error, method: request.method, path: pathOf(request) }, 'request failed');
    }
    sendProblem(reply, problem);
  }
}

export function sendProblem(reply: FastifyReply, problem: Problem): void {
  void reply
    .code(problem.status)
    .headers(problem.headers ?? {})
    .type('application/problem+json; charset=utf-8')
    .send(JSON.stringify(problemDocument(problem)));
}

function toProblem(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof HttpException) return fromStatus(error.getStatus(), request, error.message);
  const status = (error as { statusCode?: unknown }).statusCode;
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return fromStatus(status, request, (error as Error).message);
  }
  return { status: 500, code: 'internal', detail: 'The service failed to answer this request; its log says why.' };
}

function fromStatus(status: number, request: FastifyRequest, message: string): Problem {
  if (status === 404) {
    return { status, code: 'not-found', detail: `There is nothing at ${request.method} ${pathOf(request)}.` };
  }
  if (status === 413) {
    return { status, code: 'body-too-large', detail: 'The request body is larger than this service accepts.' };
  }
  return { status, code: status === 405 ? 'method-not-allowed' : 'bad-request', detail: message };
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? request.url;
}
