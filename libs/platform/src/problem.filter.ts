import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Counter, type Registry as MetricsRegistry } from 'prom-client';
import type { Logger } from './logger.ts';
import { problemDocument, ProblemError, type Problem } from './problem.ts';

/** Every error that leaves a controller becomes a problem document (RFC 9457); what is unexpected is logged once, here. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;
  readonly #onRefused: (code: string) => void;

  constructor(logger: Logger, onRefused: (code: string) => void) {
    this.#logger = logger;
    this.#onRefused = onRefused;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const problem = toProblem(error, request);
    if (problem.status === 500) {
      this.#logger.error({ err: error, method: request.method, path: pathOf(request) }, 'request failed');
    }
    if (problem.status === 401 || problem.status === 403) this.#refused(problem, request);
    // Not logged: whoever goes on after that would write the log.
    if (problem.code === 'too-many-guesses') this.#onRefused(problem.code);
    sendProblem(reply, problem);
  }

  /** Never the credential, and no query either: it may hold one. */
  #refused({ code, status, detail }: Problem, request: FastifyRequest): void {
    this.#onRefused(code);
    this.#logger.info(
      { code, status, detail, from: request.ip, method: request.method, path: pathOf(request) },
      'refused',
    );
  }
}

/** Requests that were refused for who sent them, by the code of the problem. */
export function countRefusals(metrics: MetricsRegistry): (code: string) => void {
  const counter = new Counter({
    name: 'posthaste_http_refused_total',
    help: 'Requests refused for their credential, or for what it may do, by the code of the problem.',
    labelNames: ['code'],
    registers: [metrics],
  });
  return (code) => {
    counter.inc({ code });
  };
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
  if (status === 415) {
    const detail = 'The Content-Type is no media type such as application/json.';
    return { status, code: 'unsupported-media-type', detail, errors: [{ pointer: 'content-type', detail }] };
  }
  return { status, code: status === 405 ? 'method-not-allowed' : 'bad-request', detail: message };
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? request.url;
}
