import { decodeBase64, encodeBase64 } from '../event/base64.ts';
import { decodeUtf8 } from '../event/utf8.ts';
import { WEBHOOK_HEADERS, type HeaderNames } from './header-names.ts';
import { signatureHeaders, signedPrefix, type Signable } from './standard-webhooks.ts';
import type { Unsigned } from './unsigned.ts';

const PRIVATE_PREFIX = 'whsk_';
const PUBLIC_PREFIX = 'whpk_';
const KEY_BYTES = 32;

/**
 * Standard Webhooks with ed25519 (SW-3): the same content as `v1`, not hashed before, and the same headers with `v1a`
 * entries. Who verifies needs no secret.
 */
export function prepareStandardWebhooksV1a(message: Signable, names: HeaderNames = WEBHOOK_HEADERS): Unsigned {
  return {
    pieces: [signedPrefix(message), message.body],
    encoding: 'base64',
    headersWith: (signatures) => signatureHeaders(message, signatures, 'v1a', names),
  };
}

/** A public key as receivers configure it: `whpk_` and the base64 of its 32 bytes. */
export function formatPublicKey(publicKey: Uint8Array): string {
  return `${PUBLIC_PREFIX}${decodeUtf8(encodeBase64(publicKey))}`;
}

/** The 32 bytes of `whpk_…`, or `undefined`. */
export function parsePublicKey(text: string): Uint8Array | undefined {
  const bytes = text.startsWith(PUBLIC_PREFIX) ? decodeBase64(text.slice(PUBLIC_PREFIX.length)) : undefined;
  return bytes?.length === KEY_BYTES ? bytes : undefined;
}

/** The seed (32 bytes) of `whsk_…` in either form that is about, with and without the public half (SW-3). */
export function parsePrivateKey(text: string): Uint8Array | undefined {
  const bytes = text.startsWith(PRIVATE_PREFIX) ? decodeBase64(text.slice(PRIVATE_PREFIX.length)) : undefined;
  return bytes?.length === KEY_BYTES || bytes?.length === 2 * KEY_BYTES ? bytes.subarray(0, KEY_BYTES) : undefined;
}
