import { fieldValue } from '#core/signature/http-message';
import type { HeaderNames } from '#core/signature/header-names';
import type { SignatureProfile } from '#core/signature/signature-settings';
import { parseSignatureList } from '#core/signature/standard-webhooks';
import { failure, type VerificationFailure } from '../failure.ts';
import type { SignedRequest } from '../received-notification.ts';
import { looksLikeDraft05 } from './http-signatures-draft05.ts';

export type SigningProfile = Exclude<SignatureProfile, 'none'>;

/** Strongest first: what covers the request before what covers the body, public keys before shared secrets. */
const SIGNING_PROFILES = [
  'rfc9421',
  'http-signatures-draft-05',
  'standard-webhooks-v1a',
  'standard-webhooks',
  'hmac-timestamp',
] as const satisfies SigningProfile[];

export function isAsymmetric(profile: SignatureProfile): boolean {
  return profile === 'rfc9421' || profile === 'http-signatures-draft-05' || profile === 'standard-webhooks-v1a';
}

/** What the options have keys for, restricted to `only`. */
export function acceptedProfiles(
  has: { readonly secrets: boolean; readonly publicKeys: boolean },
  only: readonly SignatureProfile[] | undefined,
): SigningProfile[] {
  return SIGNING_PROFILES.filter(
    (profile) =>
      (isAsymmetric(profile) ? has.publicKeys : has.secrets) && (only === undefined || only.includes(profile)),
  );
}

export type DecidingProfile = { readonly ok: true; readonly profile: SigningProfile } | VerificationFailure;

/**
 * The profile that decides: the strongest that the request is signed in and the receiver accepts. It alone decides: a
 * weaker signature never saves a request whose stronger one is wrong.
 */
export function decidingProfile(
  request: SignedRequest,
  accepted: readonly SigningProfile[],
  names: HeaderNames,
): DecidingProfile {
  const present = presentProfiles(request, names);
  const profile = accepted.find((one) => present.includes(one));
  if (profile !== undefined) return { ok: true, profile };
  const wanted = accepted.join(', ');
  if (present.length > 0) {
    const detail = `It is signed as ${present.join(', ')}; there are keys here for: ${wanted}. Check config.signature.profile of the subscription.`;
    return failure('profile_not_accepted', detail);
  }
  const headers = [...new Set(accepted.map((one) => headerOf(one, names)))].join(' or ');
  return fieldValue(request.headers, names.signature) === undefined
    ? failure('missing_header', `${headers}: not in the request. ${otherPrefixHint(request) ?? NOT_SIGNED}`)
    : failure('malformed_header', `${names.signature}: has no signature of version v1 or v1a.`);
}

const NOT_SIGNED = 'Does a proxy drop it, or is it signed at all?';

/** The operator of the sender may have given the tenant headers of its own. */
function otherPrefixHint({ headers }: SignedRequest): string | undefined {
  for (const [name, value] of headers) {
    const prefix = /^(.+)-signature$/.exec(name)?.[1];
    const isList = parseSignatureList(value).length > 0 || parseSignatureList(value, 'v1a').length > 0;
    if (prefix !== undefined && isList) return `There is ${name}: set headerPrefix to '${prefix}'.`;
  }
  return undefined;
}

function presentProfiles(request: SignedRequest, names: HeaderNames): SigningProfile[] {
  const { headers } = request;
  const list = fieldValue(headers, names.signature) ?? '';
  const isSigned = fieldValue(headers, 'signature-input') !== undefined;
  const isDraft05 = isSigned && looksLikeDraft05(request);
  const present: Readonly<Record<SigningProfile, boolean>> = {
    rfc9421: isSigned && !isDraft05,
    'http-signatures-draft-05': isDraft05,
    'standard-webhooks-v1a': parseSignatureList(list, 'v1a').length > 0,
    'standard-webhooks': parseSignatureList(list).length > 0,
    'hmac-timestamp': fieldValue(headers, names.hmacTimestamp.signature) !== undefined,
  };
  return SIGNING_PROFILES.filter((profile) => present[profile]);
}

function headerOf(profile: SigningProfile, names: HeaderNames): string {
  if (profile === 'hmac-timestamp') return names.hmacTimestamp.signature.toLowerCase();
  return profile === 'rfc9421' || profile === 'http-signatures-draft-05' ? 'signature-input' : names.signature;
}
