import { createHmac } from 'node:crypto';
import { decodeBase64 } from '#core/event/base64';
import { parseSecret, SECRET_PREFIX } from '#core/signature/signing-secret';
import {
  parseSignatureList,
  parseTimestamp,
  signedPrefix,
  type SignatureVersion,
} from '#core/signature/standard-webhooks';
import { UnsignableMessage } from '#core/signature/unsignable-message';
import { explainBody } from '../altered-body.ts';
import { equalInConstantTime } from '../constant-time.ts';
import { failure, type VerificationFailure } from '../failure.ts';
import { isSignedBy } from '../public-key.ts';
import { onlyValue, type SignedRequest } from '../received-notification.ts';
import { ReceiverMisconfigured } from '../receiver-misconfigured.ts';
import { checkSkew } from '../skew.ts';
import type { Policy, SignatureCheck } from './policy.ts';

/** `v1`: HMAC-SHA256 with a secret (SW-1 … SW-5, SW-10). */
export function verifyStandardWebhooks(request: SignedRequest, policy: Policy): SignatureCheck {
  const given = readFields(request, policy, 'v1');
  if (!given.ok) return given;
  const texts = given.signatures.map((signature) => Buffer.from(signature));
  const fits = (body: Uint8Array): boolean =>
    policy.secrets.some((secret) => {
      const expected = createHmac('sha256', keyOf(secret)).update(given.prefix).update(body).digest('base64');
      return texts.some((text) => equalInConstantTime(text, Buffer.from(expected)));
    });
  return conclude(request, policy, { ...given, profile: 'standard-webhooks' }, fits);
}

/** `v1a`: ed25519 (SW-3). */
export function verifyStandardWebhooksV1a(request: SignedRequest, policy: Policy): SignatureCheck {
  const given = readFields(request, policy, 'v1a');
  if (!given.ok) return given;
  const signatures = given.signatures.flatMap((text) => decodeBase64(text) ?? []);
  const keys = policy.keys.filter(({ algorithm }) => algorithm === 'ed25519');
  if (keys.length === 0) return failure('unknown_key', 'v1a needs a public key of ed25519, and none is known.');
  const fits = (body: Uint8Array): boolean =>
    keys.some((key) => signatures.some((signature) => isSignedBy(key, [given.prefix, body], signature)));
  return conclude(request, policy, { ...given, profile: 'standard-webhooks-v1a' }, fits);
}

/** @throws ReceiverMisconfigured */
export function keyOf(secret: string): Uint8Array {
  const parsed = parseSecret(secret.startsWith(SECRET_PREFIX) ? secret : SECRET_PREFIX + secret);
  if (!parsed.ok) throw new ReceiverMisconfigured(`A secret that was given can not be one. ${parsed.detail}`);
  return parsed.key;
}

interface SignatureFields {
  readonly ok: true;
  readonly messageId: string;
  readonly timestampSeconds: number;
  /** What is signed before the body. */
  readonly prefix: string;
  readonly signatures: readonly string[];
}

/** More than a rotation ever needs; what is behind them is not looked at. */
const SIGNATURES_MAX = 8;

function readFields(
  { headers }: SignedRequest,
  { headerNames: names }: Policy,
  version: SignatureVersion,
): SignatureFields | VerificationFailure {
  const messageId = onlyValue(headers, names.id);
  const timestamp = onlyValue(headers, names.timestamp);
  const list = onlyValue(headers, names.signature);
  if (typeof messageId !== 'string') return messageId;
  if (typeof timestamp !== 'string') return timestamp;
  if (typeof list !== 'string') return list;
  const timestampSeconds = parseTimestamp(timestamp);
  if (timestampSeconds === undefined) {
    return failure('malformed_header', `${names.timestamp}: must be Unix seconds, an integer.`);
  }
  const signatures = parseSignatureList(list, version).slice(0, SIGNATURES_MAX);
  try {
    const prefix = signedPrefix({ messageId, timestampSeconds });
    return { ok: true, messageId, timestampSeconds, prefix, signatures };
  } catch (error) {
    if (error instanceof UnsignableMessage) return failure('malformed_header', `${names.id}: ${error.message}`);
    throw error;
  }
}

function conclude(
  { body }: SignedRequest,
  policy: Policy,
  {
    messageId,
    timestampSeconds,
    profile,
  }: SignatureFields & { readonly profile: 'standard-webhooks' | 'standard-webhooks-v1a' },
  fits: (body: Uint8Array) => boolean,
): SignatureCheck {
  const skew = checkSkew(timestampSeconds, policy);
  if (skew !== undefined) return skew;
  const { id, timestamp } = policy.headerNames;
  if (fits(body)) return { ok: true, profile, messageId, timestampSeconds, signedFields: [id, timestamp] };
  return explainBody(body, fits) ?? failure('signature_mismatch', MISMATCH[profile]);
}

const BODY_HINT =
  'or the body is not byte for byte what was sent (verify the raw body, before any JSON parser or character conversion).';
const MISMATCH = {
  'standard-webhooks': `No signature fits: either the secret is another subscription’s, ${BODY_HINT}`,
  'standard-webhooks-v1a': `No signature fits: either the public key is another tenant’s, ${BODY_HINT}`,
};
