import { EVENT_GRID_HEADERS, eventGridBody, readEventGridAnswer } from '#core/handshake/event-grid';
import { FIC_CHALLENGE, ficChallengeUrl, readFicAnswer } from '#core/handshake/fic-challenge';
import { handshakeHeaders, type HandshakeOffer } from '#core/handshake/handshake-headers';
import type { HandshakeExchange, HandshakeVerdict } from '#core/handshake/handshake-verdict';
import { readOptionsAnswer } from '#core/handshake/read-options-answer';
import type { TenantId } from '#core/ids';
import type { Subscription, ValidationVia } from '#core/registry/subscription';
import type { ClientIdentity } from '#outbound/client-identity';
import type { GuardedRequest } from '#outbound/guarded-client';
import { SignatureRefused, SignerUnavailable } from '../sign-client.ts';

/** What the use case needs from outside. */
export interface AskPorts {
  /** Whom the requests of a subscription prove to be by TLS; undefined: nobody. */
  identityOf(subscription: Subscription): Promise<ClientIdentity | undefined>;
  /** One guarded request; never rejects. */
  exchange(request: GuardedRequest): Promise<HandshakeExchange>;
  /** Where the sink may confirm later; undefined when this installation was not told its own URL. */
  callbackUrl(subscription: string, code: string): string | undefined;
  now(): number;
}

export interface AskOptions {
  /** DNS name that the sink is asked to allow. */
  readonly origin: string;
  /** What a tenant's requests say they come from. */
  userAgentOf(tenant: TenantId): string;
}

/** What the sink said, and by which method. */
export interface SinkAnswered {
  readonly via: ValidationVia;
  readonly verdict: HandshakeVerdict;
}

type HeaderPair = readonly [string, string];

/** Asks a sink for its consent in the way that the subscription wants: at the exact sink, without redirects (WH-11). */
export function makeAskSink(ports: AskPorts, { origin, userAgentOf }: AskOptions) {
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
      const answer = await options(subscription, plain);
      const verdict = readOptionsAnswer(answer, plain);
      // Read as if the callback had been offered, `pending` means that offering it may help.
      if (readOptionsAnswer(answer, offer).kind !== 'pending') return verdict;
    }
    return readOptionsAnswer(await options(subscription, offer), offer);
  }

  function options(subscription: Subscription, offer: HandshakeOffer): Promise<HandshakeExchange> {
    return exchange(subscription, {
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
    const answer = await exchange(subscription, {
      method: 'POST',
      url: subscription.spec.sink,
      headers: [...commonHeaders(subscription), ...EVENT_GRID_HEADERS],
      body: new TextEncoder().encode(eventGridBody(challenge)),
    });
    return named(readEventGridAnswer(answer, challenge));
  }

  /** By header first, by query when that gets nothing: the subscriber of Fatture in Cloud chooses, we need not ask. */
  async function askByChallenge(subscription: Subscription, code: string): Promise<HandshakeVerdict> {
    const { sink } = subscription.spec;
    const headers = [...commonHeaders(subscription), ['accept', 'application/json'] as const];
    const byHeader = await exchange(subscription, {
      method: 'GET',
      url: sink,
      headers: [...headers, [FIC_CHALLENGE, code]],
    });
    const verdict = readFicAnswer(byHeader, code);
    if (verdict.kind !== 'unsupported') return named(verdict);
    const byQuery = await exchange(subscription, { method: 'GET', url: ficChallengeUrl(sink, code), headers });
    return named(readFicAnswer(byQuery, code));
  }

  /** A sink that lets in known clients only has to be asked by a known client. */
  async function exchange(subscription: Subscription, request: GuardedRequest): Promise<HandshakeExchange> {
    try {
      return await ports.exchange({ ...request, identity: await ports.identityOf(subscription) });
    } catch (error) {
      if (!(error instanceof SignatureRefused || error instanceof SignerUnavailable)) throw error;
      return { kind: 'error', error: 'local_resources', message: error.message };
    }
  }

  /** Those methods know no origin: who has got the secret back has asked for itself. */
  function named(verdict: HandshakeVerdict): HandshakeVerdict {
    return verdict.kind === 'granted' ? { ...verdict, origin } : verdict;
  }

  /** The subscriber's own header fields are part of what its sink is reached by. */
  function commonHeaders({ tenant, spec }: Subscription): HeaderPair[] {
    const own = spec.protocol === 'HTTP' ? Object.entries(spec.protocolsettings.headers ?? {}) : [];
    return [['user-agent', userAgentOf(tenant)], ...own];
  }
}
