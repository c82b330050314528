import { encodeBase64 } from '../event/base64.ts';
import { encodeUtf8 } from '../event/utf8.ts';
import type { HeaderPair } from '../signature/http-message.ts';
import type { ApiKeyCredential, PlainCredential } from './sink-credential.ts';

export const AUTHORIZATION = 'authorization';

/** The header of a credential that is always the same: Basic in UTF-8 (RFC 7617), or the subscriber's own (D3). */
export function fixedHeader(credential: PlainCredential | ApiKeyCredential): HeaderPair {
  if (credential.credentialtype === 'APIKEY') return [credential.header, credential.value];
  return [AUTHORIZATION, basic(credential.identifier, credential.secret)];
}

/** RFC 6750 section 2.1 (WH-7). */
export function bearerHeader(token: string): HeaderPair {
  return [AUTHORIZATION, `Bearer ${token}`];
}

/** The value of an `Authorization` by user and password. */
export function basic(user: string, password: string): string {
  return `Basic ${base64Of(`${user}:${password}`)}`;
}

function base64Of(text: string): string {
  return String.fromCharCode(...encodeBase64(encodeUtf8(text)));
}

export function base64UrlOf(text: string): string {
  return base64Of(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
