import { parseAllowedRate } from './allowed-rate.ts';

/** Who may send to us, and how much: the target's side of a handshake. */
export interface TargetPolicy {
  /** DNS names, `*` for all. */
  readonly origins: readonly string[];
  /** Requests per minute. Absent: no limit. */
  readonly ratePerMinute?: number;
}

/** What a sender asks for with `OPTIONS`; texts as they came. */
export interface HandshakeRequest {
  readonly origin?: string | undefined;
  readonly rate?: string | undefined;
}

/**
 * Headers that consent, as a target gives them in the response to `OPTIONS` (http-webhook 4.2, WH-18): none of them for a
 * sender that names no origin, or one that is not on the list. The rate is what was asked for, or less.
 */
export function answerHandshake(
  { origin, rate }: HandshakeRequest,
  { origins, ratePerMinute }: TargetPolicy,
): readonly (readonly [string, string])[] {
  if (origin === undefined || !isOriginName(origin)) return [];
  const name = origin.toLowerCase();
  if (!origins.some((each) => each === '*' || each.toLowerCase() === name)) return [];
  return [
    ['webhook-allowed-origin', origin],
    ['webhook-allowed-rate', String(allowedRate(rate, ratePerMinute))],
  ];
}

function allowedRate(asked: string | undefined, limit: number | undefined): number | '*' {
  if (limit === undefined) return '*';
  const wanted = asked === undefined ? undefined : parseAllowedRate(asked);
  return typeof wanted === 'number' ? Math.min(wanted, limit) : limit;
}

/** It is repeated in a header of ours, so it must be a name (with a port, as Azure Web PubSub sends) and nothing else. */
function isOriginName(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,253}(?::\d{1,5})?$/.test(text);
}
