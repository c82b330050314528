import type { ExchangeError } from '../delivery/outcome.ts';
import type { AllowedRate } from './allowed-rate.ts';

/**
 * What one answer of a sink means for a handshake (WH-12, WH-13).
 *
 * - `granted`: it consents. Without a rate it said none and none was asked.
 * - `denied`: it answered for somebody else, or with a rate that is none.
 * - `pending`: it may still consent by the callback that it was offered.
 * - `unsupported`: it does not know the handshake.
 * - `unanswered`: nothing that could be judged; ask again.
 */
export type HandshakeVerdict =
  | {
      readonly kind: 'granted';
      /** Whom the sink named: the origin as it was asked for, or `*`. */
      readonly origin: string;
      readonly allowedRate?: AllowedRate;
      readonly detail?: string;
    }
  | { readonly kind: 'denied' | 'pending' | 'unsupported'; readonly detail: string }
  | { readonly kind: 'unanswered'; readonly detail: string; readonly retryAfter?: string };

/** One request of a handshake and what came back: an {@link import('../delivery/outcome.ts').Exchange} with headers. */
export type HandshakeExchange =
  | {
      readonly kind: 'response';
      readonly status: number;
      readonly headers: readonly (readonly [string, string])[];
      readonly retryAfter?: string;
      readonly body?: { readonly text: string; readonly truncated: boolean };
    }
  | { readonly kind: 'error'; readonly error: ExchangeError; readonly message: string };

/** Answers that say nothing about consent: the sink is overloaded, broken or being deployed (WH-13). */
export function unanswered(exchange: HandshakeExchange): Extract<HandshakeVerdict, { kind: 'unanswered' }> | undefined {
  if (exchange.kind === 'error') {
    return { kind: 'unanswered', detail: `The sink could not be asked: ${exchange.message}` };
  }
  const { status, retryAfter } = exchange;
  if (status !== 408 && status !== 425 && status !== 429 && (status < 500 || status === 501)) return undefined;
  return {
    kind: 'unanswered',
    detail: `The sink answered ${status}.`,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}
