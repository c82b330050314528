import { describe, expect, test } from '@jest/globals';
import type { SigningKeyId, SubscriptionId, TenantId } from '#core/ids';
import type { SigningKey } from '#core/registry/signing-key';
import type { Subscription } from '#core/registry/subscription';
import { aSubscription } from '#testkit/a-subscription';
import { checkMasterKey, WrongMasterKey } from './check-master-key.ts';
import { makeMasterKeys, type MasterKey } from './master-key.ts';

const tenant = 'acme' as TenantId;
const keys = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill)) as [Uint8Array, Uint8Array, Uint8Array];
const [first, second, third] = [makeMasterKeys([keys[0]]), makeMasterKeys([keys[1]]), makeMasterKeys([keys[2]])];
const subscription = 'sub_1' as SubscriptionId;
const signingKey = 'k'.repeat(43) as SigningKeyId;

const secret = (key: MasterKey) => key.seal(Buffer.alloc(24), { tenant, subscription });
const aSealed = (sealed: Partial<Subscription>) => aSubscription({ id: subscription, tenant, ...sealed });

function check(masterKeys: Parameters<typeof checkMasterKey>[0], sealed: Partial<Subscription>[], privateKey?: string) {
  const key: SigningKey = {
    id: signingKey,
    tenant,
    algorithm: 'ed25519',
    publicJwk: { kty: 'OKP', crv: 'Ed25519', x: '' },
    state: 'active',
    createdAtMs: 0,
    ...(privateKey === undefined ? {} : { sealedPrivateKey: privateKey }),
  };
  return checkMasterKey(masterKeys, { subscriptions: sealed.map(aSealed), signingKeys: [key] });
}

describe('checkMasterKey', () => {
  test('is content with an empty registry, and with what it can open', () => {
    expect(check(first, [])).toEqual([]);
    expect(
      check(first, [{}, { sealedSecret: secret(first) }], first.seal(Buffer.alloc(24), { tenant, signingKey })),
    ).toEqual([]);
    const both = makeMasterKeys([keys[1], keys[0]]);
    expect(check(both, [{ sealedSecret: secret(first) }, { sealedSecret: secret(second) }])).toEqual([]);
  });

  test('refuses to start when a master key is missing, and says which one, what it sealed, and what there is', () => {
    const start = () =>
      check(
        makeMasterKeys([keys[2], keys[0]]),
        [
          { sealedSecret: secret(first) },
          { sealedSecret: secret(second), sealedCredential: secret(second) },
          { sealedSecret: secret(first), previousSecrets: [{ sealed: secret(second), graceUntilMs: 1 }] },
        ],
        second.seal(Buffer.alloc(24), { tenant, signingKey }),
      );
    expect(start).toThrow(WrongMasterKey);
    expect(start).toThrow(
      `The master key ${second.id} is missing: the key ${second.id} sealed 2 secrets, 1 credential, 1 signing key.`,
    );
    expect(start).toThrow(`Configured: ${third.id}, ${first.id}.`);
  });

  test('does so for a credential alone, or a signing key alone (SA-10)', () => {
    expect(() => check(first, [{ sealedCredential: secret(second) }])).toThrow(
      `the key ${second.id} sealed 1 credential.`,
    );
    expect(() => check(first, [], secret(second))).toThrow(`the key ${second.id} sealed 1 signing key.`);
  });

  test('names the owners of what is damaged, without refusing the others', () => {
    expect(check(first, [{ sealedSecret: 'v1.damaged' }, { sealedSecret: secret(first) }])).toEqual([subscription]);
  });
});
