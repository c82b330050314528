import { EVENT_GRID_HEADERS, eventGridBody, readEventGridAnswer } from '#core/handshake/event-grid';
import { FIC_CHALLENGE, ficChallengeUrl, readFicAnswer } from '#core/handshake/fic-challenge';
import { handshakeHeaders, type HandshakeOffer } from '#core/handshake/handshake-headers';
import type { HandshakeExchange, HandshakeVerdict } from '#core/handshake/handshake-verdict';
import { readOptionsAnswer } from '#core/handshake/read-options-answer';
import type { Subscription, ValidationVia } from '#core/registry/subscription';
import type { GuardedRequest } from '#outbound/guarded-client';

/** What the use case needs from outside. */
export interface AskPorts {
  /** One guarded request; never rejects. */
  exchange(request: GuardedRequest): Promise<HandshakeExchange>;
  /** Where the sink may confirm later; undefined when this installation was not told its own URL. */
  callbackUrl(subscription: string, code: string): string | undefined;
  now(): number;
}

export interface AskOptions {
  /** DNS name that the sink is asked to allow. */
  readonly origin: string;
  readonly userAgent: string;
}

/** What the sink said, and by which method. */
export interface SinkAnswered {
  readonly via: ValidationVia;
  readonly verdict: HandshakeVerdict;
}

type HeaderPair = readonly [string, string];

/** Asks a sink for its consent in the way that the subscription wants: at the exact sink, without redirects (WH-11). */
export function makeAskSink(ports: AskPorts, { origin, userAgent }: AskOptions) {
  return async function askSink(subscription: Subscription, code: string): Promise<SinkAnswered> {
    switch (subscription.spec.config.validation.method) {
      case 'webhook':
        return { via: 'options', verdict: await askByOptions(subscription, code) };
      case 'event-grid':
        return { via: 'event-grid', verdict: await askInEventGridStyle(subscription, code) };
      case 'fic':
        return { via: 'fic', verdict: await askByChallenge(subscription, code) };
    }
  };

  /**
   * With `fallback` the callback is offered only to a sink that has an OPTIONS and does not consent at once: receivers
   * made with the Go SDK answer no headers to a request that offers one, and somebody has to call back then (WH-15).
   */
  async function askByOptions(subscription: Subscription, code: string): Promise<HandshakeVerdict> {
    const { callback, requestedRate } = subscription.spec.config.validation;
    const callbackUrl = callback === 'never' ? undefined : ports.callbackUrl(subscription.id, code);
    const plain: HandshakeOffer = {
      origin,
      ...(requestedRate === undefined ? {} : { requestedRatePerMinute: requestedRate }),
    };
    if (callbackUrl === undefined) return readOptionsAnswer(await options(subscription, plain), plain);
    const offer: HandshakeOffer = { ...plain, callbackUrl };
    if (callback === 'fallback') {
      const exchange = await options(subscription, plain);
      const verdict = readOptionsAnswer(exchange, plain);
      // Read as if the callback had been offered, `pending` means that offering it may help.
      if (readOptionsAnswer(exchange, offer).kind !== 'pending') return verdict;
    }
    return readOptionsAnswer(await options(subscription, offer), offer);
  }

  function options(subscription: Subscription, offer: HandshakeOffer): Promise<HandshakeExchange> {
    return ports.exchange({
      method: 'OPTIONS',
      url: subscription.spec.sink,
      headers: [...commonHeaders(subscription), ...handshakeHeaders(offer)],
    });
  }

  async function askInEventGridStyle(subscription: Subscription, code: string): Promise<HandshakeVerdict> {
    const { callback } = subscription.spec.config.validation;
    const callbackUrl = callback === 'never' ? undefined : ports.callbackUrl(subscription.id, code);
    const challenge = {
      code,
      id: `val_${subscription.validation.codeHash?.slice(0, 32) ?? ''}`,
      topic: `/v1/subscriptions/${subscription.id}`,
      time: new Date(ports.now()).toISOString(),
      ...(callbackUrl === undefined ? {} : { callbackUrl }),
    };
    const exchange = await ports.exchange({
      method: 'POST',
      url: subscription.spec.sink,
      headers: [...commonHeaders(subscription), ...EVENT_GRID_HEADERS],
      body: new TextEncoder().encode(eventGridBody(challenge)),
    });
    return named(readEventGridAnswer(exchange, challenge));
  }

  /** By header first, by query when that gets nothing: the subscriber of Fatture in Cloud chooses, we need not ask. */
  async function askByChallenge(subscription: Subscription, code: string): Promise<HandshakeVerdict> {
    const { sink } = subscription.spec;
    const headers = [...commonHeaders(subscription), ['accept', 'application/json'] as const];
    const byHeader = await ports.exchange({
      method: 'GET',
      url: sink,
      headers: [...headers, [FIC_CHALLENGE, code]],
    });
    const verdict = readFicAnswer(byHeader, code);
    if (verdict.kind !== 'unsupported') return named(verdict);
    const byQuery = await ports.exchange({ method: 'GET', url: ficChallengeUrl(sink, code), headers });
    return named(readFicAnswer(byQuery, code));
  }

  /** Those methods know no origin: who has got the secret back has asked for itself. */
  function named(verdict: HandshakeVerdict): HandshakeVerdict {
    return verdict.kind === 'granted' ? { ...verdict, origin } : verdict;
  }

  /** The subscriber's own header fields are part of what its sink is reached by. */
  function commonHeaders({ spec }: Subscription): HeaderPair[] {
    const own = spec.protocol === 'HTTP' ? Object.entries(spec.protocolsettings.headers ?? {}) : [];
    return [['user-agent', userAgent], ...own];
  }
}
