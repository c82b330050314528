import type { ShownCredential, SubscriptionSpec } from '../registry/subscription.ts';
import { AUTHORIZATION } from './credential-header.ts';

/** What a notification is authorized by: nothing of ours, a token that we issue, or what the subscriber gave us. */
export type Authorization = 'none' | 'jwt' | 'credential';

/**
 * | case                                                                | what is sent                    |
 * | ------------------------------------------------------------------- | ------------------------------- |
 * | NATS                                                                | nothing                         |
 * | a sink credential, but for a client certificate                     | the credential (SA-10)          |
 * | `config.authorization: "none"`                                      | nothing                         |
 * | an `Authorization` of its own, or `access_token` in the sink (WH-7) | that, and nothing of ours       |
 * | `http://`                                                           | nothing: a token would leak     |
 * | otherwise                                                           | a JWT (WH-9)                    |
 */
export function authorizationOf(spec: SubscriptionSpec): Authorization {
  if (spec.protocol !== 'HTTP') return 'none';
  if (spec.sinkcredential !== undefined && credentialHeaderName(spec.sinkcredential) !== undefined) return 'credential';
  const isOurs = spec.config.authorization === 'jwt' && !hasOwnToken(spec);
  return isOurs && isHttps(spec.sink) ? 'jwt' : 'none';
}

/** True when a key for tokens is needed: for the sink, or for that of its dead letters. */
export function usesJwt(spec: SubscriptionSpec): boolean {
  const { authorization, deadLetterSink = '' } = spec.config;
  return authorizationOf(spec) === 'jwt' || (authorization === 'jwt' && isTokenSink(deadLetterSink));
}

/** To whom we send a token of ours when we are asked to: over TLS, and when the URL carries none already. */
export function isTokenSink(sink: string): boolean {
  return isHttps(sink) && !carriesToken(sink);
}

/** The header that a credential of this kind comes in, lower-case. Undefined: it is not sent in any. */
export function credentialHeaderName({ credentialtype, header = AUTHORIZATION }: ShownCredential): string | undefined {
  return credentialtype === 'CLIENTCERTIFICATE' ? undefined : header.toLowerCase();
}

/** The header that notifications are authorized in, lower-case. */
export function authorizationHeaderName({ sinkcredential }: Pick<SubscriptionSpec, 'sinkcredential'>): string {
  return (sinkcredential && credentialHeaderName(sinkcredential)) ?? AUTHORIZATION;
}

/** True when the client proves itself by TLS. */
export function usesClientCertificate({ sinkcredential }: SubscriptionSpec): boolean {
  return sinkcredential?.credentialtype === 'CLIENTCERTIFICATE';
}

function hasOwnToken(spec: Extract<SubscriptionSpec, { protocol: 'HTTP' }>): boolean {
  const names = Object.keys(spec.protocolsettings.headers ?? {});
  return names.some((name) => name.toLowerCase() === AUTHORIZATION) || carriesToken(spec.sink);
}

export function isHttps(sink: string): boolean {
  return /^https:/i.test(sink);
}

function carriesToken(sink: string): boolean {
  return /[?&]access_token=/.test(sink);
}
