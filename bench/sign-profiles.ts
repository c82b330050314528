import type { SignedHead, SignRequest } from '#contracts/bus/sign';
import type { SubscriptionId, TenantId } from '#core/ids';
import { DEFAULT_COMPONENTS, DEFAULT_TAG } from '#core/signature/rfc9421';
import { coversRequest, type SignatureSettings } from '#core/signature/signature-settings';
import { BENCH_TYPE, benchEvent } from './bench-event.ts';

export const SIGN_TENANT = 'bench' as TenantId;

const rfc9421 = { profile: 'rfc9421', components: DEFAULT_COMPONENTS, tag: DEFAULT_TAG } as const;

/** One subscription with each. `hmac-timestamp` is left out: the same algorithm over as many bytes as `standard-webhooks`. */
export const SIGN_PROFILES = {
  'standard-webhooks': { profile: 'standard-webhooks' },
  'standard-webhooks-v1a': { profile: 'standard-webhooks-v1a' },
  'rfc9421-ed25519': { ...rfc9421, algorithm: 'ed25519' },
  'rfc9421-p256': { ...rfc9421, algorithm: 'ecdsa-p256-sha256' },
  'http-signatures-draft-05': { profile: 'http-signatures-draft-05', verbatim: false },
} as const satisfies Record<string, SignatureSettings>;

export type SignProfile = keyof typeof SIGN_PROFILES;
export const SIGN_PROFILE_NAMES = Object.keys(SIGN_PROFILES) as SignProfile[];

export function subscriptionOf(profile: SignProfile): SubscriptionId {
  return `sub_${String(SIGN_PROFILE_NAMES.indexOf(profile)).padStart(26, '0')}` as SubscriptionId;
}

const SINK = 'https://sink.example/hooks';
const body = new TextEncoder().encode(benchEvent(BENCH_TYPE, 'sign', 0, 0));

/** Makes what a delivery asks for: a structured event of 1 KiB; the request as well, where the profile covers it. */
export function makeRequests(profile: SignProfile): (n: number) => SignRequest {
  const [subscription, hasHead] = [subscriptionOf(profile), coversRequest(SIGN_PROFILES[profile])];
  return (n) => {
    const nowMs = Date.now();
    return {
      subscription,
      tenant: SIGN_TENANT,
      messageId: `dlv_${String(n).padStart(26, '0')}`,
      timestampSeconds: Math.floor(nowMs / 1000),
      body,
      ...(hasHead ? { head: headAt(nowMs) } : {}),
    };
  };
}

function headAt(nowMs: number): SignedHead {
  return {
    method: 'POST',
    url: SINK,
    headers: [
      ['content-type', 'application/cloudevents+json; charset=UTF-8'],
      ['user-agent', 'Posthaste/0'],
      ['date', new Date(nowMs).toUTCString()],
      ['content-length', String(body.length)],
    ],
  };
}
