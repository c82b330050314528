import { describe, expect, test } from '@jest/globals';
import type { SubscriptionId, TenantId } from '#core/ids';
import { formatSecret } from '#core/signature/signing-secret';
import { makeMasterKey } from './master-key.ts';
import { makeSealCredential, makeSealSecret } from './seal-secret.ts';

const owner = { tenant: 'acme' as TenantId, subscription: 'sub_1' as SubscriptionId };
const masterKey = makeMasterKey(new Uint8Array(32).fill(1));
const sealSecret = makeSealSecret({ masterKey, randomBytes: (count) => new Uint8Array(count).fill(9) });

describe('sealSecret', () => {
  test('makes a secret when none is supplied (SW-3)', () => {
    const reply = sealSecret(owner);
    expect(reply).toMatchObject({ ok: true, secret: formatSecret(new Uint8Array(32).fill(9)) });
    expect(masterKey.unseal(reply.ok ? reply.sealed : '', owner)).toMatchObject({ secret: Buffer.alloc(32, 9) });
  });

  test('takes the one that is supplied, and answers its one spelling', () => {
    const secret = formatSecret(new Uint8Array(25).fill(3));
    expect(secret.endsWith('==')).toBe(true);
    const reply = sealSecret({ ...owner, secret: secret.slice(0, -2) });
    expect(reply).toMatchObject({ ok: true, secret });
    expect(masterKey.unseal(reply.ok ? reply.sealed : '', owner)).toMatchObject({ secret: Buffer.alloc(25, 3) });
  });

  test.each(['', 'hunter2', 'whsec_', 'whsec_short', 'whsec_!!!!'])(
    'names the rule that "%s" breaks (SW-3)',
    (secret) => {
      const reply = sealSecret({ ...owner, secret });
      expect(reply).toMatchObject({ ok: false, rule: 'SW-3', detail: expect.any(String) });
    },
  );
});

describe('sealCredential', () => {
  const credential = { credentialtype: 'PLAIN', identifier: 'u', secret: 'p' };
  const { sealed } = makeSealCredential(masterKey)({ ...owner, credential });

  test('seals any JSON for its owner (SA-10)', () => {
    const opened = masterKey.unseal(sealed, { ...owner, purpose: 'credential' });
    expect(opened.ok && JSON.parse(Buffer.from(opened.secret).toString())).toEqual(credential);
    const stranger = { ...owner, tenant: 'globex' as TenantId, purpose: 'credential' } as const;
    expect(masterKey.unseal(sealed, stranger)).toEqual({ ok: false, reason: 'unseal_failed' });
  });

  test('makes nothing that opens as a signing secret, nor the other way round', () => {
    expect(masterKey.unseal(sealed, owner)).toEqual({ ok: false, reason: 'unseal_failed' });
    const secret = masterKey.seal(Buffer.alloc(24), owner);
    const purpose = 'credential';
    expect(masterKey.unseal(secret, { ...owner, purpose })).toEqual({ ok: false, reason: 'unseal_failed' });
  });
});
