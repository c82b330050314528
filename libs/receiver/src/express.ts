import { checkAdapterOptions, readBody, toNotification, type NodeRequest } from './adapter-request.ts';
import { DEFAULT_MAX_BODY_BYTES, receive, refuseTooLarge, type ReceiverOptions } from './receive.ts';

/** The part of an Express request that is used. */
export interface ExpressRequest extends NodeRequest {
  readonly originalUrl: string;
  readonly body?: unknown;
}

/** The part of an Express response that is used. */
export interface ExpressResponse {
  status(code: number): ExpressResponse;
  set(headers: Record<string, string>): unknown;
  send(body: string): unknown;
}

/**
 * A handler: `app.post('/hooks', makeExpressHandler(options))`. Mount it before `express.json()`, or behind
 * `express.raw({ type: () => true })`; a body that was parsed can not be verified any more, and says so.
 */
export function makeExpressHandler(options: ReceiverOptions) {
  checkAdapterOptions(options);
  const { maxBodyBytes = DEFAULT_MAX_BODY_BYTES, publicUrl } = options;
  return async (request: ExpressRequest, response: ExpressResponse, next: (error: unknown) => void): Promise<void> => {
    try {
      const isUnread = request.body === undefined && request.readableEnded !== true;
      const body = isUnread ? await readBody(request, maxBodyBytes) : request.body;
      const { method, headers, rawHeaders, socket, originalUrl: url } = request;
      const notification = toNotification({ method, headers, rawHeaders, socket, url }, body, publicUrl);
      const answer = isUnread && body === undefined ? refuseTooLarge(options) : await receive(notification, options);
      response.status(answer.status).set({ ...answer.headers });
      response.send(answer.body);
    } catch (error) {
      next(error);
    }
  };
}
