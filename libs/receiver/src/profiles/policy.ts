import type { HeaderNames } from '#core/signature/header-names';
import type { SignatureProfile } from '#core/signature/signature-settings';
import type { VerificationFailure } from '../failure.ts';
import type { VerificationKey } from '../public-key.ts';
import type { AcceptedSkew } from '../skew.ts';

/** What a signature has to fulfil, every default applied. */
export interface Policy extends AcceptedSkew {
  readonly secrets: readonly string[];
  readonly keys: readonly VerificationKey[];
  /** `hmacTimestamp`: what the options name, else what the prefix makes. */
  readonly headerNames: HeaderNames;
  /** Of `rfc9421`; `false`: whatever it is. */
  readonly tag: string | false;
  readonly requiredComponents: readonly string[];
}

export interface VerifiedSignature {
  readonly ok: true;
  readonly profile: SignatureProfile;
  /** The same for every attempt of one delivery: deduplicate on it (SW-5). Only there when the signature covers it. */
  readonly messageId?: string;
  /** Unix seconds. */
  readonly timestampSeconds?: number;
  /** The key that the message names, as it does. */
  readonly keyId?: string;
  /** Headers that the signature covers, lower case, beside the body. */
  readonly signedFields: readonly string[];
}

export type SignatureCheck = VerifiedSignature | VerificationFailure;
