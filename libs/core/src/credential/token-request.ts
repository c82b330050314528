import { timestampToUnixMs } from '../event/timestamp.ts';
import { decodeUtf8, encodeUtf8 } from '../event/utf8.ts';
import type { HeaderPair } from '../signature/http-message.ts';
import { AUTHORIZATION, basic } from './credential-header.ts';
import type { AccessToken, RefreshTokenCredential, RenewableCredential } from './sink-credential.ts';
import type { TokenTimes } from './token-use.ts';

export interface TokenRequest {
  readonly method: 'POST';
  readonly url: string;
  readonly headers: readonly HeaderPair[];
  readonly body: Uint8Array;
}

/** An access token that can be sent. */
export interface ObtainedToken extends TokenTimes {
  readonly token: string;
}

/**
 * `refused`: the credential is not good any more, and asking again does not make it so. `failed`: whatever else; it may
 * be better later. Neither detail has anything in it that the other side said, but for one of its codes.
 */
export type TokenAnswer =
  | { readonly kind: 'token'; readonly token: ObtainedToken; readonly refreshtoken?: string }
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'failed'; readonly detail: string };

/**
 * Asks for a fresh access token (RFC 6749 sections 4.4.2 and 6). A client with a secret proves itself by Basic, which every
 * server has to know (section 2.3.1); one without names itself in the body.
 */
export function tokenRequestOf(credential: RenewableCredential): TokenRequest {
  const isRefresh = credential.credentialtype === 'REFRESHTOKEN';
  const { clientid, clientsecret } = credential;
  const isInBody = clientid !== undefined && clientsecret === undefined;
  const members: readonly (readonly [string, string | undefined])[] = isRefresh
    ? [
        ['grant_type', 'refresh_token'],
        ['refresh_token', credential.refreshtoken],
        ['client_id', isInBody ? clientid : undefined],
      ]
    : [
        ['grant_type', 'client_credentials'],
        ['scope', credential.scopes],
        ['audience', credential.audience],
      ];
  const body = members.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${formEncoded(value)}`]));
  const proof: HeaderPair[] =
    clientid === undefined || clientsecret === undefined
      ? []
      : [[AUTHORIZATION, basic(formEncoded(clientid), formEncoded(clientsecret))]];
  return {
    method: 'POST',
    url: isRefresh ? credential.refreshtokenendpoint : credential.tokenendpoint,
    headers: [['content-type', 'application/x-www-form-urlencoded'], ['accept', 'application/json'], ...proof],
    body: encodeUtf8(body.join('&')),
  };
}

/** `application/x-www-form-urlencoded` of one value. */
function formEncoded(text: string): string {
  let encoded = '';
  for (const byte of encodeUtf8(text)) {
    const char = String.fromCharCode(byte);
    if (/[A-Za-z0-9*._-]/.test(char)) encoded += char;
    else encoded += byte === SPACE ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

const SPACE = 0x20;
/** For servers that do not say it, though they should (RFC 6749 section 5.1). */
const UNTOLD_LIFETIME_SECONDS = 3600;
const LONGEST_LIFETIME_SECONDS = 366 * 86_400;

/** @param nowMs when the question was asked: what is told in seconds counts from no later */
export function readTokenAnswer(status: number, text: string, nowMs: number): TokenAnswer {
  const members = readMembers(text);
  const error = members?.['error'];
  const code = typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? error : undefined;
  // Some servers say 200 to everything; a code without a token is a refusal all the same (RFC 6749 section 5.2 has 400).
  const isSuccess = status === 200 && (code === undefined || members?.['access_token'] !== undefined);
  if (isSuccess) return readSuccess(members, nowMs);
  const isOver = status === 200 || status === 400 || status === 401 || status === 403;
  if (isOver && code !== undefined && !/^(?:server_error|temporarily_unavailable|slow_down)$/.test(code)) {
    return { kind: 'refused', detail: `the token endpoint answered ${status} ${code}` };
  }
  const said = status >= 300 && status < 400 ? ', and redirects are not followed' : '';
  return failed(`the token endpoint answered ${status}${code === undefined ? '' : ` ${code}`}${said}`);
}

function readSuccess(members: Members | undefined, nowMs: number): TokenAnswer {
  if (members === undefined) return failed('the token endpoint answered 200 without a JSON object');
  const { access_token: token, token_type: type, expires_in: lifetime, refresh_token: refreshtoken } = members;
  if (typeof token !== 'string' || !isBearerToken(token)) {
    return failed('the token endpoint answered 200 without an access_token that can be sent');
  }
  if (type !== undefined && (typeof type !== 'string' || type.toLowerCase() !== 'bearer')) {
    return failed('the token endpoint answered with a token_type other than Bearer');
  }
  const seconds = Number(lifetime ?? UNTOLD_LIFETIME_SECONDS); // some servers send it as a string
  if (!(seconds > 0)) return failed('the token endpoint answered with an expires_in that is no number of seconds');
  const expiresAtMs = nowMs + Math.min(seconds, LONGEST_LIFETIME_SECONDS) * 1000;
  return {
    kind: 'token',
    token: { token, expiresAtMs, obtainedAtMs: nowMs },
    ...(typeof refreshtoken === 'string' && refreshtoken !== '' ? { refreshtoken } : {}),
  };
}

/** RFC 6750 section 2.1: what can stand in an Authorization header. */
export function isBearerToken(text: string): boolean {
  return text.length <= 8192 && /^[A-Za-z0-9\-._~+/]+=*$/.test(text);
}

/**
 * The credential with the token, and with the refresh token that replaces its own (RFC 6749 section 6).
 *
 * @param expiresutc when the token expires, RFC 3339
 */
export function refreshed(
  credential: RefreshTokenCredential,
  { token, refreshtoken }: Pick<Extract<TokenAnswer, { kind: 'token' }>, 'token' | 'refreshtoken'>,
  expiresutc: string,
): RefreshTokenCredential {
  return {
    ...credential,
    accesstoken: token.token,
    accesstokenexpiresutc: expiresutc,
    refreshtoken: refreshtoken ?? credential.refreshtoken,
    ...(token.obtainedAtMs === undefined ? {} : { obtainedatms: token.obtainedAtMs }),
  };
}

/** The access token that a credential carries. */
export function carriedToken(credential: AccessToken & { readonly obtainedatms?: number }): ObtainedToken {
  return {
    token: credential.accesstoken,
    expiresAtMs: timestampToUnixMs(credential.accesstokenexpiresutc) ?? -Infinity,
    obtainedAtMs: credential.obtainedatms,
  };
}

type Members = Readonly<Record<string, unknown>>;

function readMembers(text: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
  } catch {
    return undefined;
  }
}

function failed(detail: string): TokenAnswer {
  return { kind: 'failed', detail };
}

/** The credential as it was sealed. Undefined when the bytes are none. */
export function parseSealedCredential<Credential>(bytes: Uint8Array): Credential | undefined {
  const text = decodeUtf8(bytes);
  return text === undefined ? undefined : (readMembers(text) as Credential | undefined);
}
