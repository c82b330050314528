import type { SigningKeyId, TenantId } from '../ids.ts';
import type { KeyAlgorithm } from '../signature/rfc9421.ts';

/**
 * | state     | published | signs | leaves by         |
 * | --------- | --------- | ----- | ----------------- |
 * | created   | no        | no    | publish, retire   |
 * | published | yes       | no    | activate, retire  |
 * | active    | yes       | yes   | withdraw          |
 * | retiring  | yes       | no (1) | retire           |
 * | retired   | for {@link RETIRED_KEY_SERVED_MS} | no | |
 *
 * (1) Where one header has room for several signatures, those of the latest retiring keys stand beside that of the active one.
 */
export const SIGNING_KEY_STATES = ['created', 'published', 'active', 'retiring', 'retired'] as const;
export type SigningKeyState = (typeof SIGNING_KEY_STATES)[number];

/** Twice the longest time for which a delivery is attempted: nobody asks in vain for the key of what still arrives (MS-5). */
export const RETIRED_KEY_SERVED_MS = 2 * 24 * 3_600_000;

/** The public half as it is published (RFC 7517); nothing else is ever in it. */
export type PublicJwk =
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string };

/** A key pair of a tenant. */
export interface SigningKey {
  /** Thumbprint of the public key (RFC 7638): an id that nobody can use again for another key (MS-5). */
  readonly id: SigningKeyId;
  readonly tenant: TenantId;
  readonly algorithm: KeyAlgorithm;
  readonly publicJwk: PublicJwk;
  /** Private half, sealed with the master key; only the signer can open it. Forgotten when the key is retired. */
  readonly sealedPrivateKey?: string;
  readonly state: SigningKeyState;
  readonly createdAtMs: number;
  readonly publishedAtMs?: number;
  readonly activatedAtMs?: number;
  readonly withdrawnAtMs?: number;
  readonly retiredAtMs?: number;
}

interface NewKey {
  readonly id: SigningKeyId;
  readonly tenant: TenantId;
  readonly algorithm: KeyAlgorithm;
  readonly publicJwk: PublicJwk;
  readonly sealedPrivateKey: string;
}

export type SigningKeyCommand =
  | ({ readonly kind: 'CreateSigningKey' } & NewKey)
  | { readonly kind: 'PublishSigningKey' }
  | { readonly kind: 'ActivateSigningKey' }
  /** Another key is active by now, or will be. */
  | { readonly kind: 'WithdrawSigningKey' }
  | { readonly kind: 'RetireSigningKey' }
  /** Sealed anew, with another master key. */
  | { readonly kind: 'ResealSigningKey'; readonly sealedPrivateKey: string };

export type SigningKeyEvent = { readonly atMs: number; readonly by: string } & (
  | ({ readonly kind: 'SigningKeyCreated' } & NewKey)
  | { readonly kind: 'SigningKeyPublished' }
  | { readonly kind: 'SigningKeyActivated' }
  | { readonly kind: 'SigningKeyWithdrawn' }
  | { readonly kind: 'SigningKeyRetired' }
  | { readonly kind: 'SigningKeyResealed'; readonly sealedPrivateKey: string }
);

/** True while its public half is to be shown to everybody. */
export function isPublic({ state, publishedAtMs, retiredAtMs }: SigningKey, nowMs: number): boolean {
  if (publishedAtMs === undefined) return false;
  return state !== 'retired' || nowMs < (retiredAtMs ?? 0) + RETIRED_KEY_SERVED_MS;
}

/** Keys before the active one that still sign, at most: each adds a signature to every notification that has room for it. */
const EARLIER_KEYS_MAX = 3;

/**
 * The keys of one tenant that sign with an algorithm, the active one first: of several, the one that was activated last.
 * The others are those that it replaces, the latest first, for headers that hold more than one signature. Empty: none is active.
 */
export function keysThatSign(keys: Iterable<SigningKey>, algorithm: KeyAlgorithm): readonly SigningKey[] {
  const ofAlgorithm = [...keys].filter((key) => key.algorithm === algorithm);
  const [active, ...replaced] = ofAlgorithm
    .filter(({ state }) => state === 'active')
    .toSorted((a, b) => (b.activatedAtMs ?? 0) - (a.activatedAtMs ?? 0) || (a.id < b.id ? -1 : 1));
  if (active === undefined) return [];
  const retiring = ofAlgorithm
    .filter(({ state }) => state === 'retiring')
    .toSorted((a, b) => (b.withdrawnAtMs ?? 0) - (a.withdrawnAtMs ?? 0) || (a.id < b.id ? -1 : 1));
  return [active, ...[...replaced, ...retiring].slice(0, EARLIER_KEYS_MAX)];
}
