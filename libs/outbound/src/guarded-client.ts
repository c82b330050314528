import type { Exchange } from '#core/delivery/outcome';
import type { HandshakeExchange } from '#core/handshake/handshake-verdict';
import { Agent, Pool, type buildConnector } from 'undici';
import { makeAddressGuard } from './address-guard.ts';
import { boundAnswers } from './answer-bound.ts';
import { makeAgentsOf, type ClientIdentity } from './client-identity.ts';
import { ExchangeRecorder } from './exchange-recorder.ts';
import { makeGuardedConnector, type ConnectorOptions, type ProxyOptions } from './guarded-connector.ts';
import { makeSharedResolve, type Resolve } from './guarded-resolve.ts';
import { makeOriginSlots } from './origin-slots.ts';
import { makeRequestCheck } from './request-check.ts';
import { makeSecureContext } from './secure-context.ts';
import { makeSinkUrlCheck } from './sink-url.ts';

export interface GuardedClientOptions {
  /** Address ranges that may be sinks though they are not public, for example `10.1.0.0/16`. Default: none. */
  readonly allowCidrs?: readonly string[];
  /** True permits `http://`. Default false (D2). */
  readonly allowHttp?: boolean;
  /** URLs below which everything is allowed, scheme and address: the built-in inbox. Default: none. */
  readonly allowOrigins?: readonly string[];
  /** PEM file with certificates to trust beside the usual roots. */
  readonly caFile?: string;
  /** Name resolution, TCP and TLS; at most nine tenths of {@link totalTimeoutMs}. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** The whole exchange, waiting for a connection included. Default 15 000 (SW-9: 15–30 s). */
  readonly totalTimeoutMs?: number;
  /** So much of a response body is kept. Default 16 384. */
  readonly maxResponseBytes?: number;
  /** Headers of a response that are longer are an error. Default 16 384. */
  readonly maxResponseHeaderBytes?: number;
  /** Headers of a request that are longer are not sent. Default 262 144. */
  readonly maxRequestHeaderBytes?: number;
  /** A body of a request that is longer is not sent. Default 16 777 216. */
  readonly maxRequestBytes?: number;
  /** Connections to one origin at a time, and as many again of all identities together; requests beyond wait. Default 64. */
  readonly connectionsPerOrigin?: number;
  /**
   * No request is put on a connection older than this, and none is kept open unused for longer, so that a change of DNS
   * is followed. Default 60 000.
   */
  readonly connectionMaxAgeMs?: number;
  /** True: the server chooses (ALPN). Default false: HTTP/1.1. */
  readonly http2?: boolean;
  /** Default: none. What stands below {@link allowOrigins} never goes through it. */
  readonly proxy?: ProxyOptions;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

export interface GuardedRequest {
  /** Default: nobody in particular. */
  readonly identity?: ClientIdentity | undefined;
  readonly method: 'OPTIONS' | 'HEAD' | 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: Uint8Array;
  /** Default: that of the client. */
  readonly timeoutMs?: number;
  /** Default: that of the client. */
  readonly maxResponseBytes?: number;
}

export interface GuardedClient {
  /**
   * POSTs once: no redirect, no retry, no decompression. Never rejects; whatever happens is an {@link Exchange}.
   * Connections are kept per origin.
   */
  post(
    url: string,
    headers: readonly (readonly [string, string])[],
    body: Uint8Array,
    options?: Pick<GuardedRequest, 'timeoutMs' | 'identity'>,
  ): Promise<Exchange>;
  /** One request of another kind, under the same guard and rules as {@link post}, and the headers of the answer with it. */
  exchange(request: GuardedRequest): Promise<HandshakeExchange>;
  /**
   * Whom requests prove to be by TLS, see {@link GuardedRequest.identity}. It is worth keeping: making one costs up to
   * 17 ms. The PEM may be wiped afterwards.
   *
   * @param pem certificates, that of the client first, and its key
   * @throws when OpenSSL does not take them
   */
  makeIdentity(pem: Uint8Array): ClientIdentity;
  /** Waits for what is in flight, then closes all connections. */
  close(): Promise<void>;
}

/**
 * The only way out: every notification leaves through here, so this is where the guard stands.
 *
 * CPU per POST of 1 KB to an instant sink, 64 callers, 64 connections (median of 3 rounds on a busy machine):
 *
 * | way                                      | http   | https  |
 * | ---------------------------------------- | ------ | ------ |
 * | `dispatch` with our recorder, one timer  |  23 µs |  49 µs |
 * | `request` + `body.dump()`, no timeout    |  37 µs |  64 µs |
 * | `request` + `AbortSignal.timeout`        |  55 µs |  61 µs |
 * | `fetch`                                  | 183 µs | 184 µs |
 *
 * 256 callers on 64 connections cost 38 µs instead of 23: waiting in undici's queue is not free, so the limit is meant to
 * protect a sink, not to shape our load.
 *
 * HTTP/2 is off unless asked for. It would not cost more (32–37 µs over one connection, 28 µs over 64), but deliveries of
 * all tenants to a host would share that connection, and one bad answer takes it down for all: undici 8.12.4 goes on using a
 * session that the server has ended by a protocol error, and fails what it puts on it (46 % of 85 000 requests to a server
 * that answered half of them badly); a stream that was reset within the body counts as complete; 64 KiB of headers pass.
 * With it, undici is told `allowH2: false` nevertheless: that is its switch for letting one connection find out the protocol
 * while all other requests wait, so that requests to a dead host would fail one after the other, each after its own connect
 * timeout. Our connector makes the offer, and a client speaks what its socket has agreed to.
 *
 * @throws InvalidCidr, or an Error about the CA file or the proxy's URL
 */
export function makeGuardedClient(options: GuardedClientOptions): GuardedClient {
  const { allowCidrs = [], allowHttp = false, allowOrigins = [], http2 = false } = options;
  const { totalTimeoutMs = 15_000, connectionsPerOrigin = 64, connectionMaxAgeMs = 60_000 } = options;
  // Who waits for nothing but the connection has to learn that it did not come up, not that there was none for it.
  const connectTimeoutMs = Math.min(options.connectTimeoutMs ?? 5000, totalTimeoutMs * CONNECT_TIMEOUT_SHARE);
  const guard = makeAddressGuard({ allowCidrs });
  const checkUrl = makeSinkUrlCheck({ allowHttp, guard, allowOrigins });
  const checkRequest = makeRequestCheck(options);
  const secureContext = makeSecureContext(options.caFile);
  const { proxy } = options;
  const shared = { connectTimeoutMs, secureContext, http2, resolve: makeSharedResolve(options.resolve) };
  const http2Origins = new Set<string>();
  const agentWith = (connect: buildConnector.connector, maxAgeMs = connectionMaxAgeMs) =>
    new Agent({
      connect: watched(connect, http2Origins),
      factory: (origin, poolOptions: Pool.Options) => new Pool(origin, poolOptions), // a lone Client has no clientTtl
      connections: connectionsPerOrigin,
      pipelining: 1,
      allowH2: false,
      clientTtl: maxAgeMs,
      keepAliveTimeout: Math.min(IDLE_MS, maxAgeMs), // when the server names no time
      keepAliveMaxTimeout: maxAgeMs,
      maxHeaderSize: options.maxResponseHeaderBytes ?? 16_384,
      headersTimeout: 0, // the recorder's one timer covers everything, but see STREAM_TIMEOUT_SHARE
      bodyTimeout: 0,
    });
  const identitySlots = makeOriginSlots(connectionsPerOrigin);
  const agents = makeAgentsOf(
    (identity) => {
      const guardedOptions = { ...shared, guard, ...(proxy === undefined ? {} : { proxy }) };
      // Pools are per origin: a connection opened for an exempt path must not carry a request that is not exempt.
      const exemptOptions = { ...shared, guard: () => undefined };
      const agentOf = (one: ConnectorOptions) => {
        if (identity === undefined) return agentWith(makeGuardedConnector(one));
        const own = { sinkSecureContext: identity.secureContext, sessionsMax: IDENTITY_SESSIONS_MAX };
        const maxAgeMs = Math.min(connectionMaxAgeMs, IDENTITY_CONNECTION_MAX_AGE_MS);
        return agentWith(identitySlots(makeGuardedConnector({ ...one, ...own })), maxAgeMs);
      };
      return { guarded: agentOf(guardedOptions), exempt: agentOf(exemptOptions) };
    },
    { maxIdentities: IDENTITIES_MAX, idleMs: connectionMaxAgeMs + totalTimeoutMs },
  );

  function send(request: GuardedRequest, settle: (exchange: Exchange) => void): ExchangeRecorder | undefined {
    const { method, url, headers, body = null, timeoutMs = totalTimeoutMs, identity } = request;
    const checked = checkUrl(url);
    if (!checked.ok) {
      settle({ kind: 'error', error: checked.error, message: checked.message });
      return undefined;
    }
    const { origin, path } = checked;
    const refused = checkRequest({ origin, headers, body });
    if (refused !== undefined) {
      settle(refused);
      return undefined;
    }
    const { maxResponseBytes = options.maxResponseBytes ?? 16_384 } = request;
    const recorder = new ExchangeRecorder(settle, { timeoutMs, maxResponseBytes });
    const headersTimeout = http2Origins.has(origin) ? Math.ceil(timeoutMs * STREAM_TIMEOUT_SHARE) : 0;
    agents
      .of(identity)
      [checked.exempt ? 'exempt' : 'guarded'].dispatch(
        { origin, path, method, headers: headers.flat(), body, headersTimeout },
        recorder,
      );
    return recorder;
  }

  return {
    post(url, headers, body, limits) {
      return new Promise((settle) => void send({ method: 'POST', url, headers, body, ...limits }, settle));
    },
    async exchange(request) {
      const { promise, resolve: settle } = Promise.withResolvers<Exchange>();
      const recorder = send(request, settle);
      const exchange = await promise;
      return exchange.kind === 'error' ? exchange : { ...exchange, headers: recorder?.responseHeaders() ?? [] };
    },
    makeIdentity: (pem) => ({ secureContext: makeSecureContext(options.caFile, pem) }),
    close: agents.close,
  };
}

/**
 * Of an HTTP/2 connection that has died without a word, our own timer would cancel one stream after the other. undici's
 * timer, a little earlier, pings the server as well, and gives the connection up when nothing comes back.
 */
const STREAM_TIMEOUT_SHARE = 0.9;
const CONNECT_TIMEOUT_SHARE = 0.9;
const IDLE_MS = 4000;

/** With the connections of each, 0.1–0.2 MB. */
const IDENTITIES_MAX = 1000;
/** Most identities have one sink. */
const IDENTITY_SESSIONS_MAX = 16;
/** A connection that one identity does not use is a slot that another waits for. */
const IDENTITY_CONNECTION_MAX_AGE_MS = 1000;

const HTTP2_ORIGINS_MAX = 10_000;

/** Notes which origins speak HTTP/2; what comes from the others is bounded. */
function watched(connect: buildConnector.connector, origins: Set<string>): buildConnector.connector {
  return (target, callback) => {
    connect(target, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      const origin = `${target.protocol}//${target.host ?? target.hostname}`;
      if (origins.size >= HTTP2_ORIGINS_MAX) origins.clear();
      if ('alpnProtocol' in socket && socket.alpnProtocol === 'h2') origins.add(origin);
      else {
        origins.delete(origin);
        boundAnswers(socket);
      }
      callback(null, socket);
    });
  };
}
