import { failure, type VerificationFailure } from './failure.ts';

export interface AcceptedSkew {
  /** Unix seconds. */
  readonly nowSeconds: number;
  /** How far the clocks may be apart, inclusive. */
  readonly toleranceSeconds: number;
}

/** Refuses what was signed too long ago, or will be (SW-5). */
export function checkSkew(
  signedAtSeconds: number,
  { nowSeconds, toleranceSeconds }: AcceptedSkew,
): VerificationFailure | undefined {
  const skewSeconds = Math.floor(nowSeconds) - signedAtSeconds;
  if (Math.abs(skewSeconds) <= toleranceSeconds) return undefined;
  const hint = `beyond the tolerance of ${toleranceSeconds} s. Is it a replay, or is the clock of this machine wrong?`;
  return skewSeconds > 0
    ? { ...failure('timestamp_too_old', `It was signed ${skewSeconds} s ago, ${hint}`), skewSeconds }
    : { ...failure('timestamp_too_new', `It was signed ${-skewSeconds} s in the future, ${hint}`), skewSeconds };
}
