import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SigningKeyId, SubscriptionId, TenantId } from '#core/ids';
import { keyIdOf, makeMasterKey, makeMasterKeys, parseMasterKey } from './master-key.ts';

const owner = { tenant: 'acme' as TenantId, subscription: 'sub_1' as SubscriptionId };
const key = new Uint8Array(32).fill(1);
const masterKey = makeMasterKey(key);

describe('a master key', () => {
  test('opens what it sealed, for the same owner only', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (secret) => {
        const sealed = masterKey.seal(secret, owner);
        expect(masterKey.unseal(sealed, owner)).toEqual({ ok: true, secret: Buffer.from(secret) });
        for (const other of [
          { ...owner, tenant: 'other' as TenantId },
          { ...owner, subscription: 'sub_2' as SubscriptionId },
        ]) {
          expect(masterKey.unseal(sealed, other)).toEqual({ ok: false, reason: 'unseal_failed' });
        }
      }),
    );
  });

  test('never seals twice alike, and shows neither secret nor key', () => {
    const secret = Buffer.from('thirty-two bytes of great secrecy');
    const [a, b] = [masterKey.seal(secret, owner), masterKey.seal(secret, owner)];
    expect(a).not.toBe(b);
    for (const shown of [secret.toString('base64url'), Buffer.from(key).toString('base64url')]) {
      expect(a).not.toContain(shown.slice(0, 20));
    }
  });

  test('names itself in the envelope, so that a wrong key can say which one is needed', () => {
    const sealed = masterKey.seal(Buffer.alloc(24), owner);
    const other = makeMasterKey(new Uint8Array(32).fill(2));
    expect(keyIdOf(sealed)).toBe(masterKey.id);
    expect(other.unseal(sealed, owner)).toEqual({ ok: false, reason: 'wrong_master_key', keyId: masterKey.id });
    expect(makeMasterKey(key).id).toBe(masterKey.id);
  });

  test('notices every change in the envelope', () => {
    const sealed = masterKey.seal(Buffer.alloc(24), owner);
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice(0, i) + (sealed[i] === 'A' ? 'B' : 'A') + sealed.slice(i + 1);
      const unsealed = masterKey.unseal(changed, owner);
      // The last character of base64url may hold unused bits; then the bytes are the same and so is the secret.
      if (unsealed.ok)
        expect(Buffer.from(changed.split('.')[3] ?? '', 'base64url')).toEqual(
          Buffer.from(sealed.split('.')[3] ?? '', 'base64url'),
        );
    }
    for (const text of ['', 'v1', 'v1.a.b', 'v2.a.b.c', `${sealed}.x`, 'v1..AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA']) {
      expect(masterKey.unseal(text, owner)).toEqual({ ok: false, reason: 'unseal_failed' });
    }
  });
});

describe('several master keys', () => {
  const other = new Uint8Array(32).fill(2);
  const both = makeMasterKeys([other, key]);

  test('seal with the first and open with any, so that a key is replaced while everything runs', () => {
    const [old, sealed] = [masterKey.seal(Buffer.from('s'), owner), both.seal(Buffer.from('s'), owner)];
    expect(keyIdOf(sealed)).toBe(makeMasterKey(other).id);
    expect(both.ids).toEqual([makeMasterKey(other).id, masterKey.id]);
    for (const one of [old, sealed]) expect(both.unseal(one, owner)).toEqual({ ok: true, secret: Buffer.from('s') });
    expect(makeMasterKeys([key]).unseal(sealed, owner)).toMatchObject({ reason: 'wrong_master_key', keyId: both.id });
    expect(both.unseal('v1.x', owner)).toEqual({ ok: false, reason: 'unseal_failed' });
  });
});

describe('a signing key', () => {
  test('is sealed for itself: it opens neither as a secret nor as another key', () => {
    const tenant = owner.tenant;
    const mine = { tenant, signingKey: 'sub_1' as SigningKeyId };
    const sealed = masterKey.seal(Buffer.from('s'), mine);
    expect(masterKey.unseal(sealed, mine).ok).toBe(true);
    for (const another of [
      owner,
      { ...owner, purpose: 'credential' as const },
      { ...mine, signingKey: 'x' as SigningKeyId },
    ]) {
      expect(masterKey.unseal(sealed, another)).toEqual({ ok: false, reason: 'unseal_failed' });
    }
  });
});

describe('parseMasterKey', () => {
  test.each([
    [Buffer.alloc(32, 5).toString('base64'), true],
    [Buffer.alloc(31, 5).toString('base64'), false],
    [Buffer.alloc(33, 5).toString('base64'), false],
    [Buffer.alloc(32, 5).toString('hex'), false],
    ['', false],
    ['change me', false],
  ])('reads base64 of 32 bytes: %s', (text, ok) => {
    expect(parseMasterKey(text) !== undefined).toBe(ok);
  });
});
