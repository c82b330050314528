import type { Exchange } from '#core/delivery/outcome';

export interface RequestLimits {
  /** Names, values and what stands between them. Default 262 144: more than any common server takes. */
  readonly maxRequestHeaderBytes?: number;
  /** Default 16 777 216. */
  readonly maxRequestBytes?: number;
}

export interface CheckedRequest {
  readonly origin: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | null;
}

/** Why a request is not sent, or `undefined` when it may be. */
export type RequestCheck = (request: CheckedRequest) => Extract<Exchange, { kind: 'error' }> | undefined;

/** `: ` and the end of the line. A character is a byte: others than Latin-1 can not be sent at all. */
const SEPARATOR_BYTES = 4;

/**
 * Refuses what would be cut off half-way by the other side, and a `Host` of another host: undici takes the name for SNI and
 * for the certificate from it, and a connection would stand for something else than it was judged for.
 */
export function makeRequestCheck(limits: RequestLimits): RequestCheck {
  const { maxRequestHeaderBytes = 262_144, maxRequestBytes = 16_777_216 } = limits;
  return ({ origin, headers, body }) => {
    let headerBytes = 0;
    for (const [name, value] of headers) {
      headerBytes += name.length + value.length + SEPARATOR_BYTES;
      if (name.length === 4 && name.toLowerCase() === 'host' && value.toLowerCase() !== hostOf(origin)) {
        return { kind: 'error', error: 'protocol', message: `The Host header must be ${hostOf(origin)} or absent.` };
      }
    }
    if (headerBytes > maxRequestHeaderBytes) return tooLarge('headers have', headerBytes, maxRequestHeaderBytes);
    if (body !== null && body.length > maxRequestBytes) return tooLarge('body has', body.length, maxRequestBytes);
    return undefined;
  };
}

function hostOf(origin: string): string {
  return origin.slice(origin.indexOf('//') + 2);
}

function tooLarge(what: string, bytes: number, maxBytes: number): Extract<Exchange, { kind: 'error' }> {
  const message = `The ${what} ${bytes} bytes; at most ${maxBytes} are sent.`;
  return { kind: 'error', error: 'message_too_large', message };
}
