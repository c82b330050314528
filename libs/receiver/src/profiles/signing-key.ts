import { KEY_ALGORITHMS, type KeyAlgorithm } from '#core/signature/rfc9421';
import { failure, type VerificationFailure } from '../failure.ts';
import { keysNamed, type VerificationKey } from '../public-key.ts';

export interface NamedKey {
  readonly keyid?: string | undefined;
  readonly alg?: string | undefined;
}

export type FoundKeys = { readonly ok: true; readonly keys: readonly VerificationKey[] } | VerificationFailure;

/**
 * The trusted keys that a signature may be of. The algorithm is the key's; a message that says another is refused, and
 * never makes a public key into a secret (MS-7).
 */
export function findKeys(
  keys: readonly VerificationKey[],
  { keyid, alg }: NamedKey,
  accepted: readonly KeyAlgorithm[] = KEY_ALGORITHMS,
): FoundKeys {
  if (alg !== undefined && !(accepted as readonly string[]).includes(alg)) {
    return failure('unsupported_algorithm', `The signature says alg="${alg}"; supported: ${accepted.join(', ')}.`);
  }
  const named = keysNamed(keys, keyid);
  if (named.length === 0) {
    const which = keyid === undefined ? 'No key is known.' : `The key "${keyid}" is not among those that are trusted.`;
    return failure('unknown_key', `${which} Is it another tenant’s, or newer than the list of keys here?`);
  }
  const fitting = named.filter(({ algorithm }) => accepted.includes(algorithm) && (alg ?? algorithm) === algorithm);
  if (fitting.length > 0) return { ok: true, keys: fitting };
  const of = [...new Set(named.map(({ algorithm }) => algorithm))].join(', ');
  return failure(
    'algorithm_mismatch',
    `The signature is to be of ${alg ?? accepted.join(', ')}, and the key is for ${of}.`,
  );
}
