/** The three headers of Standard Webhooks (SW-1), in the order in which they are sent. */
export const WEBHOOK_ID = 'webhook-id';
export const WEBHOOK_TIMESTAMP = 'webhook-timestamp';
export const WEBHOOK_SIGNATURE = 'webhook-signature';

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

/** A caller's fault: such an id never leaves this project. */
export class UnsignableMessage extends Error {
  readonly code = 'signature.unsignable';

  constructor(why: string) {
    super(`The message can not be signed: ${why}.`);
  }
}

/** The headers of a signed notification; several signatures while a secret is being rotated (SW-4). */
export function signatureHeaders(
  { messageId, timestampSeconds }: Omit<Signable, 'body'>,
  hmacsBase64: readonly string[],
): [string, string][] {
  return [
    [WEBHOOK_ID, messageId],
    [WEBHOOK_TIMESTAMP, String(timestampSeconds)],
    [WEBHOOK_SIGNATURE, hmacsBase64.map((hmac) => `v1,${hmac}`).join(' ')],
  ];
}

/** The base64 texts of the `v1` signatures in a list; other versions are read over (SW-4). */
export function parseSignatureList(value: string): string[] {
  return value
    .split(' ')
    .filter((entry) => entry.startsWith('v1,'))
    .map((entry) => entry.slice('v1,'.length));
}

/** A `webhook-timestamp` as Unix seconds, or `undefined` when it is not a plain integer. */
export function parseTimestamp(value: string): number | undefined {
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
