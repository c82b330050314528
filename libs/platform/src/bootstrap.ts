import 'reflect-metadata';
import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Registry as MetricsRegistry } from 'prom-client';
import { answerClientError } from './client-error.ts';
import type { HealthChecks } from './health.ts';
import { nestLogger, type Logger } from './logger.ts';
import { PlatformModule } from './platform.module.ts';
import { countRefusals, ProblemFilter, sendProblem } from './problem.filter.ts';
import { HEALTH_CHECKS, METRICS, type Clock } from './tokens.ts';

export interface ServiceOptions {
  readonly name: string;
  /** The modules that make up the service; the platform's own is added. */
  readonly modules: readonly (Type | DynamicModule)[];
  /** The validated configuration, injected as CONFIG. */
  readonly config: {
    readonly POSTHASTE_HTTP_HOST: string;
    readonly POSTHASTE_HTTP_PORT: number;
    /** CIDR ranges; default none. */
    readonly POSTHASTE_TRUSTED_PROXIES?: readonly string[];
  };
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Names of health checks without which the process still does its work. */
  readonly optionalChecks?: readonly string[];
  /** Largest request body, bytes. Default 1 MiB. */
  readonly maxBodyBytes?: number;
}

export interface RunningService {
  readonly url: string;
  readonly app: NestFastifyApplication;
  /** Stops taking work, drains what is in flight, closes connections. */
  stop(): Promise<void>;
}

/** A request line and headers of a binary-mode event may be as large as the event (CE-12); Node's default is 16 KiB. */
const MAX_HEADER_BYTES = 96 * 1024;

/**
 * From the first byte of a request to its last: Node's own limit, which Fastify switches off. A body is read before anybody
 * looks at the credential, so whoever never ends one would keep its bytes in memory for as long as it likes.
 */
const REQUEST_TIMEOUT_MS = 300_000;

/** The id of an event stands in a path; Fastify's default of 100 characters would answer 404 for a longer one. */
const MAX_PARAMETER_LENGTH = 4096;

@Module({})
class ServiceRoot {}

/**
 * Starts a service: Nest on Fastify, bodies as raw bytes, problems as problem+json.
 *
 * @throws PortInUse when the address is taken; whatever a module throws while it starts
 */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { logger, config } = options;
  const adapter = makeAdapter(options.maxBodyBytes ?? 1024 * 1024, config.POSTHASTE_TRUSTED_PROXIES ?? []);
  const { clock = Date.now, optionalChecks = [] } = options;
  const platform = PlatformModule.forRoot({ config, logger, clock, optionalChecks });
  const root: DynamicModule = { module: ServiceRoot, imports: [platform, ...options.modules] };
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, {
    logger: nestLogger(logger),
    bodyParser: false,
    abortOnError: false,
  });
  app.useGlobalFilters(new ProblemFilter(logger, countRefusals(app.get<MetricsRegistry>(METRICS))));
  try {
    await app.listen(config.POSTHASTE_HTTP_PORT, config.POSTHASTE_HTTP_HOST);
  } catch (error) {
    await app.close().catch(() => undefined);
    throw isAddressInUse(error) ? new PortInUse(config.POSTHASTE_HTTP_HOST, config.POSTHASTE_HTTP_PORT) : error;
  }
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  return {
    url,
    app,
    async stop() {
      app.get<HealthChecks>(HEALTH_CHECKS).beginShutdown();
      await app.close();
    },
  };
}

function makeAdapter(maxBodyBytes: number, trustedProxies: readonly string[]): FastifyAdapter {
  const adapter = new FastifyAdapter({
    ...(trustedProxies.length === 0 ? {} : { trustProxy: [...trustedProxies] }),
    bodyLimit: maxBodyBytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    forceCloseConnections: 'idle',
    clientErrorHandler: answerClientError,
    frameworkErrors: (error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      sendProblem(reply, { status: 400, code: 'bad-request', detail: withoutQuery(error.message) });
    },
  });
  const fastify = adapter.getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  return adapter;
}

/** The message repeats the URL in quotes, and its query may hold a token. */
function withoutQuery(message: string): string {
  return message.replace(/\?.*'/s, "'");
}

/** The configured address is taken by somebody else. */
export class PortInUse extends Error {
  readonly code = 'http.port_in_use';

  constructor(host: string, port: number) {
    super(`Port ${port} on ${host} is in use. Stop the other program, or set POSTHASTE_HTTP_PORT to a free port.`);
  }
}

function isAddressInUse(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'EADDRINUSE';
}
