import { hash } from 'node:crypto';
import type { Digests } from '#core/signature/content-digest';
import { explainBody } from '../altered-body.ts';
import { equalInConstantTime } from '../constant-time.ts';
import { failure, type VerificationFailure } from '../failure.ts';

/** Refuses a body that does not have the digests of a header whose signature is good (DG-1, DG-2). */
export function checkDigests(
  header: string,
  digests: Digests | undefined,
  body: Uint8Array,
): VerificationFailure | undefined {
  if (digests === undefined || digests.size === 0) {
    return failure('malformed_header', `${header}: has no digest of sha-256 or sha-512 that can be read.`);
  }
  const fits = (candidate: Uint8Array): boolean =>
    [...digests].every(([algorithm, digest]) =>
      equalInConstantTime(hash(algorithm.replace('-', ''), candidate, 'buffer'), digest),
    );
  if (fits(body)) return undefined;
  const why = `The body does not have the digest in ${header}: it is not byte for byte what was sent, or not whole.`;
  return explainBody(body, fits) ?? failure('digest_mismatch', why);
}
