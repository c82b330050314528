import { parseDigest } from '#core/signature/content-digest';
import { fieldValue } from '#core/signature/http-message';
import { draft05Base, parseDraft05, type Draft05Signature } from '#core/signature/http-signatures-draft05';
import { UnsignableMessage } from '#core/signature/unsignable-message';
import { failure, type VerificationFailure } from '../failure.ts';
import { isSignedBy } from '../public-key.ts';
import type { SignedRequest } from '../received-notification.ts';
import { checkSkew } from '../skew.ts';
import { checkDigests } from './content.ts';
import type { Policy, SignatureCheck } from './policy.ts';
import { checkExpiry, mismatch, notCovered, urlRequired } from './rfc9421.ts';
import { findKeys } from './signing-key.ts';

const REQUIRED = ['digest', 'content-type', '@request-target'];

/** True when it is this draft, not RFC 9421: only here a body is covered by `digest`. Decides how a message is read. */
export function looksLikeDraft05({ headers }: SignedRequest): boolean {
  return parseDraft05(headers).some(({ components }) => components.includes('"digest"'));
}

/** ECDSA P-256 over head and digest; the time is `created`, or the `date` that is covered (MS-1, MS-2). */
export function verifyDraft05(request: SignedRequest, policy: Policy): SignatureCheck {
  const [signature, ...more] = parseDraft05(request.headers);
  if (signature === undefined) return failure('malformed_header', 'signature: can not be read.');
  if (more.length > 0) return failure('malformed_header', 'signature-input: has more than one signature.');
  const fields = signature.components.flatMap((id) => /^"([^"]+)"$/.exec(id)?.[1] ?? []);
  const uncovered = REQUIRED.filter((name) => !fields.includes(name));
  if (uncovered.length > 0) return failure('component_not_signed', notCovered(uncovered));
  const timestampSeconds = signedAt(request, signature, fields);
  if (typeof timestampSeconds !== 'number') return timestampSeconds;
  const early =
    checkSkew(timestampSeconds, policy) ?? checkExpiry(wholeNumber(signature.params.get('expires')), policy);
  if (early !== undefined) return early;
  const keyid = signature.params.get('keyid');
  const found = findKeys(policy.keys, { keyid, alg: signature.params.get('alg') }, ['ecdsa-p256-sha256']);
  if (!found.ok) return found;
  const base = makeBase(request, signature);
  if (typeof base !== 'string') return base;
  if (!found.keys.some((key) => isSignedBy(key, [base], signature.signature))) {
    return failure('signature_mismatch', mismatch(request));
  }
  const digests = parseDigest(fieldValue(request.headers, 'digest') ?? '');
  return (
    checkDigests('digest', digests, request.body) ?? {
      ok: true,
      profile: 'http-signatures-draft-05',
      timestampSeconds,
      ...(keyid === undefined ? {} : { keyId: keyid }),
      signedFields: fields.filter((name) => !name.startsWith('@')),
    }
  );
}

function signedAt(
  { headers }: SignedRequest,
  { params }: Draft05Signature,
  fields: readonly string[],
): number | VerificationFailure {
  const created = params.get('created');
  if (created !== undefined) {
    return wholeNumber(created) ?? failure('malformed_header', 'signature-input: created must be Unix seconds.');
  }
  if (!fields.includes('date')) return failure('component_not_signed', notCovered(['date']));
  const date = fieldValue(headers, 'date') ?? '';
  const ms = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(date) ? Date.parse(date) : NaN;
  return Number.isNaN(ms) ? failure('malformed_header', 'date: must be an HTTP date.') : ms / 1000;
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function makeBase({ method, url, headers }: SignedRequest, signature: Draft05Signature): string | VerificationFailure {
  if (url === undefined) return urlRequired();
  try {
    return draft05Base({ method, url, headers }, signature);
  } catch (error) {
    if (error instanceof UnsignableMessage)
      return failure('missing_header', `What is signed is not here: ${error.message}`);
    throw error;
  }
}
