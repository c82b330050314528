import type { HeaderNames, HmacHeaderNames } from '#core/signature/header-names';
import { DEFAULT_COMPONENTS, DEFAULT_TAG, namedComponents } from '#core/signature/rfc9421';
import type { SignatureProfile } from '#core/signature/signature-settings';
import type { VerificationFailure } from './failure.ts';
import { headerNamesWith } from './header-prefix.ts';
import { acceptedProfiles, decidingProfile, type SigningProfile } from './profiles/deciding-profile.ts';
import { verifyHmacTimestamp } from './profiles/hmac-timestamp.ts';
import { verifyDraft05 } from './profiles/http-signatures-draft05.ts';
import type { Policy, SignatureCheck } from './profiles/policy.ts';
import { verifyRfc9421 } from './profiles/rfc9421.ts';
import { keyOf, verifyStandardWebhooks, verifyStandardWebhooksV1a } from './profiles/standard-webhooks.ts';
import { readPublicKey, type PublicKeyInput } from './public-key.ts';
import { readRequest, type ReceivedNotification, type SignedRequest } from './received-notification.ts';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';

/** Whom to trust, and how far. At least one of `secrets` and `publicKeys` is needed, or `acceptUnsigned`. */
export interface SignatureOptions {
  /** Every secret that may have signed, `whsec_…`: two while one is being rotated (SW-4). */
  readonly secrets?: readonly string[];
  /** Every public key that may have signed. A request that is only signed with a secret is then refused. */
  readonly publicKeys?: readonly PublicKeyInput[];
  /** Accept these profiles only. Default: all that there are keys for. */
  readonly profiles?: readonly SignatureProfile[];
  /** How far sender's and receiver's clocks may be apart, inclusive. Seconds, default 300 (SW-5). */
  readonly toleranceSeconds?: number;
  /** Unix seconds, default: now. */
  readonly nowSeconds?: number;
  /**
   * How the headers of `standard-webhooks`, `standard-webhooks-v1a` and `hmac-timestamp`, and that with the id, begin, when the
   * sender has given this tenant a prefix of its own: `acme` for `acme-signature`. Default `webhook`.
   */
  readonly headerPrefix?: string;
  /** Of `hmac-timestamp`, as in `config.signature.headerNames`. Default: what `headerPrefix` makes. */
  readonly hmacHeaderNames?: HmacHeaderNames;
  /** Of `rfc9421`, as in `config.signature.tag`; `false`: any or none. Default `cloudevents-webhook`. */
  readonly tag?: string | false;
  /**
   * What a signature of `rfc9421` has to cover. Default: what Posthaste covers by default. The digest of a body is required
   * whatever this says. `webhook-id` stands for the header with the id, also with another `headerPrefix`.
   */
  readonly requiredComponents?: readonly string[];
  /** For subscriptions with the profile `none`: trust everything. Not together with keys. */
  readonly acceptUnsigned?: boolean;
}

const DEFAULT_TOLERANCE_SECONDS = 300;

/**
 * Checks the signature alone, whatever the body is (SW-1 … SW-5, SW-10, MS-1 … MS-8). {@link verify} reads the event too,
 * and can fetch keys.
 *
 * @throws ReceiverMisconfigured
 */
export function verifySignature(notification: ReceivedNotification, options: SignatureOptions): SignatureCheck {
  const decided = decide(notification, options);
  return decided.ok ? checkDecided(decided, options, options.publicKeys ?? []) : decided;
}

/** The check of the one profile that decides, with these public keys. */
export function checkDecided(
  { profile, request }: DecidedRequest,
  options: SignatureOptions,
  publicKeys: readonly PublicKeyInput[],
): SignatureCheck {
  if (profile === 'none') return { ok: true, profile, signedFields: [] };
  return CHECKS[profile](request, policyOf(options, publicKeys));
}

