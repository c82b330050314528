import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SigningKeyId, TenantId } from '../ids.ts';
import { dueRotation, PUBLISH_AHEAD_MS } from './key-rotation.ts';
import { signingKeyDecider } from './signing-key-decider.ts';
import { isPublic, keysThatSign, type SigningKey, type SigningKeyEvent } from './signing-key.ts';

const DAY_MS = 24 * 3_600_000;
const tenant = 'acme' as TenantId;

function evolve(key: SigningKey | undefined, event: SigningKeyEvent): SigningKey {
  const after = signingKeyDecider.evolve(key, event);
  if (after === undefined) throw new Error('no key');
  return after;
}

function newKey(name: string, atMs: number): SigningKey {
  const publicJwk = { kty: 'OKP', crv: 'Ed25519', x: '' } as const;
  const key = { id: name as SigningKeyId, tenant, algorithm: 'ed25519', publicJwk, sealedPrivateKey: 's' } as const;
  return evolve(undefined, { kind: 'SigningKeyCreated', ...key, atMs, by: 'rotation' });
}

function activeKey(name: string, atMs: number): SigningKey {
  const told = { atMs, by: 'admin' };
  const published = evolve(newKey(name, atMs), { kind: 'SigningKeyPublished', ...told });
  return evolve(published, { kind: 'SigningKeyActivated', ...told });
}

/** Takes what is due, as often as something is, and lets an activated key replace the one before. */
function sweep(keys: readonly SigningKey[], nowMs: number, rotateAfterMs: number): readonly SigningKey[] {
  const due = dueRotation(keys, 'ed25519', { rotateAfterMs, nowMs });
  if (due === undefined) return keys;
  if (due.kind === 'create') return sweep([...keys, newKey(`k${keys.length}`, nowMs)], nowMs, rotateAfterMs);
  const decided = signingKeyDecider.decide({ kind: due.kind }, due.key, { nowMs, by: 'rotation' });
  const [event] = decided.ok ? decided.events : [];
  if (event === undefined) throw new Error(`${due.kind} was not due`);
  return sweep(
    keys.map((key) => (key.id === due.key.id ? evolve(key, event) : key)),
    nowMs,
    rotateAfterMs,
  );
}

describe('the rotation of signing keys', () => {
  test('makes and publishes the next one a week before, activates it when it is due, and retires the last one (MS-5)', () => {
    let keys: readonly SigningKey[] = [activeKey('k0', 0)];
    const states: Record<number, string> = {};
    for (let day = 0; day <= 95; day++) {
      const before = keys.map(({ state }) => state).join(' ');
      keys = sweep(keys, day * DAY_MS, 90 * DAY_MS);
      const after = keys.map(({ state }) => state).join(' ');
      if (after !== before) states[day] = after;
    }
    expect(states).toEqual({ 83: 'active published', 90: 'retiring active', 92: 'retired active' });
  });

  test('never leaves a tenant without a key that signs, nor uses one that was not public for a week before', () => {
    const days = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 60 });
    fc.assert(
      fc.property(days, fc.integer({ min: 1, max: 60 }), (steps, rotateDays) => {
        let keys: readonly SigningKey[] = [activeKey('k0', 0)];
        let nowMs = 0;
        for (const step of steps) {
          nowMs += step * DAY_MS;
          keys = sweep(keys, nowMs, rotateDays * DAY_MS);
          const [signing] = keysThatSign(keys, 'ed25519');
          expect(signing).toBeDefined();
          if (signing === undefined || signing.id === 'k0') continue;
          expect(isPublic(signing, nowMs)).toBe(true);
          const { publishedAtMs = 0, activatedAtMs = 0 } = signing;
          expect(activatedAtMs - publishedAtMs).toBeGreaterThanOrEqual(PUBLISH_AHEAD_MS);
        }
      }),
    );
  });

  test('ends an activation that was interrupted, and lets alone what has no active key or another algorithm', () => {
    const two = [activeKey('k0', 0), activeKey('k1', 1)];
    const when = { rotateAfterMs: 90 * DAY_MS, nowMs: 2 };
    expect(dueRotation(two, 'ed25519', when)).toEqual({ kind: 'WithdrawSigningKey', key: two[0] });
    expect(dueRotation(two, 'ecdsa-p256-sha256', when)).toBeUndefined();
    expect(dueRotation([newKey('k0', 0)], 'ed25519', { ...when, nowMs: 1000 * DAY_MS })).toBeUndefined();
  });
});
