import { WEBHOOK_HEADERS, type HmacHeaderNames } from './header-names.ts';
import type { Signable } from './standard-webhooks.ts';
import { UnsignableMessage } from './unsignable-message.ts';
import type { Unsigned } from './unsigned.ts';

/**
 * `t=…,v1=…` as it is known from payment services: HMAC-SHA256 of `<t>.<body>` in hexadecimal. The key is the whole text
 * of the secret, `whsec_` included, so that their verifiers take it as it is.
 *
 * @throws UnsignableMessage
 */
export function prepareHmacTimestamp(
  { messageId, timestampSeconds, body }: Signable,
  names: HmacHeaderNames = WEBHOOK_HEADERS.hmacTimestamp,
): Unsigned {
  if (!Number.isSafeInteger(timestampSeconds) || timestampSeconds < 0) {
    throw new UnsignableMessage('its timestamp is not a whole number of seconds');
  }
  return {
    pieces: [`${timestampSeconds}.`, body],
    encoding: 'hex',
    headersWith: (hmacs) => [
      [names.id, messageId],
      [names.signature, [`t=${timestampSeconds}`, ...hmacs.map((hmac) => `v1=${hmac}`)].join(',')],
    ],
  };
}

export interface ParsedHmacTimestamp {
  readonly timestampSeconds: number;
  /** Lower-case hexadecimal; other versions than `v1` are read over. */
  readonly signatures: readonly string[];
}

/** Reads `t=…,v1=…`, or `undefined` when there is no timestamp, more than one, or no `v1`. */
export function parseHmacTimestamp(value: string): ParsedHmacTimestamp | undefined {
  const pairs = value.split(',').map((part) => part.trim().split('=', 2) as [string, string | undefined]);
  const valuesOf = (name: string) =>
    pairs.flatMap(([other, text]) => (other === name && text !== undefined ? [text] : []));
  const [timestamp = '', ...more] = valuesOf('t');
  const signatures = valuesOf('v1').filter((text) => /^[0-9a-f]{64}$/.test(text));
  if (!/^\d{1,15}$/.test(timestamp) || more.length > 0 || signatures.length === 0) return undefined;
  return { timestampSeconds: Number(timestamp), signatures };
}
