import { createHmac, timingSafeEqual } from 'node:crypto';
import { parseSecret, SECRET_PREFIX } from '#core/signature/signing-secret';
import {
  parseSignatureList,
  parseTimestamp,
  signedPrefix,
  WEBHOOK_ID,
  WEBHOOK_SIGNATURE,
  WEBHOOK_TIMESTAMP,
} from '#core/signature/standard-webhooks';
import { headerPairs, type RequestHeaders } from './request-headers.ts';

/** A notification as it came in. The body must be the raw bytes: a parsed and re-serialised body never verifies. */
export interface ReceivedNotification {
  readonly headers: RequestHeaders;
  readonly body: Uint8Array;
}

export interface VerifyOptions {
  /** Every secret that may have signed, `whsec_…`: two while one is being rotated (SW-4). */
  readonly secrets: readonly string[];
  /** How far sender's and receiver's clocks may be apart, inclusive. Seconds, default 300 (SW-5). */
  readonly toleranceSeconds?: number;
  /** Unix seconds, default: now. */
  readonly nowSeconds?: number;
}

/** Why a notification is not to be trusted, and what to check. Codes are stable. */
export interface VerificationFailure {
  readonly ok: false;
  readonly code:
    | 'missing_header'
    | 'malformed_header'
    | 'timestamp_too_old'
    | 'timestamp_too_new'
    | 'malformed_secret'
    | 'signature_mismatch';
  readonly detail: string;
}

export interface VerifiedSignature {
  readonly ok: true;
  /** The same for every attempt of one delivery: deduplicate on it (SW-5). */
  readonly messageId: string;
  readonly timestampSeconds: number;
}

const DEFAULT_TOLERANCE_SECONDS = 300;

/** Checks the Standard Webhooks signature alone, whatever the body is (SW-1 … SW-5, SW-10). */
export function verifySignature(
  { headers, body }: ReceivedNotification,
  { secrets, toleranceSeconds = DEFAULT_TOLERANCE_SECONDS, nowSeconds = Date.now() / 1000 }: VerifyOptions,
): VerifiedSignature | VerificationFailure {
  const fields = readFields(headers);
  if (!fields.ok) return fields;
  const { messageId, timestampSeconds, signatures } = fields;
  const skew = checkSkew(timestampSeconds, Math.floor(nowSeconds), toleranceSeconds);
  if (skew !== undefined) return skew;
  if (secrets.length === 0) return failure('malformed_secret', 'No secret was given to verify with.');
  for (const secret of secrets) {
    const parsed = parseSecret(secret.startsWith(SECRET_PREFIX) ? secret : SECRET_PREFIX + secret);
    if (!parsed.ok) return failure('malformed_secret', `A secret that was given can not be one. ${parsed.detail}`);
    const prefix = signedPrefix({ messageId, timestampSeconds });
    const expected = createHmac('sha256', parsed.key).update(prefix).update(body).digest('base64');
    if (signatures.some((signature) => equalInConstantTime(signature, expected))) {
      return { ok: true, messageId, timestampSeconds };
    }
  }
  return failure(
    'signature_mismatch',
    'No signature fits: either the secret is another subscription’s, or the body is not byte for byte what was sent ' +
      '(verify the raw body, before any JSON parser or character conversion).',
  );
}

type SignatureFields =
  | {
      readonly ok: true;
      readonly messageId: string;
      readonly timestampSeconds: number;
      readonly signatures: readonly string[];
    }
  | VerificationFailure;

function readFields(headers: RequestHeaders): SignatureFields {
  const byName = new Map(headerPairs(headers));
  const missing = [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE].filter((name) => !byName.get(name));
  if (missing.length > 0) {
    return failure('missing_header', `${missing.join(', ')}: not in the request. Does a proxy drop it?`);
  }
  const messageId = byName.get(WEBHOOK_ID) ?? '';
  const timestampSeconds = parseTimestamp(byName.get(WEBHOOK_TIMESTAMP) ?? '');
  const signatures = parseSignatureList(byName.get(WEBHOOK_SIGNATURE) ?? '');
  if (!/^[\x21-\x2d\x2f-\x7e]+$/.test(messageId)) {
    return failure('malformed_header', `${WEBHOOK_ID}: must be visible ASCII without dots.`);
  }
  if (timestampSeconds === undefined) {
    return failure('malformed_header', `${WEBHOOK_TIMESTAMP}: must be Unix seconds, an integer.`);
  }
  if (signatures.length === 0) {
    return failure('malformed_header', `${WEBHOOK_SIGNATURE}: has no signature of version v1.`);
  }
  return { ok: true, messageId, timestampSeconds, signatures };
}

function checkSkew(sentAt: number, now: number, tolerance: number): VerificationFailure | undefined {
  const ageSeconds = now - sentAt;
  const hint = `beyond the tolerance of ${tolerance} s. Is it a replay, or is the clock of this machine wrong?`;
  if (ageSeconds > tolerance) return failure('timestamp_too_old', `It was signed ${ageSeconds} s ago, ${hint}`);
  if (-ageSeconds > tolerance) {
    return failure('timestamp_too_new', `It was signed ${-ageSeconds} s in the future, ${hint}`);
  }
  return undefined;
}

function failure(code: VerificationFailure['code'], detail: string): VerificationFailure {
  return { ok: false, code, detail };
}

function equalInConstantTime(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
