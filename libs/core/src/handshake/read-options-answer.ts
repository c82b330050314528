import { parseAllowedRate } from './allowed-rate.ts';
import type { HandshakeOffer } from './handshake-headers.ts';
import { unanswered, type HandshakeExchange, type HandshakeVerdict } from './handshake-verdict.ts';

/** There is no such method, or nothing at all, at the sink: it will not use a callback either. */
const NO_OPTIONS: readonly number[] = [404, 405, 410, 501];

/**
 * Reads the answer to an `OPTIONS` handshake. Only headers are consent: a 200 without them is none, a 405 or a 500 with
 * them is (WH-12).
 *
 * @param offer what was asked with the very request that was answered
 */
export function readOptionsAnswer(exchange: HandshakeExchange, offer: HandshakeOffer): HandshakeVerdict {
  if (exchange.kind === 'response') {
    const allowed = valuesOf(exchange.headers, 'webhook-allowed-origin');
    if (allowed.length > 0) return readConsent(allowed, valuesOf(exchange.headers, 'webhook-allowed-rate'), offer);
  }
  return unanswered(exchange) ?? withoutConsent(exchange.kind === 'response' ? exchange.status : 0, offer);
}

function readConsent(
  origins: readonly string[],
  rates: readonly string[],
  { origin, requestedRatePerMinute }: HandshakeOffer,
): HandshakeVerdict {
  const granted = grantedOrigin(origins, origin);
  if (granted === undefined) return { kind: 'denied', detail: `The sink allows ${quoted(origins)}, not ${origin}.` };
  const [rate] = rates;
  if (rate === undefined) {
    if (requestedRatePerMinute === undefined) return { kind: 'granted', origin: granted };
    // The sink has broken a MUST (4.2.2). Taking the rate that it was asked for is what the spec has for the callback.
    const detail = 'The sink named no rate; the requested one counts.';
    return { kind: 'granted', origin: granted, allowedRate: requestedRatePerMinute, detail };
  }
  const allowedRate = rates.length === 1 ? parseAllowedRate(rate) : undefined;
  if (allowedRate === undefined) {
    const detail = `The sink allows the rate ${quoted(rates)}, which is neither * nor a whole number above 0.`;
    return { kind: 'denied', detail };
  }
  return { kind: 'granted', origin: granted, allowedRate };
}

function grantedOrigin(allowed: readonly string[], asked: string): string | undefined {
  if (allowed.includes('*')) return '*';
  return allowed.some((each) => isSameOrigin(each, asked)) ? asked : undefined;
}

function withoutConsent(status: number, { callbackUrl }: HandshakeOffer): HandshakeVerdict {
  const said = `The sink answered ${status} without WebHook-Allowed-Origin`;
  if (callbackUrl === undefined || NO_OPTIONS.includes(status)) return { kind: 'unsupported', detail: `${said}.` };
  return { kind: 'pending', detail: `${said}; it may still use the callback.` };
}

/** Whole names, without regard to letter case (WH-14): a prefix that matches belongs to somebody else. */
function isSameOrigin(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/**
 * Every different value of a header. The spec has one origin; the handler of Azure Web PubSub names each that it allows
 * in a field line of its own, and a proxy may have joined them with commas, which no DNS name contains.
 */
function valuesOf(headers: readonly (readonly [string, string])[], wanted: string): readonly string[] {
  const values = headers
    .filter(([name]) => name.toLowerCase() === wanted)
    .flatMap(([, value]) => value.split(','))
    .map((value) => value.trim());
  return [...new Set(values)].filter((value) => value !== '');
}

const SHOWN_MAX_CHARS = 200;

function quoted(values: readonly string[]): string {
  return JSON.stringify(values.join(', ').slice(0, SHOWN_MAX_CHARS));
}
