import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ANY_CONTEXT, specificationOf } from '#testkit/decider-specification';
import type { SigningKeyId, TenantId } from '../ids.ts';
import { signingKeyDecider } from './signing-key-decider.ts';
import {
  isPublic,
  keysThatSign,
  RETIRED_KEY_SERVED_MS,
  SIGNING_KEY_STATES,
  type SigningKey,
  type SigningKeyCommand,
} from './signing-key.ts';

const { given, fold } = specificationOf(signingKeyDecider);
const { nowMs: atMs, by } = ANY_CONTEXT;
const told = { atMs, by };
const key = {
  id: 'k'.repeat(43) as SigningKeyId,
  tenant: 'acme' as TenantId,
  algorithm: 'ed25519',
  publicJwk: { kty: 'OKP', crv: 'Ed25519', x: 'x' },
  sealedPrivateKey: 's1',
} as const;
const created = { kind: 'SigningKeyCreated', ...key, ...told } as const;
const published = { kind: 'SigningKeyPublished', ...told } as const;
const activated = { kind: 'SigningKeyActivated', ...told } as const;
const withdrawn = { kind: 'SigningKeyWithdrawn', ...told } as const;
const retired = { kind: 'SigningKeyRetired', ...told } as const;
const life = [created, published, activated, withdrawn, retired] as const;

describe('a signing key', () => {
  test('is created, published, active, retiring and retired, one after the other (MS-5)', () => {
    given([])
      .when({ kind: 'CreateSigningKey', ...key })
      .then([created]);
    given(life.slice(0, 1)).when({ kind: 'PublishSigningKey' }).then([published]);
    given(life.slice(0, 2)).when({ kind: 'ActivateSigningKey' }).then([activated]);
    given(life.slice(0, 3)).when({ kind: 'WithdrawSigningKey' }).then([withdrawn]);
    given(life.slice(0, 4)).when({ kind: 'RetireSigningKey' }).then([retired]);
    expect(life.map((_, i) => fold(life.slice(0, i + 1))?.state)).toEqual([...SIGNING_KEY_STATES]);
  });

  test('never signs before it was published, and is not retired while it signs (MS-5)', () => {
    given([created]).when({ kind: 'ActivateSigningKey' }).thenRefused('conflict');
    given(life.slice(0, 3)).when({ kind: 'RetireSigningKey' }).thenRefused('conflict');
    given(life.slice(0, 2)).when({ kind: 'RetireSigningKey' }).then([retired]);
  });

  test('is not created twice, and nothing happens to one that is not there', () => {
    given([created])
      .when({ kind: 'CreateSigningKey', ...key })
      .thenRefused('already_exists');
    given([]).when({ kind: 'PublishSigningKey' }).thenRefused('not_found');
  });

  test('goes only forward, and a step that was taken causes nothing', () => {
    const step = fc.constantFrom<SigningKeyCommand>(
      { kind: 'PublishSigningKey' },
      { kind: 'ActivateSigningKey' },
      { kind: 'WithdrawSigningKey' },
      { kind: 'RetireSigningKey' },
    );
    fc.assert(
      fc.property(fc.array(step), (commands) => {
        let state: SigningKey | undefined = signingKeyDecider.evolve(undefined, created);
        for (const command of commands) {
          const before = SIGNING_KEY_STATES.indexOf(state?.state ?? 'created');
          const decided = signingKeyDecider.decide(command, state, ANY_CONTEXT);
          for (const event of decided.ok ? decided.events : []) state = signingKeyDecider.evolve(state, event);
          const after = SIGNING_KEY_STATES.indexOf(state?.state ?? 'created');
          expect(after).toBeGreaterThanOrEqual(before);
          if (decided.ok)
            expect(signingKeyDecider.decide(command, state, ANY_CONTEXT)).toEqual({ ok: true, events: [] });
        }
      }),
    );
  });

  test('is sealed anew until it is retired, when its private half is forgotten', () => {
    const resealed = { kind: 'SigningKeyResealed', sealedPrivateKey: 's2', ...told } as const;
    given([created]).when({ kind: 'ResealSigningKey', sealedPrivateKey: 's2' }).then([resealed]);
    expect(fold([created, resealed])).toMatchObject({ sealedPrivateKey: 's2' });
    expect(fold([...life])).not.toHaveProperty('sealedPrivateKey');
    given([...life])
      .when({ kind: 'ResealSigningKey', sealedPrivateKey: 's2' })
      .thenRefused('conflict');
  });

  test('is shown from its publication until two days after it was retired (MS-5)', () => {
    const shown = life.map((_, i) => isPublic(fold(life.slice(0, i + 1)) as SigningKey, atMs));
    expect(shown).toEqual([false, true, true, true, true]);
    const old = fold([...life]) as SigningKey;
    expect(isPublic(old, atMs + RETIRED_KEY_SERVED_MS - 1)).toBe(true);
    expect(isPublic(old, atMs + RETIRED_KEY_SERVED_MS)).toBe(false);
    expect(isPublic(fold([created, retired]) as SigningKey, atMs)).toBe(false);
  });
});

describe('the keys that sign', () => {
  const aKey = (name: string, traits: Partial<SigningKey>): SigningKey => ({
    ...(fold([created]) as SigningKey),
    id: name as SigningKeyId,
    ...traits,
  });

  test('are the one that was activated last, and before it is withdrawn as well as after, those that it replaces (SW-4)', () => {
    const keys = [
      aKey('retiring', { state: 'retiring' }),
      aKey('older', { state: 'active', activatedAtMs: 1 }),
      aKey('newer', { state: 'active', activatedAtMs: 2 }),
      aKey('published', { state: 'published' }),
      aKey('another', { state: 'active', activatedAtMs: 3, algorithm: 'ecdsa-p256-sha256' }),
    ];
    expect(keysThatSign(keys, 'ed25519').map(({ id }) => id)).toEqual(['newer', 'older', 'retiring']);
  });

  test('are four at most, so that keys which nobody retires neither slow down nor swell every notification', () => {
    const retiring = Array.from({ length: 100 }, (_, i) => aKey(`k${i}`, { state: 'retiring', withdrawnAtMs: i }));
    const keys = [...retiring, aKey('active', { state: 'active', activatedAtMs: 100 })];
    expect(keysThatSign(keys, 'ed25519').map(({ id }) => id)).toEqual(['active', 'k99', 'k98', 'k97']);
  });

  test('are none without an active one', () => {
    expect(keysThatSign([aKey('retiring', { state: 'retiring' })], 'ed25519')).toEqual([]);
  });
});
