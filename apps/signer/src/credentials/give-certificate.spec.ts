import { expect, test } from '@jest/globals';
import { decodeClientCertificateReply, encodeClientCertificateReply } from '#contracts/bus/client-certificate';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeMasterKey } from '../master-key.ts';
import { makeGiveCertificate } from './give-certificate.ts';

const masterKey = makeMasterKey(new Uint8Array(32).fill(1));
const tenant = 'acme' as TenantId;
const sink = 'https://sink.example/';
const id = 'sub_1' as SubscriptionId;
const owner = { tenant, subscription: id, purpose: 'credential' } as const;
const seal = (credential: object) => masterKey.seal(Buffer.from(JSON.stringify(credential)), owner);
const credential = { credentialtype: 'CLIENTCERTIFICATE', certificate: 'CERT\n', privatekey: ' KEY' };

function withSealed(sealedCredential: string): Subscription {
  const sinkcredential = { credentialtype: 'CLIENTCERTIFICATE' } as const;
  return { ...aSubscription({ id, tenant, spec: aSpec({ sink, sinkcredential }) }), sealedCredential };
}

/** Of what the signer knows now, and what it knows when it has caught up. */
function aSigner(now: Subscription | undefined, later = now) {
  let known = now;
  const giveCertificate = makeGiveCertificate({
    findSubscription: (ofTenant, ofId) => (ofTenant === tenant && ofId === id ? known : undefined),
    catchUp: () => Promise.resolve(void (known = later)),
    masterKey,
  });
  return async (request: { tenant?: TenantId; sink?: string; sealed: string }) => {
    const reply = await giveCertificate({ tenant, subscription: id, sink, ...request });
    return decodeClientCertificateReply(encodeClientCertificateReply(reply));
  };
}

test('the certificate and its key are given as one PEM', async () => {
  const sealed = seal(credential);
  expect(await aSigner(withSealed(sealed))({ sealed })).toEqual({ ok: true, pem: Buffer.from('CERT\nKEY\n') });
});

test('what the asker knows and the signer does not yet is waited for', async () => {
  const sealed = seal(credential);
  const signer = aSigner(withSealed(seal({ ...credential, privatekey: 'OLD' })), withSealed(sealed));
  expect(await signer({ sealed })).toMatchObject({ ok: true });
});

test('nothing is given for what the subscription has no more, for another address or another tenant', async () => {
  const [old, sealed] = [seal(credential), seal(credential)];
  const signer = aSigner(withSealed(sealed));
  expect(await signer({ sealed: old })).toEqual({ ok: false, reason: 'other_credential' });
  expect(await signer({ sealed, sink: 'https://elsewhere.example/' })).toEqual({ ok: false, reason: 'other_sink' });
  expect(await signer({ sealed, tenant: 'globex' as TenantId })).toEqual({ ok: false, reason: 'unknown_subscription' });
  expect(await signer({ sealed })).toMatchObject({ ok: true });
});

test('no other credential leaves this way', async () => {
  const sealed = seal({ credentialtype: 'PLAIN', identifier: 'i', secret: 's' });
  expect(await aSigner(withSealed(sealed))({ sealed })).toEqual({ ok: false, reason: 'other_credential' });
});
