import type { ReceivedNotification } from './received-notification.ts';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import type { RequestHeaders } from './request-headers.ts';
import { checkVerifyOptions, type VerifyOptions } from './verify.ts';

/** The part of Node's request that is used. Frameworks hand it out, or pass it on with more on it. */
export interface NodeRequest extends AsyncIterable<Uint8Array> {
  readonly method?: string | undefined;
  /** Path and query. */
  readonly url?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly rawHeaders?: readonly string[] | undefined;
  readonly readableEnded?: boolean;
  readonly socket?: object | undefined;
}

/**
 * For the start of a program: what would go wrong with every request.
 *
 * @throws ReceiverMisconfigured
 */
export function checkAdapterOptions({
  verify,
  publicUrl,
}: {
  readonly verify: VerifyOptions;
  readonly publicUrl?: string;
}): void {
  checkVerifyOptions(verify);
  if (publicUrl === undefined || /^https?:\/\/[^/?#]+(?:\/[^?#]*)?$/i.test(publicUrl)) return;
  throw new ReceiverMisconfigured(`publicUrl must be like https://hooks.example.com, not "${publicUrl}".`);
}

/** A request whose body was read. */
export function toNotification(
  request: Pick<NodeRequest, 'method' | 'url' | 'headers' | 'rawHeaders' | 'socket'>,
  body: unknown,
  publicUrl: string | undefined,
): ReceivedNotification {
  const { method = 'POST', url = '/', headers, rawHeaders } = request;
  return {
    method,
    url: (publicUrl?.replace(/\/+$/, '') ?? originOf(request)) + url,
    headers: rawHeaders === undefined ? headers : pairs(rawHeaders),
    body: body as Uint8Array, // whether it is that is checked first of all
  };
}

function originOf({ socket, headers }: Pick<NodeRequest, 'socket' | 'headers'>): string {
  const isTls = socket !== undefined && 'encrypted' in socket && socket.encrypted === true;
  const named = headers[':authority'] ?? headers['host']; // the first is that of HTTP/2
  const host = typeof named === 'string' && /^[\w.:[\]-]+$/.test(named) ? named : 'unknown';
  return `${isTls ? 'https' : 'http'}://${host}`;
}

/** As they came: `headers` of Node joins and drops some that are there twice. */
function pairs(raw: readonly string[]): RequestHeaders {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? ''] as const] : []));
}

/** All bytes of a body, or `undefined` when there are more than allowed; the rest is then read and dropped. */
export async function readBody(request: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
    else chunks.length = 0;
  }
  return bytes > maxBytes ? undefined : Buffer.concat(chunks);
}
