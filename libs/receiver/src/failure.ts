import type { EventViolation } from '#core/event/cloud-event';

/**
 * Why a notification is not to be trusted, or not to be had. Codes are stable.
 *
 * | code                                          | look at                                                             |
 * | --------------------------------------------- | ------------------------------------------------------------------- |
 * | `raw_body_required`                           | a body parser ran before: hand over the bytes                       |
 * | `url_required`                                | the signature covers the URL: give it                               |
 * | `missing_header`, `malformed_header`          | a proxy drops or changes headers, or nothing signed the request     |
 * | `profile_not_accepted`                        | it is signed in another way than the options have keys for          |
 * | `timestamp_too_old`, `timestamp_too_new`      | a replay, or a clock; `skewSeconds` says by how much                |
 * | `signature_expired`                           | a replay, or a clock                                                |
 * | `unknown_key`                                 | the key is not among those that are trusted                         |
 * | `keys_unavailable`                            | the keys could not be fetched: to be tried again                    |
 * | `unsupported_algorithm`, `algorithm_mismatch` | what the message says of its algorithm is not what the key is for   |
 * | `tag_mismatch`, `component_not_signed`        | the settings of the subscription and of the receiver differ         |
 * | `digest_mismatch`, `body_altered`             | the body is not the one that was sent                               |
 * | `signature_mismatch`                          | the secret or key, or what was signed                               |
 * | `attributes_not_signed`, `not_a_cloudevent`   | the signature is good, what it is around is not what was asked for  |
 */
export type FailureCode =
  | 'raw_body_required'
  | 'url_required'
  | 'missing_header'
  | 'malformed_header'
  | 'profile_not_accepted'
  | 'timestamp_too_old'
  | 'timestamp_too_new'
  | 'signature_expired'
  | 'unknown_key'
  | 'keys_unavailable'
  | 'unsupported_algorithm'
  | 'algorithm_mismatch'
  | 'tag_mismatch'
  | 'component_not_signed'
  | 'digest_mismatch'
  | 'body_altered'
  | 'signature_mismatch'
  | 'attributes_not_signed'
  | 'not_a_cloudevent';

export interface VerificationFailure {
  readonly ok: false;
  readonly code: FailureCode;
  /** What is wrong and what to check, in words. It never repeats a secret. */
  readonly detail: string;
  /** Of `timestamp_too_old` and `timestamp_too_new`: how long ago it was signed, negative for the future. */
  readonly skewSeconds?: number;
  /** Of `not_a_cloudevent`: the rules that are broken. */
  readonly violations?: readonly EventViolation[];
}

export function failure(code: FailureCode, detail: string): VerificationFailure {
  return { ok: false, code, detail };
}

/**
 * The status to answer with. What is wrong with the receiver itself (500) or passes (503) is tried again by the sender;
 * for the rest the sender could only send the same again.
 */
export function statusOf({ code }: VerificationFailure): 400 | 401 | 500 | 503 {
  if (code === 'raw_body_required' || code === 'url_required') return 500;
  if (code === 'keys_unavailable') return 503;
  return code === 'not_a_cloudevent' ? 400 : 401;
}
