import type { KeyAlgorithm } from '../signature/rfc9421.ts';
import { keysThatSign, RETIRED_KEY_SERVED_MS, type SigningKey, type SigningKeyCommand } from './signing-key.ts';

/** So long before its first use a key is published: everybody who keeps a set of keys has read it again by then (MS-5). */
export const PUBLISH_AHEAD_MS = 7 * 24 * 3_600_000;

/** So long after it was withdrawn a key is retired. */
const RETIRE_AFTER_MS = RETIRED_KEY_SERVED_MS;

/** The next step in the rotation of a tenant's keys of one algorithm. */
export type DueRotation =
  | { readonly kind: 'create' }
  | {
      readonly kind: Extract<
        SigningKeyCommand['kind'],
        'PublishSigningKey' | 'ActivateSigningKey' | 'WithdrawSigningKey' | 'RetireSigningKey'
      >;
      readonly key: SigningKey;
    };

/**
 * What is due now, if anything: the successor of the active key is made and published a week before it takes over, and
 * the one before retires two days after. Without an active key nothing rotates.
 *
 * @param keys of one tenant
 * @param rotateAfterMs how long a key signs
 */
export function dueRotation(
  keys: readonly SigningKey[],
  algorithm: KeyAlgorithm,
  { rotateAfterMs, nowMs }: { readonly rotateAfterMs: number; readonly nowMs: number },
): DueRotation | undefined {
  const [active] = keysThatSign(keys, algorithm);
  if (active === undefined) return undefined;
  const inState = (state: SigningKey['state']) =>
    keys.filter((key) => key.algorithm === algorithm && key.state === state && key.id !== active.id);
  const old = inState('retiring').find(({ withdrawnAtMs = 0 }) => withdrawnAtMs + RETIRE_AFTER_MS <= nowMs);
  if (old !== undefined) return { kind: 'RetireSigningKey', key: old };
  const [second] = inState('active'); // an activation that ended half-way
  if (second !== undefined) return { kind: 'WithdrawSigningKey', key: second };
  return dueSuccessor(inState, (active.activatedAtMs ?? 0) + rotateAfterMs, nowMs);
}

function dueSuccessor(
  inState: (state: SigningKey['state']) => readonly SigningKey[],
  dueAtMs: number,
  nowMs: number,
): DueRotation | undefined {
  if (nowMs < dueAtMs - PUBLISH_AHEAD_MS) return undefined;
  const [published] = inState('published');
  if (published !== undefined) {
    const isKnown = (published.publishedAtMs ?? 0) + PUBLISH_AHEAD_MS <= nowMs;
    return isKnown && dueAtMs <= nowMs ? { kind: 'ActivateSigningKey', key: published } : undefined;
  }
  const [created] = inState('created');
  return created === undefined ? { kind: 'create' } : { kind: 'PublishSigningKey', key: created };
}