const CHECKS: Readonly<Record<SigningProfile, (request: SignedRequest, policy: Policy) => SignatureCheck>> = {
  rfc9421: verifyRfc9421,
  'http-signatures-draft-05': verifyDraft05,
  'standard-webhooks-v1a': verifyStandardWebhooksV1a,
  'standard-webhooks': verifyStandardWebhooks,
  'hmac-timestamp': verifyHmacTimestamp,
};

export interface DecidedRequest {
  readonly ok: true;
  readonly profile: SignatureProfile;
  readonly request: SignedRequest;
}

/** The request in one shape, and the profile that decides. */
export function decide(
  notification: ReceivedNotification,
  options: DecisionOptions,
): DecidedRequest | VerificationFailure {
  const accepted = checkOptions(options);
  const read = readRequest(notification);
  if (!read.ok) return read;
  if (options.acceptUnsigned === true) return { ...read, profile: 'none' };
  const decided = decidingProfile(read.request, accepted, namesOf(options));
  return decided.ok ? { ...decided, request: read.request } : decided;
}

interface DecisionOptions extends SignatureOptions {
  /** True when there will be more public keys. */
  readonly fetchesKeys?: boolean;
}

/**
 * @returns the profiles that are accepted
 * @throws ReceiverMisconfigured when the options can work for no request
 */
export function checkOptions(options: DecisionOptions): readonly SigningProfile[] {
  const { secrets = [], publicKeys = [], fetchesKeys = false, acceptUnsigned = false, profiles } = options;
  checkList('secrets', secrets);
  checkList('publicKeys', publicKeys);
  const has = { secrets: secrets.length > 0, publicKeys: publicKeys.length > 0 || fetchesKeys };
  const accepted = acceptedProfiles(has, profiles);
  namesOf(options); // refuses what can be no prefix
  checkConfiguration({ hasKeys: has.secrets || has.publicKeys, acceptUnsigned, acceptsAny: accepted.length > 0 });
  for (const secret of secrets) keyOf(secret);
  return accepted;
}

/** What callers without types get wrong: most often a variable of the environment is not set. */
function checkList(name: 'secrets' | 'publicKeys', given: unknown): void {
  if (!Array.isArray(given)) throw new ReceiverMisconfigured(`${name} must be a list.`);
  const absent = given.findIndex((one) => one === undefined || one === null);
  if (absent < 0) return;
  throw new ReceiverMisconfigured(
    `${name}[${absent}] is ${String(given[absent])}. Is the variable of the environment set?`,
  );
}

function checkConfiguration(given: {
  readonly hasKeys: boolean;
  readonly acceptUnsigned: boolean;
  readonly acceptsAny: boolean;
}): void {
  if (given.acceptUnsigned && given.hasKeys) {
    throw new ReceiverMisconfigured(
      'acceptUnsigned together with keys would accept what nobody signed: give one of them.',
    );
  }
  if (given.acceptUnsigned) return;
  if (!given.hasKeys)
    throw new ReceiverMisconfigured('Nothing to verify with was given: secrets, publicKeys or jwksUrl.');
  if (!given.acceptsAny) throw new ReceiverMisconfigured('`profiles` has none that the keys here are for.');
}

/** @throws ReceiverMisconfigured */
function namesOf({ headerPrefix, hmacHeaderNames }: SignatureOptions): HeaderNames {
  const names = headerNamesWith(headerPrefix);
  return hmacHeaderNames === undefined ? names : { ...names, hmacTimestamp: hmacHeaderNames };
}

function policyOf(options: SignatureOptions, publicKeys: readonly PublicKeyInput[]): Policy {
  const headerNames = namesOf(options);
  return {
    secrets: options.secrets ?? [],
    keys: publicKeys.map(readPublicKey),
    toleranceSeconds: options.toleranceSeconds ?? DEFAULT_TOLERANCE_SECONDS,
    nowSeconds: options.nowSeconds ?? Date.now() / 1000,
    headerNames,
    tag: options.tag ?? DEFAULT_TAG,
    requiredComponents: namedComponents(options.requiredComponents ?? DEFAULT_COMPONENTS, headerNames.id),
  };
}
