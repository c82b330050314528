import { describe, expect, test } from '@jest/globals';
import type { SigningKeyId, SubscriptionId, TenantId } from '#core/ids';
import { makeMasterKey, makeMasterKeys } from './master-key.ts';
import { makeReseal } from './reseal.ts';

const tenant = 'acme' as TenantId;
const [oldKey, newKey, lostKey] = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const both = makeMasterKeys([newKey, oldKey]);
const reseal = makeReseal(both);

describe('reseal', () => {
  test('seals with the master key of now what an earlier one sealed, each for its owner', () => {
    const owners = [
      { subscription: 'sub_1' as SubscriptionId },
      { subscription: 'sub_1' as SubscriptionId, purpose: 'credential' as const },
      { signingKey: 'k' as SigningKeyId },
    ];
    const things = owners.map((of) => ({
      tenant,
      of,
      sealed: makeMasterKey(oldKey).seal(Buffer.from('s'), { tenant, ...of }),
    }));
    const { resealed } = reseal({ reseal: things });
    const opened = resealed.map((one, i) => {
      const owner = { tenant, ...(owners[i] ?? { signingKey: '' as SigningKeyId }) };
      return one.kind === 'resealed' && makeMasterKey(newKey).unseal(one.sealed, owner);
    });
    expect(opened).toEqual(owners.map(() => ({ ok: true, secret: Buffer.from('s') })));
  });

  test('says what is current, and what it can not open', () => {
    const of = { subscription: 'sub_1' as SubscriptionId };
    const sealedWith = (key: Uint8Array) => ({
      tenant,
      of,
      sealed: makeMasterKey(key).seal(Buffer.from('s'), { tenant, ...of }),
    });
    const stolen = { ...sealedWith(oldKey), of: { subscription: 'sub_2' as SubscriptionId } };
    expect(reseal({ reseal: [sealedWith(newKey), sealedWith(lostKey), stolen] }).resealed).toEqual([
      { kind: 'current' },
      { kind: 'failed', reason: 'wrong_master_key' },
      { kind: 'failed', reason: 'unseal_failed' },
    ]);
  });
});
