import { parseContentDigest } from '#core/signature/content-digest';
import { fieldValue, type HttpRequestHead } from '#core/signature/http-message';
import { ALL_CE_FIELDS, parseSignatures, signatureBase, type ReceivedSignature } from '#core/signature/rfc9421';
import { UnsignableMessage } from '#core/signature/unsignable-message';
import { failure, type VerificationFailure } from '../failure.ts';
import { isSignedBy } from '../public-key.ts';
import { onlyValue, type SignedRequest } from '../received-notification.ts';
import { checkSkew } from '../skew.ts';
import { checkDigests } from './content.ts';
import type { Policy, SignatureCheck } from './policy.ts';
import { findKeys } from './signing-key.ts';

const CONTENT_DIGEST = 'content-digest';

/** More than one application ever adds; a message with more is not looked through. */
const SIGNATURES_MAX = 8;

/** One of the signatures with our tag has to be good, and to cover what it must (MS-7, MS-8). */
export function verifyRfc9421(request: SignedRequest, policy: Policy): SignatureCheck {
  const parsed = parseSignatures(request.headers);
  if (!parsed.ok) return failure('malformed_header', parsed.detail);
  const ours = parsed.signatures.filter(({ params }) => policy.tag === false || params.tag === policy.tag);
  if (ours.length === 0) return failure('tag_mismatch', wrongTag(parsed.signatures, policy.tag));
  let firstFailure: VerificationFailure | undefined;
  for (const signature of ours.slice(0, SIGNATURES_MAX)) {
    const result = checkOne(request, signature, policy);
    if (result.ok) return result;
    firstFailure ??= result;
  }
  return firstFailure ?? failure('missing_header', 'signature: empty.');
}

function wrongTag(signatures: readonly ReceivedSignature[], tag: string | false): string {
  if (signatures.length === 0) return 'signature-input has no signature.';
  const found = signatures.map(({ params }) => (params.tag === undefined ? 'none' : `"${params.tag}"`)).join(', ');
  return `No signature has the tag "${String(tag)}"; found: ${found}. Does the subscription set config.signature.tag?`;
}

function checkOne(request: SignedRequest, signature: ReceivedSignature, policy: Policy): SignatureCheck {
  const { params } = signature;
  const { created: timestampSeconds } = params;
  if (timestampSeconds === undefined) return failure('malformed_header', 'signature-input: has no created.');
  const early = checkSkew(timestampSeconds, policy) ?? checkExpiry(params.expires, policy);
  if (early !== undefined) return early;
  const fields = fieldsOf(signature);
  const uncovered = missingComponents(request, fields, policy.requiredComponents);
  if (uncovered.length > 0) return failure('component_not_signed', notCovered(uncovered));
  const found = findKeys(policy.keys, params);
  if (!found.ok) return found;
  const base = makeBase(request, signature);
  if (typeof base !== 'string') return base;
  if (!found.keys.some((key) => isSignedBy(key, [base], signature.signature))) {
    return failure('signature_mismatch', mismatch(request));
  }
  return digestFailure(request) ?? verified(request, signature, fields, policy);
}

function verified(
  { headers }: SignedRequest,
  { params }: ReceivedSignature,
  fields: readonly string[],
  { headerNames: { id } }: Policy,
): SignatureCheck {
  const messageId = fields.includes(id) ? onlyValue(headers, id) : undefined;
  if (typeof messageId === 'object') return messageId;
  const { created, keyid } = params;
  return {
    ok: true,
    profile: 'rfc9421',
    ...(messageId === undefined ? {} : { messageId }),
    ...(created === undefined ? {} : { timestampSeconds: created }),
    ...(keyid === undefined ? {} : { keyId: keyid }),
    signedFields: fields.filter((name) => !name.startsWith('@')),
  };
}

export function checkExpiry(expires: number | undefined, { nowSeconds }: Policy): VerificationFailure | undefined {
  if (expires === undefined || Math.floor(nowSeconds) <= expires) return undefined;
  const late = Math.floor(nowSeconds) - expires;
  return failure(
    'signature_expired',
    `It expired ${late} s ago. Is it a replay, or is the clock of this machine wrong?`,
  );
}

/** Components that are covered as they stand; a part of one (`;key`) covers less. */
function fieldsOf({ input }: ReceivedSignature): string[] {
  return input.items.flatMap(({ bare, params }) => (bare.type === 'string' && params.size === 0 ? [bare.value] : []));
}

/** A body is only covered by its digest, so that is required whatever the receiver says. */
function missingComponents(
  { headers, body }: SignedRequest,
  covered: readonly string[],
  required: readonly string[],
): string[] {
  const names = required.flatMap((name) =>
    name === ALL_CE_FIELDS
      ? headers.map(([field]) => field.toLowerCase()).filter((field) => field.startsWith('ce-'))
      : [name],
  );
  const all = new Set(body.length > 0 ? [CONTENT_DIGEST, ...names] : names);
  return [...all].filter((name) => !covered.includes(name));
}

export function notCovered(names: readonly string[]): string {
  return (
    `The signature does not cover ${names.join(', ')}: these could have been changed. Add them to ` +
    'config.signature.components of the subscription, or set requiredComponents here if you do not rely on them.'
  );
}

function makeBase({ method, url, headers }: SignedRequest, { input }: ReceivedSignature): string | VerificationFailure {
  const derived = input.items.some(
    ({ bare }) => bare.type === 'string' && bare.value.startsWith('@') && bare.value !== '@method',
  );
  if (derived && url === undefined) return urlRequired();
  const head: HttpRequestHead = { method, url: url ?? 'https://unknown.invalid/', headers };
  try {
    return signatureBase(head, input);
  } catch (error) {
    if (error instanceof UnsignableMessage)
      return failure('missing_header', `What is signed is not here: ${error.message}`);
    throw error;
  }
}

export function urlRequired(): VerificationFailure {
  return failure(
    'url_required',
    'The signature covers the URL: give `url`, absolute, as it stands in the subscription.',
  );
}

export function mismatch({ method, url = '' }: SignedRequest): string {
  return (
    `No trusted key fits. Check that the sender’s URL is ${method} ${url} (behind a proxy set publicUrl), that no proxy ` +
    'changes the headers that are signed, and that the key is the one that the signature names.'
  );
}

function digestFailure({ headers, body }: SignedRequest): VerificationFailure | undefined {
  const value = fieldValue(headers, CONTENT_DIGEST);
  if (value === undefined) return undefined; // there is no body then, see missingComponents
  return checkDigests(CONTENT_DIGEST, parseContentDigest(value), body);
}
