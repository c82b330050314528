import { WEBHOOK_HEADERS, type HeaderNames } from './header-names.ts';
import { UnsignableMessage } from './unsignable-message.ts';
import type { Unsigned } from './unsigned.ts';

/** `v1`: HMAC-SHA256. `v1a`: ed25519. */
export type SignatureVersion = 'v1' | 'v1a';

/** A notification as its signature sees it. */
export interface Signable {
  /** The same for every attempt, without dots (SW-2): the delivery id. */
  readonly messageId: string;
  /** Unix seconds of the attempt, an integer. */
  readonly timestampSeconds: number;
  /** Exactly the bytes of the request body. */
  readonly body: Uint8Array;
}

/**
 * What stands before the body in the signed content: `id.timestamp.` (SW-2). Feed it and the body to HMAC one after the
 * other and the body is never copied.
 *
 * @throws UnsignableMessage when the id has a dot or a blank, or the timestamp is no whole number: two different
 * messages could then have the same signed content
 */
export function signedPrefix({ messageId, timestampSeconds }: Omit<Signable, 'body'>): string {
  if (!/^[\x21-\x2d\x2f-\x7e]+$/.test(messageId)) {
    throw new UnsignableMessage('its id is empty, or has a dot, a blank or a character outside ASCII');
  }
  if (!Number.isSafeInteger(timestampSeconds) || timestampSeconds < 0) {
    throw new UnsignableMessage('its timestamp is not a whole number of seconds');
  }
  return `${messageId}.${timestampSeconds}.`;
}

/** The three headers of a signed notification (SW-1); several signatures while a secret is being rotated (SW-4). */
export function signatureHeaders(
  { messageId, timestampSeconds }: Omit<Signable, 'body'>,
  signaturesBase64: readonly string[],
  version: SignatureVersion = 'v1',
  names: HeaderNames = WEBHOOK_HEADERS,
): [string, string][] {
  return [
    [names.id, messageId],
    [names.timestamp, String(timestampSeconds)],
    [names.signature, signaturesBase64.map((signature) => `${version},${signature}`).join(' ')],
  ];
}

/** HMAC-SHA256 with the secret of the subscription (SW-3). */
export function prepareStandardWebhooks(message: Signable, names: HeaderNames = WEBHOOK_HEADERS): Unsigned {
  return {
    pieces: [signedPrefix(message), message.body],
    encoding: 'base64',
    headersWith: (hmacs) => signatureHeaders(message, hmacs, 'v1', names),
  };
}

/** The base64 texts of the signatures of one version in a list; others are read over (SW-4). */
export function parseSignatureList(value: string, version: SignatureVersion = 'v1'): string[] {
  return value
    .split(' ')
    .filter((entry) => entry.startsWith(`${version},`))
    .map((entry) => entry.slice(version.length + 1));
}

/** A `webhook-timestamp` as Unix seconds, or `undefined` when it is not a plain integer. */
export function parseTimestamp(value: string): number | undefined {
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
