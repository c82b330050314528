/** How the names of Standard Webhooks begin (SW-1), unless the operator gives a tenant another prefix. */
export const DEFAULT_HEADER_PREFIX = 'webhook';

export const HEADER_PREFIX_MAX_LENGTH = 32;

/** Names of the headers that carry id, time and signature of a notification, lower case. All others are fixed by standards. */
export interface HeaderNames {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  /** What `hmac-timestamp` sends unless the subscription names others. */
  readonly hmacTimestamp: HmacHeaderNames;
}

export interface HmacHeaderNames {
  /** Carries `t=<Unix seconds>,v1=<hex>`, and a second `v1` while the secret is rotated. */
  readonly signature: string;
  /** Carries the delivery id. It is not signed. */
  readonly id: string;
}

export const WEBHOOK_HEADERS: HeaderNames = namesWith(DEFAULT_HEADER_PREFIX);

/** @param prefix as {@link isHeaderPrefix} has it */
export function headerNamesOf(prefix: string = DEFAULT_HEADER_PREFIX): HeaderNames {
  return prefix === DEFAULT_HEADER_PREFIX ? WEBHOOK_HEADERS : namesWith(prefix);
}

/** The `x-` of `x-webhook-signature` is not doubled: of `x-acme` it is `x-acme-signature` in every profile. */
function namesWith(prefix: string): HeaderNames {
  const extension = prefix.startsWith('x-') ? prefix : `x-${prefix}`;
  return {
    id: `${prefix}-id`,
    timestamp: `${prefix}-timestamp`,
    signature: `${prefix}-signature`,
    hmacTimestamp: { signature: `${extension}-signature`, id: `${extension}-id` },
  };
}

/** 1 to 32 of `a-z`, `0-9`, and `-` between them. */
export function isHeaderPrefix(text: string): boolean {
  return text.length <= HEADER_PREFIX_MAX_LENGTH && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text);
}

/**
 * First words of headers that have another meaning: those of HTTP and its gateways, of browsers, of CloudEvents (`ce-id`
 * is an attribute), of the handshake, of NATS, and of our own messages on it (`ph`).
 */
const OTHER_FAMILIES =
  /^(?:x-)?(?:accept|access-control|ce|content|forwarded|if|nats|ph|proxy|sec|signature|transfer|webhook-(?:allowed|request))(?:-|$)/;

/** With `-id` these name what gateways and tracing set, and may replace. */
const OTHER_IDS = /^(?:x-)?(?:amzn-trace|correlation|last-event|message|parent|request|span|trace)$/;

/** True when headers with this prefix would be, or would be taken for, some that are not about a notification's signature. */
export function hasOtherMeaning(prefix: string): boolean {
  return OTHER_FAMILIES.test(prefix) || OTHER_IDS.test(prefix);
}
