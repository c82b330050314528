import type { CredentialType } from '../registry/subscription.ts';

/**
 * What a notification proves itself to its sink with, as it is sealed (SA-10). Only the signer sees it.
 *
 * | type              | header of a notification            | of the specification | token-based (WH-7) |
 * | ----------------- | ----------------------------------- | -------------------- | ------------------ |
 * | PLAIN             | `Authorization: Basic …`            | yes                  | no (D3)            |
 * | ACCESSTOKEN       | `Authorization: Bearer …`           | yes                  | yes                |
 * | REFRESHTOKEN      | `Authorization: Bearer …`           | yes                  | yes                |
 * | CLIENTCREDENTIALS | `Authorization: Bearer …`           | no                   | yes                |
 * | APIKEY            | one of its own                      | no                   | no                 |
 * | CLIENTCERTIFICATE | none: it is TLS that proves it      | no                   | by our JWT beside  |
 */
export type SinkCredential =
  | PlainCredential
  | ({ readonly credentialtype: 'ACCESSTOKEN' } & AccessToken)
  | RefreshTokenCredential
  | ClientCredentials
  | ApiKeyCredential
  | ClientCertificateCredential;

export interface PlainCredential {
  readonly credentialtype: 'PLAIN';
  readonly identifier: string;
  readonly secret: string;
}

export interface AccessToken {
  readonly accesstoken: string;
  /** RFC 3339. */
  readonly accesstokenexpiresutc: string;
  readonly accesstokentype: 'bearer';
}

/** RFC 6749 section 6. */
export interface RefreshTokenCredential extends AccessToken {
  readonly credentialtype: 'REFRESHTOKEN';
  readonly refreshtoken: string;
  readonly refreshtokenendpoint: string;
  readonly clientid?: string;
  readonly clientsecret?: string;
  /** When the access token was obtained, Unix ms. Absent: it came with the subscription. */
  readonly obtainedatms?: number;
}

/** RFC 6749 section 4.4. */
export interface ClientCredentials {
  readonly credentialtype: 'CLIENTCREDENTIALS';
  readonly tokenendpoint: string;
  readonly clientid: string;
  readonly clientsecret: string;
  /** Separated by blanks. */
  readonly scopes?: string;
  readonly audience?: string;
}

export interface ApiKeyCredential {
  readonly credentialtype: 'APIKEY';
  readonly header: string;
  readonly value: string;
}

/** Proves who the client is in the handshake of TLS, before there is a request (RFC 8446 section 4.4.2). */
export interface ClientCertificateCredential {
  readonly credentialtype: 'CLIENTCERTIFICATE';
  /** PEM, that of the client first, then those between it and an authority. */
  readonly certificate: string;
  /** PEM, not encrypted. */
  readonly privatekey: string;
}

/** Those whose access token somebody gives anew. */
export type RenewableCredential = RefreshTokenCredential | ClientCredentials;

/** True when there is somebody to ask for a fresh access token. */
export function isRenewable(type: CredentialType | undefined): type is RenewableCredential['credentialtype'] {
  return type === 'REFRESHTOKEN' || type === 'CLIENTCREDENTIALS';
}

/** Where a fresh access token comes from; `undefined` of the other types. */
export function tokenEndpointOf(credential: SinkCredential): string | undefined {
  if (credential.credentialtype === 'REFRESHTOKEN') return credential.refreshtokenendpoint;
  return credential.credentialtype === 'CLIENTCREDENTIALS' ? credential.tokenendpoint : undefined;
}
