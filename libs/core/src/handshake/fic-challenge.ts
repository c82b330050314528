import { answeredMember } from './event-grid.ts';
import { unanswered, type HandshakeExchange, type HandshakeVerdict } from './handshake-verdict.ts';

/** Name of the header, or of the query parameter, that carries the value to repeat. */
export const FIC_CHALLENGE = 'x-fic-verification-challenge';

/** The sink with the challenge as a query parameter: for sinks that cannot see headers. */
export function ficChallengeUrl(sink: string, code: string): string {
  const joint = sink.includes('?') ? '&' : '?';
  return `${sink}${joint}${FIC_CHALLENGE}=${encodeURIComponent(code)}`;
}

/** Consent is `{"verification": "<challenge>"}` with a 2xx status, as Fatture in Cloud has it. */
export function readFicAnswer(exchange: HandshakeExchange, code: string): HandshakeVerdict {
  const nothing = unanswered(exchange);
  if (nothing !== undefined) return nothing;
  const { status, answered } = answeredMember(exchange, 'verification');
  if (answered === code) return { kind: 'granted', origin: '*' };
  if (answered !== undefined) return { kind: 'denied', detail: 'The sink repeated another challenge.' };
  return { kind: 'unsupported', detail: `The sink answered ${status} without {"verification": <the challenge>}.` };
}
