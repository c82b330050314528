import { createHmac } from 'node:crypto';
import { parseHmacTimestamp, prepareHmacTimestamp } from '#core/signature/hmac-timestamp';
import { explainBody } from '../altered-body.ts';
import { equalInConstantTime } from '../constant-time.ts';
import { failure } from '../failure.ts';
import { onlyValue, type SignedRequest } from '../received-notification.ts';
import { checkSkew } from '../skew.ts';
import type { Policy, SignatureCheck } from './policy.ts';

/** `t=…,v1=…`: HMAC-SHA256 with the whole text of the secret. It does not cover the header with the delivery id. */
export function verifyHmacTimestamp({ headers, body }: SignedRequest, policy: Policy): SignatureCheck {
  const { secrets } = policy;
  const name = policy.headerNames.hmacTimestamp.signature;
  const value = onlyValue(headers, name);
  if (typeof value !== 'string') return value;
  const parsed = parseHmacTimestamp(value);
  if (parsed === undefined) {
    return failure('malformed_header', `${name}: must be t=<Unix seconds>,v1=<64 hex digits>.`);
  }
  const { timestampSeconds } = parsed;
  const skew = checkSkew(timestampSeconds, policy);
  if (skew !== undefined) return skew;
  const given = parsed.signatures.map((hex) => Buffer.from(hex, 'hex'));
  const fits = (candidate: Uint8Array): boolean => {
    const { pieces } = prepareHmacTimestamp({ messageId: '', timestampSeconds, body: candidate });
    return secrets.some((secret) => {
      const hmac = createHmac('sha256', secret);
      for (const piece of pieces) hmac.update(piece);
      const expected = hmac.digest();
      return given.some((one) => equalInConstantTime(one, expected));
    });
  };
  if (fits(body)) return { ok: true, profile: 'hmac-timestamp', timestampSeconds, signedFields: [] };
  const why =
    'No signature fits: either the secret is another subscription’s (its whole text is the key, whsec_ included), or the ' +
    'body is not byte for byte what was sent (verify the raw body, before any JSON parser).';
  return explainBody(body, fits) ?? failure('signature_mismatch', why);
}
