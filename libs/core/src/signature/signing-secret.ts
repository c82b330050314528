import { decodeBase64, encodeBase64 } from '../event/base64.ts';
import { decodeUtf8 } from '../event/utf8.ts';

/** What every symmetric signing secret starts with, so that nobody takes it for another key (SW-3). */
export const SECRET_PREFIX = 'whsec_';

/** Length of a secret that Posthaste generates: 256 bits, the block that HMAC-SHA256 makes the most of. */
export const GENERATED_SECRET_BYTES = 32;

const MIN_BYTES = 24;
const MAX_BYTES = 64;

export type ParsedSecret =
  | { readonly ok: true; readonly key: Uint8Array }
  | { readonly ok: false; readonly rule: 'SW-3'; readonly detail: string };

/** Reads `whsec_` + base64 of 24 to 64 bytes (SW-3); padding may be missing. The detail never repeats the secret. */
export function parseSecret(text: string): ParsedSecret {
  if (!text.startsWith(SECRET_PREFIX)) return malformed('It must start with "whsec_".');
  const key = decodeBase64(padded(text.slice(SECRET_PREFIX.length)));
  if (key === undefined) return malformed('What follows "whsec_" must be standard base64 (A-Z a-z 0-9 + /).');
  if (key.length < MIN_BYTES || key.length > MAX_BYTES) {
    return malformed(`It must hold ${MIN_BYTES} to ${MAX_BYTES} random bytes; this one holds ${key.length}.`);
  }
  return { ok: true, key };
}

function padded(base64: string): string {
  return base64.endsWith('=') ? base64 : base64 + '='.repeat(-base64.length & 3);
}

function malformed(detail: string): ParsedSecret {
  return { ok: false, rule: 'SW-3', detail };
}

/** The one spelling of a secret: prefix, base64, padded. */
export function formatSecret(key: Uint8Array): string {
  return `${SECRET_PREFIX}${decodeUtf8(encodeBase64(key))}`;
}

/** False of a secret that {@link formatSecret} spells otherwise: with padding. Where the text is the key, that is another one. */
export function isFormattedSecret(text: string): boolean {
  const parsed = parseSecret(text);
  return parsed.ok && formatSecret(parsed.key) === text;
}
