import { toNotification } from './adapter-request.ts';
import { DEFAULT_MAX_BODY_BYTES, receive, type ReceiverOptions } from './receive.ts';
import { checkVerifyOptions } from './verify.ts';

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
  send(body: string): unknown;
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
    options: { readonly bodyLimit: number },
    handler: (request: FastifyRequestLike, reply: FastifyReplyLike) => Promise<void>,
  ): unknown;
}

/**
 * A plugin: `app.register(makeFastifyPlugin('/hooks', options))`. Bodies stay bytes within it, and only there.
 */
export function makeFastifyPlugin(path: string, options: ReceiverOptions) {
  checkVerifyOptions(options.verify);
  return (fastify: FastifyLike, _options: object, done: () => void): void => {
    fastify.removeAllContentTypeParsers();
    fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body));
    const bodyLimit = options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
    fastify.post(path, { bodyLimit }, async ({ raw, body }, reply) => {
      const answer = await receive(toNotification(raw, body ?? Buffer.alloc(0), options.publicUrl), options);
      await reply
        .code(answer.status)
        .headers({ ...answer.headers })
        .send(answer.body);
    });
    done();
  };
}
