import type { Exchange, ExchangeError, NatsExchange, Outcome } from './outcome.ts';
import { parseRetryAfter } from './retry-after.ts';

/** Statuses that do not follow the rule of their hundred, each with the reason (specs section 4, D8, D9). */
const BY_STATUS: ReadonlyMap<number, Outcome> = new Map<number, Outcome>([
  [404, 'retryable'], // routes vanish for minutes while a target is redeployed
  [408, 'retryable'], // the target gave up waiting for us: a slow moment, not a verdict on the request
  [410, 'gone'], // the target is retired and asks for nothing further (D9)
  [425, 'retryable'], // the target refuses early data; a later full handshake is fine
  [429, 'throttled'], // too many requests; Retry-After says how long to be quiet
]);

/**
 * What an exchange means for its delivery.
 *
 * | exchange                         | outcome   | why                                                                |
 * | -------------------------------- | --------- | ------------------------------------------------------------------ |
 * | 2xx                              | delivered | 200–202 and 204 are what the spec lists, the rest succeeds as well |
 * | 3xx                              | permanent | targets must not redirect and senders must not follow              |
 * | 404, 408, 425, 429, 410          | see above |                                                                    |
 * | other 4xx                        | permanent | the same bytes would be refused again                              |
 * | 503 with a readable Retry-After  | throttled | the target names the time at which it can take more                |
 * | 5xx                              | retryable | the target broke; it may be well later                             |
 * | below 200, 600 and above         | retryable | no final status of HTTP: to be taken for a 5xx (RFC 9110 15)       |
 * | http:// where https is required  | permanent | the address itself is refused; no later attempt can differ         |
 * | a NATS server has taken it       | delivered | that is all that it can say                                        |
 * | NATS: credentials, permission,   | permanent | the same as 401, 403 and 413                                       |
 * | size                             |           |                                                                    |
 * | every other error                | retryable | names, addresses, certificates and networks recover                |
 */
export function classify(exchange: Exchange | NatsExchange): Outcome {
  if (exchange.kind === 'published') return 'delivered';
  if (exchange.kind === 'error') return classifyError(exchange.error);
  const { status, retryAfter } = exchange;
  if (status >= 200 && status < 300) return 'delivered';
  if (status >= 300 && status < 400) return 'permanent';
  if (status >= 400 && status < 500) return BY_STATUS.get(status) ?? 'permanent';
  if (status === 503 && retryAfter !== undefined && parseRetryAfter(retryAfter, 0) !== undefined) return 'throttled';
  return 'retryable';
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
