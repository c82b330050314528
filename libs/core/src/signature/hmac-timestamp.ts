import type { Signable } from './standard-webhooks.ts';
import { UnsignableMessage } from './unsignable-message.ts';
import type { Unsigned } from './unsigned.ts';

/** The headers of this profile unless the subscription names others. */
export const DEFAULT_HEADER_NAMES: HmacHeaderNames = { signature: 'x-webhook-signature', id: 'x-webhook-id' };

export interface HmacHeaderNames {
  /** Carries `t=<Unix seconds>,v1=<hex>`, and a second `v1` while the secret is rotated. */
  readonly signature: string;
  /** Carries the delivery id. It is not signed. */
  readonly id: string;
}

/**
 * `t=…,v1=…` as it is known from payment services: HMAC-SHA256 of `<t>.<body>` in hexadecimal. The key is the whole text
 * of the secret, `whsec_` included, so that their verifiers take it as it is.
 *
 * @throws UnsignableMessage
 */
export function prepareHmacTimestamp(
  { messageId, timestampSeconds, body }: Signable,
  names: HmacHeaderNames = DEFAULT_HEADER_NAMES,
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
