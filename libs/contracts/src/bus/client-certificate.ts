import type { SubscriptionId, TenantId } from '#core/ids';
import type { SignRefusal } from './sign.ts';

/** Asks the signer for the client certificate of a subscription and its key, JSON on the certificate subject. */
export interface ClientCertificateRequest {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** Where it is going to be used. Nothing is given for another address than the subscription's. */
  readonly sink: string;
  /** The sealed credential, as the asker knows it. Nothing is given for another one than the subscription's. */
  readonly sealed: string;
}

export type ClientCertificateReply =
  /** PEM: the certificates, that of the client first, and its key. To be wiped once it is used. */
  | { readonly ok: true; readonly pem: Uint8Array }
  | { readonly ok: false; readonly reason: SignRefusal; readonly detail?: string };

/*
 * The reply is the PEM as it is, or a refusal as JSON: they begin with "-" and "{". So the key is bytes all the way, never a
 * text: texts stay on the heap until they are collected, and can not be wiped.
 */

const BRACE = 0x7b;

export function encodeClientCertificateReply(reply: ClientCertificateReply): Uint8Array {
  return reply.ok ? reply.pem : new TextEncoder().encode(JSON.stringify(reply));
}

/** The PEM is a view into `bytes`, not a copy. */
export function decodeClientCertificateReply(bytes: Uint8Array): ClientCertificateReply {
  if (bytes[0] !== BRACE) return { ok: true, pem: bytes };
  return JSON.parse(new TextDecoder().decode(bytes)) as ClientCertificateReply;
}
