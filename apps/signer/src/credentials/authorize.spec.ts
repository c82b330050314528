import { createPublicKey, verify, type JsonWebKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { SinkCredential } from '#core/credential/sink-credential';
import type { TenantId } from '#core/ids';
import type { SigningKey } from '#core/registry/signing-key';
import type { Subscription } from '#core/registry/subscription';
import { aSpec, aSubscription as aSubscriptionWith, type SpecTraits } from '#testkit/a-subscription';
import { makeKeyPair } from '../make-key-pair.ts';
import { makeMasterKey } from '../master-key.ts';
import { makeAuthorize } from './authorize.ts';

const masterKey = makeMasterKey(new Uint8Array(32).fill(1));
const tenant = 'acme' as TenantId;
const sink = 'https://sink.example/';
const NOW = Date.parse('2026-11-22T12:00:00Z');

function withCredential(credential: SinkCredential): Subscription {
  const { credentialtype } = credential;
  const one = aSubscriptionWith({ tenant, spec: aSpec({ sinkcredential: { credentialtype } }) });
  const owner = { tenant, subscription: one.id, purpose: 'credential' } as const;
  return { ...one, sealedCredential: masterKey.seal(Buffer.from(JSON.stringify(credential)), owner) };
}

const aSubscription = (traits: SpecTraits = {}) =>
  aSubscriptionWith({ tenant, spec: aSpec({ ...traits, config: { authorization: 'jwt', ...traits.config } }) });

function aKey(activatedAtMs = 0): SigningKey {
  const { id, publicJwk, privateKey } = makeKeyPair('ecdsa-p256-sha256');
  const sealedPrivateKey = masterKey.seal(privateKey, { tenant, signingKey: id });
  const ids = { id, tenant, algorithm: 'ecdsa-p256-sha256', publicJwk, sealedPrivateKey } as const;
  return { ...ids, state: 'active', createdAtMs: 0, activatedAtMs };
}

function aSigner(keys: readonly SigningKey[] = []) {
  const clock = { nowMs: NOW };
  const opened: string[] = [];
  const authorizing = makeAuthorize({
    signingKeys: () => keys,
    masterKey: {
      unseal(sealed, owner) {
        opened.push(sealed);
        return masterKey.unseal(sealed, owner);
      },
    },
    tokens: { tokenFor: () => ({ ok: true, token: 'from-the-endpoint' }), forget: () => undefined },
    issuer: 'https://hooks.example',
    now: () => clock.nowMs,
  });
  return { ...authorizing, clock, opened };
}

const token = { accesstoken: 'abc', accesstokenexpiresutc: '2026-11-22T13:00:00Z', accesstokentype: 'bearer' } as const;

describe('a credential', () => {
  test.each<[SinkCredential, [string, string]]>([
    [
      { credentialtype: 'PLAIN', identifier: 'Aladdin', secret: 'open sesame' },
      ['authorization', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
    ],
    [{ credentialtype: 'ACCESSTOKEN', ...token }, ['authorization', 'Bearer abc']],
    [{ credentialtype: 'APIKEY', header: 'X-API-Key', value: 'k' }, ['X-API-Key', 'k']],
    [
      { credentialtype: 'CLIENTCREDENTIALS', tokenendpoint: 'https://as.example', clientid: 'c', clientsecret: 's' },
      ['authorization', 'Bearer from-the-endpoint'],
    ],
  ])('$credentialtype becomes a header (SA-10, WH-7)', (credential, header) => {
    expect(aSigner().authorize(withCredential(credential), { sink })).toEqual({ ok: true, header });
  });

  test('is opened once, and again when it is another one', () => {
    const { authorize, opened, forget } = aSigner();
    const one = withCredential({ credentialtype: 'PLAIN', identifier: 'a', secret: 'b' });
    for (let i = 0; i < 3; i++) authorize(one, { sink });
    expect(opened).toHaveLength(1);
    const replaced = withCredential({ credentialtype: 'PLAIN', identifier: 'a', secret: 'c' });
    expect(authorize(replaced, { sink })).toMatchObject({ header: ['authorization', `Basic ${btoa('a:c')}`] });
    forget(one.id, undefined);
    authorize(replaced, { sink });
    expect(opened).toHaveLength(3);
  });

  test('ACCESSTOKEN is not given any more when its request could leave after its time (SA-10)', () => {
    const { authorize, clock } = aSigner();
    const one = withCredential({ credentialtype: 'ACCESSTOKEN', ...token });
    clock.nowMs = NOW + 3_579_999;
    expect(authorize(one, { sink }).ok).toBe(true);
    clock.nowMs = NOW + 3_580_000;
    expect(authorize(one, { sink })).toEqual({
      ok: false,
      reason: 'credential_expired',
      detail: 'the access token of the sink credential expires at 2026-11-22T13:00:00Z; replace it, then resume',
    });
  });

  test('is given for the sink of the subscription only, not for that of its dead letters', () => {
    const { authorize } = aSigner([aKey()]);
    const one = withCredential({ credentialtype: 'PLAIN', identifier: 'a', secret: 'b' });
    expect(authorize(one, { sink: 'https://other.example/' })).toEqual({ ok: false, reason: 'other_sink' });
    const deadLetterSink = 'https://dead.example/';
    const config = { ...one.spec.config, authorization: 'jwt', deadLetterSink } as const;
    const header = authorize({ ...one, spec: { ...aSpec(one.spec as SpecTraits), config } }, { sink: deadLetterSink });
    expect(header).toMatchObject({ ok: true, header: ['authorization', expect.stringMatching(/^Bearer ey/)] });
  });

  test('of another subscription, or another master key, opens nothing', () => {
    const one = withCredential({ credentialtype: 'PLAIN', identifier: 'a', secret: 'b' });
    const moved = { ...one, id: 'sub_00000000000000000000000009' as typeof one.id };
    expect(aSigner().authorize(moved, { sink })).toEqual({ ok: false, reason: 'unseal_failed' });
    const sealed = makeMasterKey(new Uint8Array(32).fill(2)).seal(Buffer.from('{}'), { tenant, subscription: one.id });
    expect(aSigner().authorize({ ...one, sealedCredential: sealed }, { sink })).toEqual({
      ok: false,
      reason: 'wrong_master_key',
    });
  });
});

describe('a token of ours', () => {
  const partsOf = (authorized: ReturnType<ReturnType<typeof aSigner>['authorize']>) => {
    if (!authorized.ok) throw new Error(authorized.reason);
    const parts = authorized.header[1].replace('Bearer ', '').split('.');
    const [head, claims] = parts
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object);
    return { parts, head, claims };
  };

  test('is an ES256 JWT that the published key verifies (WH-9)', () => {
    const key = aKey();
    const { authorize } = aSigner([key]);
    const one = aSubscription();
    const { parts, head, claims } = partsOf(authorize(one, { sink }));
    expect(head).toEqual({ alg: 'ES256', typ: 'JWT', kid: key.id });
    expect(claims).toEqual({
      iss: 'https://hooks.example',
      aud: [sink],
      sub: one.id,
      iat: NOW / 1000,
      exp: NOW / 1000 + 3600,
    });
    const publicKey = createPublicKey({ key: key.publicJwk as JsonWebKey, format: 'jwk' });
    const signature = Buffer.from(parts[2] ?? '', 'base64url');
    const content = Buffer.from(parts.slice(0, 2).join('.'));
    expect(verify('sha256', content, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
  });

  test('is the same for half an hour, unless the key or the sink is another', () => {
    const keys = [aKey(1)];
    const { authorize, clock } = aSigner(keys);
    const one = aSubscription();
    const first = authorize(one, { sink });
    clock.nowMs += 1_799_000;
    expect(authorize(one, { sink })).toEqual(first);
    const moved = aSubscription({ sink: 'https://moved.example/' });
    expect(partsOf(authorize(moved, { sink: 'https://moved.example/' })).claims).toMatchObject({
      aud: ['https://moved.example/'],
    });
    expect(authorize(one, { sink })).toEqual(first);
    const next = aKey(2);
    keys.push(next);
    expect(partsOf(authorize(one, { sink })).head).toMatchObject({ kid: next.id });
    clock.nowMs += 1_800_000;
    expect(partsOf(authorize(one, { sink })).claims).toMatchObject({ iat: clock.nowMs / 1000 });
  });

  test('is not made without a key, nor for anybody else', () => {
    expect(aSigner().authorize(aSubscription(), { sink })).toEqual({ ok: false, reason: 'no_key' });
    const unwanted = aSubscription({ config: { authorization: 'none' } });
    for (const [one, to] of [
      [unwanted, sink],
      [aSubscription(), 'https://other.example/'],
    ] as const)
      expect(aSigner([aKey()]).authorize(one, { sink: to })).toEqual({ ok: false, reason: 'other_sink' });
  });
});
