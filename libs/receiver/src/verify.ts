import { createHash } from 'node:crypto';
import { parseHttpRequest } from '#core/event/http-binding';
import type { SignatureProfile } from '#core/signature/signature-settings';
import { failure, type VerificationFailure } from './failure.ts';
import { sharedKeySource, type KeySource } from './key-source.ts';
import { isAsymmetric } from './profiles/deciding-profile.ts';
import type { SignatureCheck, VerifiedSignature } from './profiles/policy.ts';
import { namedKeyIds } from './profiles/named-key-ids.ts';
import { readPublicKey } from './public-key.ts';
import { toReceivedEvent, type ReceivedEvent } from './received-event.ts';
import type { ReceivedNotification } from './received-notification.ts';
import { headerPairs } from './request-headers.ts';
import { checkDecided, checkOptions, decide, type SignatureOptions } from './verify-signature.ts';

export type { FailureCode, VerificationFailure } from './failure.ts';
export type { KeySource } from './key-source.ts';
export type { PublicKeyInput, PublicKeyJwk } from './public-key.ts';
export type { ReceivedEvent } from './received-event.ts';
export type { ReceivedNotification } from './received-notification.ts';
export type { SignatureOptions } from './verify-signature.ts';

export interface VerifyOptions extends SignatureOptions {
  /**
   * Where the public keys are to be had, a JWK set: `https://hooks.example.com/.well-known/jwks.json?tenant=…`. Fetched when
   * needed and cached for the process. Nothing in a request ever makes another URL be fetched.
   */
  readonly jwksUrl?: string;
  /** Instead of `jwksUrl`: with limits of your own, or several URLs. */
  readonly keySource?: KeySource;
  /** Refuse an event in binary mode whose `ce-` headers the signature does not cover. Default false. */
  readonly requireSignedAttributes?: boolean;
}

/** A notification to be trusted. */
export interface VerifiedNotification extends Omit<VerifiedSignature, 'signedFields'> {
  readonly mode: 'structured' | 'binary' | 'batch';
  /** One, unless it is a batch. */
  readonly events: readonly [ReceivedEvent, ...ReceivedEvent[]];
  /**
   * The same whenever this is sent again: the id (`webhook-id`) where it is signed, else made of source and id of the events. What
   * {@link handleOnce} wants.
   */
  readonly idempotencyKey: string;
  /** False for binary mode in a profile that signs the body alone: type, source and the rest could have been changed. */
  readonly attributesAreSigned: boolean;
}

export type Verification = VerifiedNotification | VerificationFailure;

/**
 * Checks the signature of a notification, in whichever profile its headers say and the options have keys for, and reads the
 * CloudEvents that it carries.
 *
 * @throws ReceiverMisconfigured when the options can not work for any request
 */
export async function verify(notification: ReceivedNotification, options: VerifyOptions): Promise<Verification> {
  const verified = await checkSignature(notification, options);
  return verified.ok ? readEvents(notification, verified, options) : verified;
}

async function checkSignature(notification: ReceivedNotification, options: VerifyOptions): Promise<SignatureCheck> {
  const { publicKeys = [] } = options;
  const keySource = keySourceOf(options);
  const decided = decide(notification, { ...options, fetchesKeys: keySource !== undefined });
  if (!decided.ok) return decided;
  if (keySource === undefined || !isAsymmetric(decided.profile)) return checkDecided(decided, options, publicKeys);
  const keyIds = namedKeyIds(decided.request);
  const check = async (lookAgain: boolean): Promise<SignatureCheck> => {
    const found = await keySource.find(keyIds, lookAgain);
    const checked = checkDecided(decided, options, [...publicKeys, ...(found.ok ? found.keys : [])]);
    const missing = found.ok ? found.missing : found.detail;
    return missing !== undefined && mayWantAKey(checked) ? failure('keys_unavailable', missing) : checked;
  };
  const checked = await check(false);
  return keyIds.length === 0 && mayWantAKey(checked) ? check(true) : checked;
}

/** Whether another key could have made it good. */
function mayWantAKey(checked: SignatureCheck): boolean {
  return !checked.ok && /^(signature_mismatch|algorithm_mismatch|unknown_key|keys_unavailable)$/.test(checked.code);
}

function keySourceOf({ keySource, jwksUrl }: VerifyOptions): KeySource | undefined {
  return keySource ?? (jwksUrl === undefined ? undefined : sharedKeySource(jwksUrl));
}

/**
 * For the start of a program: what would go wrong with every request.
 *
 * @throws ReceiverMisconfigured
 */
export function checkVerifyOptions(options: VerifyOptions): void {
  checkOptions({ ...options, fetchesKeys: keySourceOf(options) !== undefined });
  for (const key of options.publicKeys ?? []) readPublicKey(key);
}

function readEvents(
  { headers, body }: ReceivedNotification,
  { signedFields, ...verified }: VerifiedSignature,
  { requireSignedAttributes = false }: VerifyOptions,
): Verification {
  const pairs = headerPairs(headers);
  const parsed = parseHttpRequest(pairs, body);
  if (!parsed.ok) {
    const detail = 'The signature is good, but the request is not a CloudEvent.';
    return { ...failure('not_a_cloudevent', detail), violations: parsed.violations };
  }
  const [first, ...more] = parsed.events.map(toReceivedEvent);
  if (first === undefined) return failure('not_a_cloudevent', 'The signature is good, but the batch is empty.');
  const attributesAreSigned = parsed.mode !== 'binary' || coversAttributes(pairs, signedFields);
  if (requireSignedAttributes && !attributesAreSigned)
    return failure('attributes_not_signed', notSigned(verified.profile));
  const events = [first, ...more] as const;
  const idempotencyKey = verified.messageId ?? keyOfEvents(events);
  return { ...verified, mode: parsed.mode, events, idempotencyKey, attributesAreSigned };
}

function coversAttributes(headers: readonly (readonly [string, string])[], signedFields: readonly string[]): boolean {
  return headers.every(([name]) => !/^(ce-.*|content-type)$/.test(name) || signedFields.includes(name));
}

function notSigned(profile: SignatureProfile): string {
  return (
    `The event came in binary mode, and a signature of the profile ${profile} does not cover its headers. Set ` +
    'config.contentMode of the subscription to "structured", or config.signature.profile to "rfc9421".'
  );
}

/** Source and id together are unique for each event (CE-4); a hash, because both may be of any length. */
function keyOfEvents(events: readonly ReceivedEvent[]): string {
  const names = JSON.stringify(events.map(({ source, id }) => [source, id]));
  return `ce_${createHash('sha256').update(names).digest('base64url')}`;
}
