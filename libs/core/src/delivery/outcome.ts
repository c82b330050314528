/**
 * What one HTTP exchange said (an attempt), before anybody decides what follows from it.
 *
 * `response` is any final status that arrived; `error` is everything that ended the exchange without one.
 */
export type Exchange =
  | { readonly kind: 'response'; readonly status: number; readonly retryAfter?: string; readonly body?: ResponseBody }
  | { readonly kind: 'error'; readonly error: ExchangeError; readonly message: string };

/** What a NATS server made of a message: it has taken it, or the exchange ended otherwise. */
export type NatsExchange = { readonly kind: 'published' } | Extract<Exchange, { kind: 'error' }>;

/** The first bytes of a response, as text for the record. Never parsed (WH-6). */
export interface ResponseBody {
  readonly text: string;
  readonly truncated: boolean;
}

/** Why an exchange ended without a status. Stable codes: they are stored and shown. */
export type ExchangeError =
  | 'dns'
  | 'address_refused'
  | 'scheme_refused'
  | 'connect_refused'
  | 'connect_timeout'
  | 'connect_failed'
  | 'tls'
  | 'timeout'
  | 'reset'
  | 'protocol'
  | 'proxy' // the forward proxy: not reached, wants a password, opens no tunnel
  | 'local_resources' // this machine has no sockets, ports or memory left
  | 'unauthorized' // NATS: the server wants credentials, or not these
  | 'permission_denied' // NATS: this subject is not for us
  | 'message_too_large'; // NATS: more than the server's max_payload

const OUR_FAULTS: readonly ExchangeError[] = ['proxy', 'local_resources'];

/**
 * True when the exchange never got as far as the sink because of something on our side: it says nothing about the sink,
 * so it must not open a circuit or count in the sink's statistics. It is retryable like every other error of a network.
 */
export function isOurFault(error: ExchangeError): boolean {
  return OUR_FAULTS.includes(error);
}

/** The classified result of an attempt (specs: http-webhook 2.2; decisions D7, D8, D9). */
export type Outcome =
  | 'delivered' // any 2xx; taken by the NATS server
  | 'retryable' // 404, 408, 425, 5xx, network: try again on the schedule
  | 'throttled' // 429 (and 503 with Retry-After): try again, never earlier than asked
  | 'gone' // 410: permanent, and nothing more should be sent to this sink
  | 'permanent'; // 3xx and the other 4xx: sending the same again cannot help

/** Why a delivery ended without success. Stable codes: stored, shown, filtered on. */
export const DEAD_REASONS = [
  'rejected_by_sink', // permanent outcome
  'gone', // 410
  'deadline_passed', // the 24 h (or config.retry.deadlineSeconds) are over
  'attempts_exhausted', // config.retry.delaysSeconds has no more entries, or maxAttempts were made
  'event_expired', // the event's own expirytime has come
  'subscription_deleted',
  'subscription_disabled', // disabled, retired, or expired without the consent of the sink
  'event_expired_from_store', // the referenced event is no longer in EVENTS
  'unsignable', // the body is too large for the signer, or has no place in signed content
  'poisoned', // the bus message could not be read
] as const;
export type DeadReason = (typeof DEAD_REASONS)[number];

/** What follows from an attempt. */
export type NextStep =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'retry'; readonly atMs: number }
  | { readonly kind: 'dead'; readonly reason: DeadReason };
