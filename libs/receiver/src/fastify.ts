import { checkAdapterOptions, toNotification } from './adapter-request.ts';
import { DEFAULT_MAX_BODY_BYTES, receive, refuseTooLarge, type Answer, type ReceiverOptions } from './receive.ts';

/** The part of a Fastify request that is used. */
export interface FastifyRequestLike {
  readonly body: unknown;
  readonly raw: {
    readonly method?: string | undefined;
    readonly url?: string | undefined;
    readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    readonly rawHeaders: readonly string[];
    readonly socket: object;
  };
}

/** The part of a Fastify reply that is used. */
export interface FastifyReplyLike {
  code(status: number): FastifyReplyLike;
  headers(headers: Record<string, string>): FastifyReplyLike;
  send(body: unknown): unknown;
}

/** The part of a Fastify instance that is used. */
export interface FastifyLike {
  removeAllContentTypeParsers(): unknown;
  addContentTypeParser(
    type: '*',
    options: { readonly parseAs: 'buffer' },
    parse: (request: unknown, body: Buffer, done: (error: null, body: Buffer) => void) => void,
  ): unknown;
  post(
    path: string,
    options: {
      readonly bodyLimit: number;
      readonly errorHandler: (error: unknown, request: unknown, reply: FastifyReplyLike) => void;
    },
    handler: (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<void>,
  ): unknown;
}

/**
 * A plugin: `app.register(makeFastifyPlugin('/hooks', options))`. Bodies stay bytes within it, and only there.
 */
export function makeFastifyPlugin(path: string, options: ReceiverOptions) {
  checkAdapterOptions(options);
  return (fastify: FastifyLike, _options: object, done: () => void): void => {
    fastify.removeAllContentTypeParsers();
    fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body));
    const bodyLimit = options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
    const errorHandler = (error: unknown, _request: unknown, reply: FastifyReplyLike): void => {
      if (isTooLarge(error)) send(reply, refuseTooLarge(options));
      else reply.send(error); // on to the handler of the application
    };
    fastify.post(path, { bodyLimit, errorHandler }, async ({ raw, body }, reply) => {
      const answer = await receive(toNotification(raw, body ?? Buffer.alloc(0), options.publicUrl), options);
      await send(reply, answer);
    });
    done();
  };
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'FST_ERR_CTP_BODY_TOO_LARGE';
}

function send(reply: FastifyReplyLike, { status, headers, body }: Answer): unknown {
  return reply
    .code(status)
    .headers({ ...headers })
    .send(body);
}
