import type { SubscriptionId, TenantId } from '#core/ids';
import type { HttpRequestHead } from '#core/signature/http-message';

/** The request that a signature covers, beside its body. All ASCII, as it is sent; with every field that may be covered. */
export type SignedHead = Pick<HttpRequestHead, 'method' | 'url' | 'headers'>;

/** One notification to be signed as its subscription asks for. */
export interface SignRequest {
  readonly subscription: SubscriptionId;
  readonly tenant: TenantId;
  /** `webhook-id`: the delivery id, the same for every attempt (SW-1). */
  readonly messageId: string;
  /** `webhook-timestamp`: Unix seconds of the attempt, an integer. */
  readonly timestampSeconds: number;
  readonly body: Uint8Array;
  /** Needed by the profiles that cover the request itself; others do not look at it. */
  readonly head?: SignedHead;
  /** Absent: nothing but a signature is wanted. */
  readonly authorization?: AuthorizationRequest;
}

/** The header that authorizes the notification; in the reply it is the last one, behind the signature. */
export interface AuthorizationRequest {
  /** Where it is going to be sent. Nothing is given for another address than those of the subscription. */
  readonly sink: string;
  /** A request that was sent at this instant, Unix ms, was answered 401: what was obtained before is not wanted. */
  readonly refusedAtMs?: number;
}

/** Why the signer does not sign. Stable codes. */
export type SignRefusal =
  | 'unknown_subscription' // there is none with this id in this tenant, or it is deleted
  | 'no_secret' // there is no secret to sign with; its signature profile may be `none`
  | 'no_key' // its tenant has no active key of the algorithm
  | 'wrong_master_key' // its secret or key was sealed with another master key than the signer has
  | 'unseal_failed' // its sealed secret or key is damaged, or belongs to another owner
  | 'other_sink' // it is to be authorized for an address that is not the subscription's, or not any more
  | 'other_profile' // it is to be signed as its subscription does not ask for any more, or not yet
  | 'other_credential' // what is asked for is not of the subscription's credential, or not any more
  | 'credential_expired' // its access token is over, and there is nobody to ask for another (SA-10)
  | 'credential_refused' // its token endpoint does not take the credential any more
  | 'credential_pending' // another access token is being obtained, or the token endpoint can not be reached for now
  | 'unsignable'; // it has no signature base: a bad message id or timestamp (SW-2), a part to be covered is missing, or its headers are too large

export type SignReply =
  | { readonly ok: true; readonly headers: readonly (readonly [string, string])[] }
  | {
      readonly ok: false;
      readonly reason: SignRefusal;
      /** For people, without secrets. */
      readonly detail?: string;
    };

/*
 * One message carries many requests, the bodies as they are (JSON with base64 would cost a third more bytes and both
 * conversions). Numbers are big endian; a text is u16 length + UTF-8.
 *
 *   request   u8 version=3 │ u32 count │ count × ( text subscription │ text tenant │ text messageId │ f64 seconds │
 *                                                  ( u8 0 │ u8 1 │ text sink │ u8 2 │ text sink │ f64 refused at ) │
 *                                                  ( u8 0 │ u8 1 │ text method │ text url │ fields ) │ u32 length │ body )
 *   reply     u8 version=3 │ u32 count │ count × ( u8 1 │ u8 headers │ headers × ( text name │ text value )
 *                                                | u8 0 │ text reason │ text detail )
 *
 *   fields    u16 count │ count × ( text name │ text value )
 *
 * Replies stand in the order of their requests.
 */

const VERSION = 3;
const HEAD_BYTES = 5;
const TEXT_MAX_BYTES = 0xffff;

/** False of headers that have no room in a message: whoever put them into one would lose all that it carries. */
export function fitsSignMessage(headers: readonly (readonly [name: string, value: string])[]): boolean {
  return headers.every((pair) => pair.every(fitsText));
}

function fitsText(text: string): boolean {
  return text.length * 3 <= TEXT_MAX_BYTES || Buffer.byteLength(text) <= TEXT_MAX_BYTES;
}

