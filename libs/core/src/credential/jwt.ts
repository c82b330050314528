import type { SigningKeyId, SubscriptionId } from '../ids.ts';
import { base64UrlOf } from './credential-header.ts';

/** Registered claims (RFC 7519 section 4.1); instants in Unix seconds. */
export interface JwtClaims {
  /** URL of this installation: below it are the public keys, `/.well-known/jwks.json`. */
  readonly iss: string;
  /** The sink as it is subscribed. A token for one is of no use at another. */
  readonly aud: readonly [string];
  /** The subscription. A sink that is not to take those of others has to look at it. */
  readonly sub: SubscriptionId;
  readonly iat: number;
  readonly exp: number;
}

const LIFETIME_SECONDS = 3600;
/** Then another one is made: what is sent lives half an hour more at least. */
const USED_FOR_SECONDS = LIFETIME_SECONDS / 2;

export interface JwtSubject {
  readonly issuer: string;
  readonly sink: string;
  readonly subscription: SubscriptionId;
}

export function jwtClaims({ issuer, sink, subscription }: JwtSubject, nowMs: number): JwtClaims {
  const iat = Math.floor(nowMs / 1000);
  return { iss: issuer, aud: [sink], sub: subscription, iat, exp: iat + LIFETIME_SECONDS };
}

/** False when it is time for another one, or the clock was put back. */
export function isFresh({ iat }: Pick<JwtClaims, 'iat'>, nowMs: number): boolean {
  const ageSeconds = nowMs / 1000 - iat;
  return ageSeconds > -1 && ageSeconds < USED_FOR_SECONDS;
}

/** What ES256 signs (RFC 7515 section 5.1); the signature follows behind a dot, base64url of 64 bytes. */
export function jwtSigningInput(claims: JwtClaims, kid: SigningKeyId): string {
  return [{ alg: 'ES256', typ: 'JWT', kid }, claims].map((part) => base64UrlOf(JSON.stringify(part))).join('.');
}
