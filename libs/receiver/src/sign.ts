import { createHmac } from 'node:crypto';
import { parseSecret } from '#core/signature/signing-secret';
import { signatureHeaders, signedPrefix, type Signable } from '#core/signature/standard-webhooks';

/**
 * The headers that Posthaste would send with this body: for a subscriber's own tests. Several secrets give several
 * signatures, as during a rotation (SW-4).
 *
 * @throws MalformedSecret
 */
export function sign(signable: Signable, secrets: readonly string[]): [string, string][] {
  const prefix = signedPrefix(signable);
  return signatureHeaders(
    signable,
    secrets.map((secret) => createHmac('sha256', keyOf(secret)).update(prefix).update(signable.body).digest('base64')),
  );
}

function keyOf(secret: string): Uint8Array {
  const parsed = parseSecret(secret);
  if (!parsed.ok) throw new MalformedSecret(parsed.detail);
  return parsed.key;
}

export class MalformedSecret extends Error {
  readonly code = 'receiver.malformed_secret';

  constructor(detail: string) {
    super(`The signing secret is malformed. ${detail}`);
  }
}