/** Bytes of a batch before its first request. */
export const SIGN_BATCH_HEAD_BYTES = HEAD_BYTES;

/** What a request adds to its batch: exact, because ids and heads are ASCII. */
export function signRequestBytes({ subscription, tenant, messageId, authorization, head, body }: SignRequest): number {
  const fixed = textsBytes(subscription, tenant, messageId) + 8 + authorizationBytes(authorization) + 4;
  return fixed + (head === undefined ? 1 : headBytes(head)) + body.length;
}

function authorizationBytes(authorization: AuthorizationRequest | undefined): number {
  if (authorization === undefined) return 1;
  return 1 + textsBytes(authorization.sink) + (authorization.refusedAtMs === undefined ? 0 : 8);
}

function headBytes({ method, url, headers }: SignedHead): number {
  return headers.reduce((sum, field) => sum + textsBytes(...field), 1 + textsBytes(method, url) + 2);
}

function textsBytes(...texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + 2 + text.length, 0);
}

export function encodeSignRequests(requests: readonly SignRequest[]): Uint8Array {
  const writer = makeWriter(HEAD_BYTES + requests.reduce((sum, request) => sum + signRequestBytes(request), 0));
  writer.u8(VERSION);
  writer.u32(requests.length);
  for (const request of requests) {
    writer.text(request.subscription);
    writer.text(request.tenant);
    writer.text(request.messageId);
    writer.f64(request.timestampSeconds);
    writeAuthorization(writer, request.authorization);
    writeHead(writer, request.head);
    writer.u32(request.body.length);
    writer.bytes(request.body);
  }
  return writer.done();
}

function writeAuthorization(
  writer: ReturnType<typeof makeWriter>,
  authorization: AuthorizationRequest | undefined,
): void {
  const { sink = '', refusedAtMs } = authorization ?? {};
  writer.u8(authorization === undefined ? 0 : refusedAtMs === undefined ? 1 : 2);
  if (authorization !== undefined) writer.text(sink);
  if (refusedAtMs !== undefined) writer.f64(refusedAtMs);
}

function writeHead(writer: ReturnType<typeof makeWriter>, head: SignedHead | undefined): void {
  writer.u8(head === undefined ? 0 : 1);
  if (head === undefined) return;
  writer.text(head.method);
  writer.text(head.url);
  writer.u16(head.headers.length);
  for (const [name, value] of head.headers) {
    writer.text(name);
    writer.text(value);
  }
}

/**
 * The bodies are views into `bytes`, not copies.
 *
 * @throws MalformedSignMessage
 */
export function decodeSignRequests(bytes: Uint8Array): SignRequest[] {
  const reader = makeReader(bytes);
  const requests = reader.list(() => ({
    subscription: reader.text() as SubscriptionId,
    tenant: reader.text() as TenantId,
    messageId: reader.text(),
    timestampSeconds: reader.f64(),
    ...readAuthorization(reader),
    ...readHead(reader),
    body: reader.bytes(reader.u32()),
  }));
  reader.end();
  return requests;
}

function readAuthorization(reader: ReturnType<typeof makeReader>): Pick<SignRequest, 'authorization'> {
  const form = reader.u8();
  if (form === 0) return {};
  const sink = reader.text();
  return { authorization: form === 1 ? { sink } : { sink, refusedAtMs: reader.f64() } };
}

function readHead(reader: ReturnType<typeof makeReader>): Pick<SignRequest, 'head'> {
  if (reader.u8() === 0) return {};
  const [method, url] = [reader.text(), reader.text()];
  const headers = Array.from({ length: reader.u16() }, () => [reader.text(), reader.text()] as const);
  return { head: { method, url, headers } };
}

