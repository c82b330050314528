import type { TenantId } from '#core/ids';
import { dueRotation, type DueRotation } from '#core/registry/key-rotation';
import type { SigningKey } from '#core/registry/signing-key';
import { KEY_ALGORITHMS, type KeyAlgorithm } from '#core/signature/rfc9421';
import type { makeSigningKeys } from './signing-keys.ts';

export interface RotationPorts {
  /** Of one tenant, or of all. */
  signingKeys(tenant?: TenantId): Iterable<SigningKey>;
  readonly keys: Pick<ReturnType<typeof makeSigningKeys>, 'create' | 'step'>;
  now(): number;
}

/** Stands in the history for whoever asked. */
const ROTATION_ACTOR = 'key-rotation';

/** A successor is made, published, activated, and so on: more steps in one round would be a fault. */
const STEPS_MAX = 10;

/**
 * Takes every step that is due in the rotation of the keys of all tenants. Several processes may do it at once, and people
 * beside them: what is not due any more in the moment of writing is not done.
 *
 * @param rotateAfterMs how long a key signs
 */
export function makeRotateSigningKeys({ signingKeys, keys, now }: RotationPorts, rotateAfterMs: number) {
  return async function rotateSigningKeys(): Promise<void> {
    const tenants = new Set(Array.from(signingKeys(), ({ tenant }) => tenant));
    for (const tenant of tenants) {
      for (const algorithm of KEY_ALGORITHMS) await rotate(tenant, algorithm);
    }
  };

  async function rotate(tenant: TenantId, algorithm: KeyAlgorithm): Promise<void> {
    for (let steps = 0; steps < STEPS_MAX; steps++) {
      const due = dueOf(tenant, algorithm);
      if (due === undefined) return;
      const isDue = (): boolean => isSame(due, dueOf(tenant, algorithm));
      if (due.kind === 'create') await keys.create(tenant, algorithm, { by: ROTATION_ACTOR }, isDue);
      else await keys.step(tenant, due.key.id, due.kind, { by: ROTATION_ACTOR }, isDue);
    }
  }

  function dueOf(tenant: TenantId, algorithm: KeyAlgorithm): DueRotation | undefined {
    return dueRotation([...signingKeys(tenant)], algorithm, { rotateAfterMs, nowMs: now() });
  }
}

function isSame(due: DueRotation, now: DueRotation | undefined): boolean {
  if (due.kind === 'create' || now?.kind === 'create') return due.kind === now?.kind;
  return due.kind === now?.kind && due.key.id === now.key.id;
}
