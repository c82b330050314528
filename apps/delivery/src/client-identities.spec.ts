import { describe, expect, test } from '@jest/globals';
import { encodeClientCertificateReply, type ClientCertificateReply } from '#contracts/bus/client-certificate';
import type { Subscription } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeClientIdentities } from './client-identities.ts';
import { SignatureRefused, SignerUnavailable } from './sign-client.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');

function withCertificate(sealedCredential: string, certificateexpiresutc = '2027-01-01T00:00:00Z'): Subscription {
  const sinkcredential = { credentialtype: 'CLIENTCERTIFICATE', certificateexpiresutc } as const;
  return { ...aSubscription({ spec: aSpec({ sinkcredential }) }), sealedCredential };
}

/** A signer that answers by turns; the last answer stays. An identity is the text of its PEM. */
function someIdentities(...answers: (ClientCertificateReply | 'silence' | 'later')[]) {
  const asked: string[] = [];
  const given: Uint8Array[] = [];
  const identities = makeClientIdentities({
    async request(payload) {
      asked.push((JSON.parse(Buffer.from(payload).toString()) as { sealed: string }).sealed);
      const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? 'silence';
      if (answer === 'silence') throw new Error('no answer');
      const reply = answer === 'later' ? { ok: true as const, pem: Buffer.from('-pem') } : answer;
      const bytes = encodeClientCertificateReply(reply.ok ? { ok: true, pem: Buffer.from(reply.pem) } : reply);
      if (reply.ok) given.push(bytes);
      return bytes;
    },
    makeIdentity(pem) {
      const text = Buffer.from(pem).toString();
      if (text === '-bad') throw Object.assign(new Error('key values mismatch'), { code: 'ERR_OSSL_X509' });
      return text;
    },
    now: () => NOW,
    sleep: () => Promise.resolve(),
  });
  return { ...identities, asked, given };
}

const pem = (text: string): ClientCertificateReply => ({ ok: true, pem: Buffer.from(text) });

describe('the identity of a subscription', () => {
  test('is asked for once, however many deliveries want it at once, and its key is wiped', async () => {
    const { identityOf, asked, given } = someIdentities(pem('-one'));
    const subscription = withCertificate('sealed');
    const all = await Promise.all(Array.from({ length: 5 }, () => identityOf(subscription)));
    expect(all).toEqual(Array.from({ length: 5 }, () => '-one'));
    expect(asked).toEqual(['sealed']);
    expect(given.map((bytes) => [...bytes])).toEqual([[0, 0, 0, 0]]);
  });

  test('is another one as soon as the subscription has another', async () => {
    const { identityOf, forget, asked } = someIdentities(pem('-one'), pem('-two'), pem('-three'));
    const [one, two] = [withCertificate('sealed-1'), withCertificate('sealed-2')];
    expect(await identityOf(one)).toBe('-one');
    expect(await identityOf(two)).toBe('-two');
    forget(two.id, two);
    expect(await identityOf(two)).toBe('-two');
    forget(two.id, undefined);
    expect(await identityOf(two)).toBe('-three');
    expect(asked).toEqual(['sealed-1', 'sealed-2', 'sealed-2']);
  });

  test('is asked for again for another address, and while nothing is sent it is not kept', async () => {
    const { identityOf, forget, asked } = someIdentities(pem('-one'), pem('-two'), pem('-three'));
    const one = withCertificate('sealed');
    expect(await identityOf(one)).toBe('-one');
    const elsewhere = { ...one, spec: { ...one.spec, sink: 'https://elsewhere.example/' } } as Subscription;
    expect(await identityOf(elsewhere)).toBe('-two');
    forget(one.id, { ...elsewhere, state: 'paused' });
    expect(await identityOf(elsewhere)).toBe('-three');
    expect(asked).toHaveLength(3);
  });

  test('is none without a client certificate, and nobody is asked', async () => {
    const { identityOf, asked } = someIdentities(pem('-one'));
    expect(await identityOf(aSubscription())).toBeUndefined();
    expect(asked).toEqual([]);
  });

  test('is not used from 20 s before the certificate expires, so that no request arrives after it (SA-10)', async () => {
    const { identityOf } = someIdentities(pem('-one'));
    expect(await identityOf(withCertificate('sealed', '2026-11-22T12:00:21Z'))).toBe('-one');
    const over = identityOf(withCertificate('sealed', '2026-11-22T12:00:20Z'));
    await expect(over).rejects.toMatchObject({ reason: 'credential_expired' });
    await expect(over).rejects.toThrow(
      /client certificate .* expires at 2026-11-22T12:00:20Z; replace it, then resume/,
    );
  });

  test('is waited for while the signer is away; then the delivery comes again', async () => {
    const back = someIdentities('silence', 'silence', pem('-one'));
    expect(await back.identityOf(withCertificate('sealed'))).toBe('-one');
    const away = someIdentities('silence', 'silence', 'silence', 'silence', 'silence', 'later');
    await expect(away.identityOf(withCertificate('sealed'))).rejects.toBeInstanceOf(SignerUnavailable);
    expect(await away.identityOf(withCertificate('sealed'))).toBe('-pem');
  });

  test('that is refused, or that OpenSSL does not take, holds the delivery, and is asked for again', async () => {
    const refusing = someIdentities({ ok: false, reason: 'other_credential' }, pem('-bad'), pem('-one'));
    const subscription = withCertificate('sealed');
    await expect(refusing.identityOf(subscription)).rejects.toMatchObject({
      reason: 'other_credential',
      isForGood: false,
    });
    await expect(refusing.identityOf(subscription)).rejects.toBeInstanceOf(SignatureRefused);
    expect(refusing.given.map((bytes) => [...bytes])).toEqual([[0, 0, 0, 0]]);
    expect(await refusing.identityOf(subscription)).toBe('-one');
  });
});
