import { fieldLines, type HeaderPair } from '#core/signature/http-message';
import { failure, type VerificationFailure } from './failure.ts';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import { headerPairs, type RequestHeaders } from './request-headers.ts';

/** A notification as it came in. */
export interface ReceivedNotification {
  /** Default `POST`. */
  readonly method?: string;
  /**
   * Absolute URL, as the sender has it in `sink`: behind a proxy not the one that the server sees. Only the profiles that
   * sign the request need it (`rfc9421`, `http-signatures-draft-05`).
   */
  readonly url?: string;
  readonly headers: RequestHeaders;
  /** The raw bytes: a parsed and re-serialised body never verifies. */
  readonly body: Uint8Array;
}

/** The same, checked and in one shape. */
export interface SignedRequest {
  readonly method: string;
  readonly url: string | undefined;
  /** Names in lower case. */
  readonly headers: readonly HeaderPair[];
  readonly body: Uint8Array;
}

export type ReadRequest = { readonly ok: true; readonly request: SignedRequest } | VerificationFailure;

/**
 * Checks what callers without types get wrong.
 *
 * @throws ReceiverMisconfigured when the URL is not absolute
 */
export function readRequest({ method = 'POST', url, headers, body }: ReceivedNotification): ReadRequest {
  if (!isBytes(body)) return failure('raw_body_required', notRaw(body));
  if (url !== undefined && !/^https?:\/\/[^/?#]/i.test(url)) {
    throw new ReceiverMisconfigured(`The URL of a request must be absolute (https://host/path), not "${url}".`);
  }
  return { ok: true, request: { method, url, headers: headerPairs(headers), body } };
}

/** By its tag, not by its constructor: bytes may come from another realm. */
function isBytes(body: unknown): body is Uint8Array {
  return Object.prototype.toString.call(body) === '[object Uint8Array]';
}

function notRaw(body: unknown): string {
  const hint = 'Verify the raw bytes of the request, before any parser.';
  if (typeof body === 'string') return `The body is a string, so its bytes were decoded already. ${hint}`;
  if (body === undefined || body === null) return `There is no body: was it read by something else? ${hint}`;
  return `The body is an object, so a parser read it already. ${hint}`;
}

/** The value of a header that has to be there once. */
export function onlyValue(headers: readonly HeaderPair[], name: string): string | VerificationFailure {
  const [value = '', ...more] = fieldLines(headers, name);
  if (value === '') return failure('missing_header', `${name}: not in the request. Does a proxy drop it?`);
  return more.length === 0 ? value : failure('malformed_header', `${name}: in the request ${more.length + 1} times.`);
}
