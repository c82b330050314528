import { describe, expect, test } from '@jest/globals';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { aSubscription } from '#testkit/a-subscription';
import { checkMasterKey, WrongMasterKey } from './check-master-key.ts';
import { makeMasterKey, type MasterKey } from './master-key.ts';

const tenant = 'acme' as TenantId;
const [first, second] = [makeMasterKey(new Uint8Array(32).fill(1)), makeMasterKey(new Uint8Array(32).fill(2))];

function sealedWith(key: MasterKey | undefined, n: number): Subscription {
  const id = `sub_${n}` as SubscriptionId;
  const sealed = key === undefined ? {} : { sealedSecret: key.seal(Buffer.alloc(24), { tenant, subscription: id }) };
  return aSubscription({ id, tenant, ...sealed });
}

describe('checkMasterKey', () => {
  test('is content with an empty registry, and with its own secrets', () => {
    expect(checkMasterKey(first, [])).toEqual([]);
    expect(checkMasterKey(first, [sealedWith(undefined, 1), sealedWith(first, 2)])).toEqual([]);
  });

  test('refuses to start with a key that fits nothing, and says which key is expected', () => {
    const check = () => checkMasterKey(first, [sealedWith(second, 1), sealedWith(undefined, 2), sealedWith(second, 3)]);
    expect(check).toThrow(WrongMasterKey);
    expect(check).toThrow(`POSTHASTE_MASTER_KEY is the key ${first.id}`);
    expect(check).toThrow(`(2) were sealed with the key ${second.id}.`);
  });

  test('names the secrets of another key when its own are there as well', () => {
    const foreign = sealedWith(second, 1);
    expect(checkMasterKey(first, [foreign, sealedWith(first, 2)])).toEqual([foreign]);
  });
});
