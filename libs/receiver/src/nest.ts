import { checkAdapterOptions, readBody, toNotification, type NodeRequest } from './adapter-request.ts';
import { statusOf, type VerificationFailure } from './failure.ts';
import { DEFAULT_MAX_BODY_BYTES, TOO_LARGE, type BodyTooLarge, type ReceiverOptions } from './receive.ts';
import { verify, type VerifiedNotification } from './verify.ts';

/** The part of Nest's execution context that is used. */
export interface NestContext {
  switchToHttp(): { getRequest<Request>(): Request };
}

/** A request of either platform: that of Express, or that of Fastify with Node's below `raw`. */
interface PlatformRequest extends NodeRequest {
  readonly raw?: NodeRequest;
  readonly originalUrl?: string;
  readonly body?: unknown;
  /** With `NestFactory.create(Module, { rawBody: true })`. */
  readonly rawBody?: unknown;
  notification?: VerifiedNotification;
}

type Refused = VerificationFailure | BodyTooLarge;

/** Refused by the guard. It has what Nest knows an HTTP error by, and answers with: status and message. */
export class NotificationRefused extends Error {
  readonly code: Refused['code'];
  readonly status: number;
  readonly statusCode: number;
  readonly expose = true;

  constructor({ code, detail }: Refused, status: number) {
    super(detail);
    this.code = code;
    this.status = status;
    this.statusCode = status;
  }
}

export interface NestGuardOptions extends Pick<ReceiverOptions, 'verify' | 'publicUrl' | 'maxBodyBytes' | 'onRefused'> {
  /** What to throw instead, such as an `HttpException`, which Nest does not log. */
  toException?(refused: NotificationRefused): Error;
}

/**
 * A guard: `@UseGuards(makeNestGuard(options))`. It lets verified notifications in and puts them into
 * `request.notification`; the controller handles them with `handleOnce`. The body has to be there as bytes: read by no
 * parser, by a raw one, or by Nest with `rawBody: true`.
 */
export function makeNestGuard(options: NestGuardOptions) {
  checkAdapterOptions(options);
  const refuse = (refused: Refused, status: number): Error => {
    options.onRefused?.(refused);
    const error = new NotificationRefused(refused, status);
    return options.toException?.(error) ?? error;
  };

  return {
    async canActivate(context: NestContext): Promise<true> {
      const request = context.switchToHttp().getRequest<PlatformRequest>();
      const node = request.raw ?? request;
      const body = await bodyOf(request, options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES);
      if (body === undefined) throw refuse(TOO_LARGE, 413);
      const { method, headers, rawHeaders, socket } = node;
      const url = request.originalUrl ?? node.url;
      const notification = toNotification({ method, headers, rawHeaders, socket, url }, body, options.publicUrl);
      const verified = await verify(notification, options.verify);
      if (!verified.ok) throw refuse(verified, statusOf(verified));
      request.notification = verified;
      return true;
    },
  };
}

/** `undefined` when there is more than allowed. */
async function bodyOf(request: PlatformRequest, maxBytes: number): Promise<unknown> {
  const read = request.rawBody ?? request.body;
  if (read !== undefined && read !== null) return read;
  if (request.raw !== undefined) return new Uint8Array(); // Fastify has none for an empty body
  return readBody(request, maxBytes);
}
