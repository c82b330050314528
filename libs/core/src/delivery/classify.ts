import type { Exchange, ExchangeError, NatsExchange, Outcome } from './outcome.ts';
import { parseRetryAfter } from './retry-after.ts';
import { forStatus, type OutcomeOverride, type PerStatus } from './retry-policy.ts';

/** A row of the table by which statuses are classified. */
export interface Classification {
  readonly outcome: Outcome;
  /** In one line. */
  readonly why: string;
}

/** By status or hundred, the status first (specs section 4, D8, D9). `docs/retries.md` shows it. */
export const CLASSIFICATIONS: PerStatus<Classification> = {
  '2xx': {
    outcome: 'delivered',
    why: 'accepted; the specification lists 200, 201, 202 and 204, the rest succeeds as well',
  },
  '3xx': { outcome: 'permanent', why: 'a webhook must not redirect, and a redirect is never followed' },
  '4xx': { outcome: 'permanent', why: 'the same bytes would be refused again' },
  400: { outcome: 'permanent', why: 'the sink does not understand the request, and the next one would be the same' },
  401: {
    outcome: 'permanent',
    why: 'the credential is not accepted; one that can be refreshed is, once, and tried at once',
  },
  403: { outcome: 'permanent', why: 'the sink knows who asks and refuses' },
  404: { outcome: 'retryable', why: 'routes vanish for minutes while a service is deployed' },
  405: { outcome: 'permanent', why: 'a webhook is a POST, and the sink takes none' },
  408: { outcome: 'retryable', why: 'the sink gave up waiting for the request: a slow moment, no verdict on it' },
  409: { outcome: 'permanent', why: 'it clashes with what the sink has already, most often this very event' },
  410: { outcome: 'gone', why: 'the sink is retired and wants nothing more' },
  413: { outcome: 'permanent', why: 'the event does not get smaller' },
  415: { outcome: 'permanent', why: 'the form is not understood; the other content mode is tried once, at once' },
  422: { outcome: 'permanent', why: 'the sink understands the event and refuses it' },
  425: { outcome: 'retryable', why: 'the sink refuses early data; a later connection has none' },
  429: { outcome: 'throttled', why: 'too many requests: the whole sink gets the pause that it asks for' },
  '5xx': { outcome: 'retryable', why: 'the sink broke; it may be well later' },
};

/** No final status of HTTP: to be taken for a 5xx (RFC 9110 15). */
const UNKNOWN_STATUS: Outcome = 'retryable';

/**
 * What an exchange means for its delivery.
 *
 * | exchange                         | outcome   | why                                                           |
 * | -------------------------------- | --------- | ------------------------------------------------------------- |
 * | a status                         |           | see {@link CLASSIFICATIONS}, and the subscription's overrides |
 * | 503 with a readable Retry-After  | throttled | the sink names the time at which it can take more             |
 * | below 200, 600 and above         | retryable | no final status of HTTP                                       |
 * | http:// where https is required  | permanent | the address itself is refused; no later attempt can differ    |
 * | a NATS server has taken it       | delivered | that is all that it can say                                   |
 * | NATS: credentials, permission,   | permanent | the same as 401, 403 and 413                                  |
 * | size                             |           |                                                               |
 * | every other error                | retryable | names, addresses, certificates and networks recover           |
 *
 * @param overrides `config.retry.outcomes`
 */
export function classify(exchange: Exchange | NatsExchange, overrides: PerStatus<OutcomeOverride> = {}): Outcome {
  if (exchange.kind === 'published') return 'delivered';
  if (exchange.kind === 'error') return classifyError(exchange.error);
  const { status, retryAfter } = exchange;
  const override = overrideOf(overrides, status);
  if (override === 'fail') return 'permanent';
  if (status === 503 && retryAfter !== undefined && parseRetryAfter(retryAfter, 0) !== undefined) return 'throttled';
  return override === 'retry' ? 'retryable' : (forStatus(CLASSIFICATIONS, status)?.outcome ?? UNKNOWN_STATUS);
}

/**
 * What the subscription says of a status. 410 and 429 speak for the whole sink: 410 has to be named itself, `4xx` does not
 * mean it, and the pause of a 429 is kept whatever anybody says (WH-5).
 */
function overrideOf(overrides: PerStatus<OutcomeOverride>, status: number): OutcomeOverride | undefined {
  if (status === 429) return undefined;
  return status === 410 ? overrides['410'] : forStatus(overrides, status);
}

const PERMANENT: readonly ExchangeError[] = [
  'scheme_refused',
  'unauthorized',
  'permission_denied',
  'message_too_large',
];

/** `address_refused` is retried as well: a resolver that answers a private address for an hour must not cost deliveries. */
function classifyError(error: ExchangeError): Outcome {
  return PERMANENT.includes(error) ? 'permanent' : 'retryable';
}