export function encodeSignReplies(replies: readonly SignReply[]): Uint8Array {
  const writer = makeWriter(HEAD_BYTES + replies.length * 160);
  writer.u8(VERSION);
  writer.u32(replies.length);
  for (const reply of replies) {
    writer.u8(reply.ok ? 1 : 0);
    if (reply.ok) {
      writer.u8(reply.headers.length);
      for (const [name, value] of reply.headers) {
        writer.text(name);
        writer.text(value);
      }
    } else {
      writer.text(reply.reason);
      writer.text(reply.detail ?? '');
    }
  }
  return writer.done();
}

/** @throws MalformedSignMessage */
export function decodeSignReplies(bytes: Uint8Array): SignReply[] {
  const reader = makeReader(bytes);
  const replies = reader.list((): SignReply => {
    if (reader.u8() === 0) {
      const [reason, detail] = [reader.text() as SignRefusal, reader.text()];
      return { ok: false, reason, ...(detail === '' ? {} : { detail }) };
    }
    const headers = Array.from({ length: reader.u8() }, () => [reader.text(), reader.text()] as const);
    return { ok: true, headers };
  });
  reader.end();
  return replies;
}

/** The bytes are not a sign message of this version. */
export class MalformedSignMessage extends Error {
  readonly code = 'sign.malformed';

  constructor(why: string, options?: ErrorOptions) {
    super(`This is not a message between delivery and signer: ${why}.`, options);
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Appends to one buffer that doubles when the estimate was too small. */
function makeWriter(expectedBytes: number) {
  let out = Buffer.from(new ArrayBuffer(expectedBytes));
  let view = new DataView(out.buffer);
  let at = 0;
  const claim = (count: number): number => {
    if (at + count > out.length) {
      const larger = Buffer.from(new ArrayBuffer(Math.max(out.length * 2, at + count)));
      larger.set(out.subarray(0, at));
      out = larger;
      view = new DataView(out.buffer);
    }
    at += count;
    return at - count;
  };
  // First claimed, then written: a claim may put another buffer in the place of the one that is at hand.
  const bytes = (value: Uint8Array) => {
    const start = claim(value.length);
    out.set(value, start);
  };
  return {
    u8: (value: number) => {
      const start = claim(1);
      view.setUint8(start, value);
    },
    u16: (value: number) => {
      const start = claim(2);
      view.setUint16(start, value);
    },
    u32: (value: number) => {
      const start = claim(4);
      view.setUint32(start, value);
    },
    f64: (value: number) => {
      const start = claim(8);
      view.setFloat64(start, value);
    },
    text: (value: string) => {
      // An array of a TextEncoder's and a copy of it cost 0.5 µs a text, this 0.07.
      const length = Buffer.byteLength(value);
      if (length > TEXT_MAX_BYTES) throw new MalformedSignMessage('a text is longer than 65535 bytes');
      const start = claim(2 + length);
      view.setUint16(start, length);
      out.write(value, start + 2);
    },
    bytes,
    done: () => out.subarray(0, at),
  };
}

function makeReader(message: Uint8Array) {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const take = (count: number): number => {
    if (at + count > message.length) throw new MalformedSignMessage('it ends too early');
    at += count;
    return at - count;
  };
  const bytes = (count: number) => {
    const start = take(count);
    return message.subarray(start, start + count);
  };
  const u8 = () => view.getUint8(take(1));
  const u16 = () => view.getUint16(take(2));
  const u32 = () => view.getUint32(take(4));
  return {
    u8,
    u16,
    u32,
    bytes,
    f64: () => view.getFloat64(take(8)),
    text: () => decodeText(bytes(u16())),
    list<T>(readOne: () => T): T[] {
      if (u8() !== VERSION) throw new MalformedSignMessage(`it is not of version ${VERSION}`);
      const count = u32();
      if (count > message.length) throw new MalformedSignMessage('it announces more entries than it has bytes');
      return Array.from({ length: count }, readOne);
    },
    end() {
      if (at !== message.length) throw new MalformedSignMessage('something follows its end');
    },
  };
}

function decodeText(utf8: Uint8Array): string {
  try {
    return decoder.decode(utf8);
  } catch (error) {
    throw new MalformedSignMessage('a text is not UTF-8', { cause: error });
  }
}
