import type { ClientCertificateReply, ClientCertificateRequest } from '#contracts/bus/client-certificate';
import type { ClientCertificateCredential } from '#core/credential/sink-credential';
import { parseSealedCredential } from '#core/credential/token-request';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import type { MasterKey } from '../master-key.ts';

export interface GiveCertificatePorts {
  findSubscription(tenant: TenantId, id: SubscriptionId): Subscription | undefined;
  /** Resolves when everything that REGISTRY had at the call can be found. */
  catchUp(): Promise<void>;
  readonly masterKey: Pick<MasterKey, 'unseal'>;
}

/**
 * Gives the key of a client certificate to who speaks TLS with the sink: there is no other way, the handshake is signed
 * where it is made. It is the one kind of key that leaves the signer (ADR 0013).
 */
export function makeGiveCertificate(ports: GiveCertificatePorts) {
  return async function giveCertificate(request: ClientCertificateRequest): Promise<ClientCertificateReply> {
    const isCurrent = ({ sealedCredential, spec }: Subscription) =>
      sealedCredential === request.sealed && spec.sink === request.sink;
    const known = ports.findSubscription(request.tenant, request.subscription);
    if (known === undefined || !isCurrent(known)) await ports.catchUp();
    const subscription = ports.findSubscription(request.tenant, request.subscription);
    if (subscription === undefined) return { ok: false, reason: 'unknown_subscription' };
    if (subscription.spec.sink !== request.sink) return { ok: false, reason: 'other_sink' };
    return isCurrent(subscription) ? open(subscription, request.sealed) : { ok: false, reason: 'other_credential' };
  };

  function open({ id, tenant }: Subscription, sealed: string): ClientCertificateReply {
    const unsealed = ports.masterKey.unseal(sealed, { tenant, subscription: id, purpose: 'credential' });
    if (!unsealed.ok) return unsealed;
    const credential = parseSealedCredential<ClientCertificateCredential>(unsealed.secret);
    if (credential?.credentialtype !== 'CLIENTCERTIFICATE') return { ok: false, reason: 'other_credential' };
    return { ok: true, pem: Buffer.from(`${credential.certificate.trim()}\n${credential.privatekey.trim()}\n`) };
  }
}
