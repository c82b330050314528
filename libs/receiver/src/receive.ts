import { statusOf, type VerificationFailure } from './failure.ts';
import { handleOnce, type HandledOnce, type IdempotencyStore } from './handle-once.ts';
import type { ReceivedNotification } from './received-notification.ts';
import { verify, type VerifiedNotification, type VerifyOptions } from './verify.ts';

export interface ReceiverOptions {
  readonly verify: VerifyOptions;
  /** Remembers what was handled. */
  readonly store: IdempotencyStore;
  /** What makes a notification durable; see {@link handleOnce}. When it rejects, the sender comes again. */
  handle(notification: VerifiedNotification): Promise<void>;
  /** Longer than `handle` ever takes. Default 60 s. */
  readonly leaseMs?: number;
  /** Told of everything that was not handled, for the log. */
  onRefused?(refused: VerificationFailure | BodyTooLarge | Exclude<HandledOnce, { status: 204 }>): void;
  /**
   * Scheme, host and port of the subscription's `sink`, when they are not those that this server sees (behind a proxy).
   * Without it the `Host` of the request is believed.
   */
  readonly publicUrl?: string;
  /**
   * Larger bodies are answered with 413, and not sent again. Default 2 MiB: the largest event that Posthaste takes, if its operator sets
   * no other limit (1 MiB), in base64.
   */
  readonly maxBodyBytes?: number;
}

/** It was not read, so nothing is known of it. */
export interface BodyTooLarge {
  readonly ok: false;
  readonly code: 'body_too_large';
  readonly detail: string;
}

/** What to answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const DEFAULT_MAX_BODY_BYTES = 2 * 1024 * 1024;

export const TOO_LARGE: BodyTooLarge = {
  ok: false,
  code: 'body_too_large',
  detail: 'The body is larger than is taken here.',
};

/** Verifies, handles once, and says what to answer. What all adapters do. */
export async function receive(notification: ReceivedNotification, options: ReceiverOptions): Promise<Answer> {
  const { store, handle, leaseMs, onRefused } = options;
  const verified = await verify(notification, options.verify);
  if (!verified.ok) {
    onRefused?.(verified);
    return refusal(statusOf(verified), verified);
  }
  const lease = leaseMs === undefined ? {} : { leaseMs };
  const handled = await handleOnce({ store, id: verified.idempotencyKey, ...lease }, () => handle(verified));
  if (handled.status === 204) return { status: 204, headers: {}, body: '' };
  onRefused?.(handled);
  const headers: Record<string, string> =
    handled.outcome === 'in_progress' ? { 'retry-after': String(handled.retryAfterSeconds) } : {};
  return { status: handled.status, headers, body: '' };
}

/** The answer to a body that was not read. */
export function refuseTooLarge({ onRefused }: Pick<ReceiverOptions, 'onRefused'>): Answer {
  onRefused?.(TOO_LARGE);
  return refusal(413, TOO_LARGE);
}

/** A refusal as a problem document (RFC 9457): who configured the sender reads it among the attempts. */
function refusal(status: number, { code, detail }: { readonly code: string; readonly detail: string }): Answer {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({ type: 'about:blank', status, code, detail }),
  };
}
