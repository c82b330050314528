import type { CloudEvent, EventViolation } from '#core/event/cloud-event';
import { parseHttpRequest } from '#core/event/http-binding';
import { headerPairs } from './request-headers.ts';
import {
  verifySignature,
  type ReceivedNotification,
  type VerificationFailure,
  type VerifiedSignature,
  type VerifyOptions,
} from './verify-signature.ts';

export type VerifiedNotification =
  | (VerifiedSignature & { readonly event: CloudEvent })
  | VerificationFailure
  | {
      readonly ok: false;
      readonly code: 'not_a_cloudevent';
      readonly detail: string;
      readonly violations: readonly EventViolation[];
    };

/** Checks the signature of a notification and reads the CloudEvent that it carries (structured or binary mode). */
export function verify(notification: ReceivedNotification, options: VerifyOptions): VerifiedNotification {
  const verified = verifySignature(notification, options);
  if (!verified.ok) return verified;
  const parsed = parseHttpRequest(headerPairs(notification.headers), notification.body);
  if (!parsed.ok) return notAnEvent('The signature is good, but the request is not a CloudEvent.', parsed.violations);
  const [event] = parsed.events;
  if (event === undefined || parsed.mode === 'batch') {
    return notAnEvent('The signature is good, but the request is a batch; read it with the batch parser.', []);
  }
  return { ...verified, event };
}

function notAnEvent(detail: string, violations: readonly EventViolation[]): VerifiedNotification {
  return { ok: false, code: 'not_a_cloudevent', detail, violations };
}
