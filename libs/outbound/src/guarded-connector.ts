import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { buildConnector, errors } from 'undici';
import { keepLatest } from '#platform/keep-latest';
import type { AddressGuard } from './address-guard.ts';
import { makeGuardedResolve, type Resolve } from './guarded-resolve.ts';
import { makeProxyBypass } from './proxy-bypass.ts';
import { makeOpenTunnel, ProxyFailure, type OpenTunnel } from './proxy-tunnel.ts';

export interface ProxyOptions {
  /** `http://` or `https://`, with credentials if it wants some. */
  readonly url: string;
  /** Sinks that are reached without it; see {@link makeProxyBypass}. Default: none. */
  readonly bypass?: readonly string[];
  /**
   * True: names go to the proxy as they are, and which addresses they may have is for the proxy to judge. False: names are
   * resolved and judged here and the proxy is asked for the very address. Default false.
   */
  readonly resolvesNames?: boolean;
}

export interface ConnectorOptions {
  readonly guard: AddressGuard;
  /** Name resolution, the tunnel, TCP and TLS together. */
  readonly connectTimeoutMs: number;
  readonly secureContext: SecureContext;
  /** Another one for the sinks themselves: a client certificate is shown to them, never to a proxy. Default: the same. */
  readonly sinkSecureContext?: SecureContext;
  /** One of `makeSharedResolve`. Default: one of its own. */
  readonly resolve?: Resolve;
  /** True: HTTP/2 is offered as well, and the server chooses (ALPN). Default false. */
  readonly http2?: boolean;
  readonly proxy?: ProxyOptions;
  /** Sessions of TLS that are kept, 1–3 KB each. Default 5000. */
  readonly sessionsMax?: number;
}

/** Opens connections, directly or through a proxy, only to addresses that the guard lets through. */
export function makeGuardedConnector(options: ConnectorOptions): buildConnector.connector {
  const { guard, connectTimeoutMs, secureContext, resolve, http2 = false, proxy } = options;
  const { sinkSecureContext = secureContext, sessionsMax = 5000 } = options;
  const guardedResolve = makeGuardedResolve({ guard, ...(resolve === undefined ? {} : { resolve }) });
  // A sink that is sent to now and then has its connection opened anew for each notification; to resume costs us 0.9 ms of CPU
  // instead of 1.25, and the sink no signature.
  const sessions = new Map<string, Buffer>();
  const connectPlainly = buildConnector({
    maxCachedSessions: 2 * sessionsMax, // when it is full undici looks for one that is collected: half of them are
    timeout: connectTimeoutMs,
    allowH2: http2,
    preferH2: http2,
    // One context for all: with `ca` in the options Node would parse all 265 roots for every connection.
    secureContext: sinkSecureContext,
    rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
    autoSelectFamily: true,
    lookup: lookupBy(guardedResolve),
  });
  const connect: buildConnector.connector = (target, callback) => {
    const { hostname } = target;
    // The name in the handshake has no dot of the root (RFC 6066 3).
    const named = hostname.endsWith('.') ? { ...target, servername: hostname.slice(0, -1) } : target;
    connectPlainly(named, (...[error, socket]) => {
      socket?.prependOnceListener('error', endWithAlert);
      // undici holds sessions weakly, so that the next collection takes them.
      socket?.on('session', (session: Buffer) => {
        keepLatest(sessions, named.servername ?? hostname, session, sessionsMax);
      });
      if (error === null) callback(null, socket);
      else callback(error, null);
    });
  };
  const direct: buildConnector.connector = (target, callback) => {
    const host = hostOf(target);
    if (isIP(host) === 0) {
      connect(target, callback); // it looks the name up
      return;
    }
    guardedResolve(host).then(
      () => connectLater(connect, target, callback),
      (error: Error) => callback(error, null),
    );
  };
  if (proxy === undefined) {
    return (target, callback) => {
      connectLater(direct, target, inTime(connectTimeoutMs, callback));
    };
  }
  const openTunnel = makeOpenTunnel({ proxyUrl: proxy.url, secureContext });
  return proxied({ direct, connect, guardedResolve, openTunnel, connectTimeoutMs, proxy });
}

interface Proxied {
  readonly direct: buildConnector.connector;
  readonly connect: buildConnector.connector;
  readonly guardedResolve: Resolve;
  readonly openTunnel: OpenTunnel;
  readonly connectTimeoutMs: number;
  readonly proxy: ProxyOptions;
}

function proxied(parts: Proxied): buildConnector.connector {
  const { direct, connect, guardedResolve, openTunnel, connectTimeoutMs, proxy } = parts;
  const { bypass = [], resolvesNames = false } = proxy;
  const isBypassed = makeProxyBypass(bypass);

  /** @returns undefined when the proxy is not to be used */
  async function open(target: buildConnector.Options, giveUpAt: number): Promise<Socket | undefined> {
    const host = hostOf(target);
    const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
    const known = resolvesNames && isIP(host) === 0 ? undefined : await settledBy(giveUpAt, guardedResolve(host));
    const addresses = (known ?? []).map(({ address }) => address);
    if (isBypassed(host, port, addresses)) return undefined;
    const hosts = known === undefined ? [host] : addresses;
    return openFirst(hosts, giveUpAt, (one, timeoutMs) => openTunnel(one, port, timeoutMs));
  }

  return (target, callback) => {
    const giveUpAt = performance.now() + connectTimeoutMs;
    open(target, giveUpAt).then(
      (tunnel) => {
        if (tunnel !== undefined && target.protocol !== 'https:') {
          callback(null, tunnel);
          return;
        }
        const [next, where] = tunnel === undefined ? [direct, target] : [connect, { ...target, httpSocket: tunnel }];
        connectLater(next, where, inTime(giveUpAt - performance.now(), callback));
      },
      (error: Error) => callback(error, null),
    );
  };
}

/** The first address that the proxy reaches in time. What it says of us, not of the address, ends it. */
async function openFirst(
  hosts: readonly string[],
  giveUpAt: number,
  open: (host: string, timeoutMs: number) => Promise<Socket>,
): Promise<Socket> {
  let failure: unknown;
  for (const host of hosts) {
    const leftMs = giveUpAt - performance.now();
    if (failure !== undefined && leftMs <= 0) break;
    try {
      return await open(host, Math.max(1, leftMs));
    } catch (error) {
      failure = error;
      if (!(error instanceof ProxyFailure) || error.status === undefined || error.status < 500) break;
    }
  }
  throw failure;
}

/**
 * A callback that is called in time, at the latest with an error; a socket that comes up after it is closed. undici's own timer
 * knows nothing of what precedes its socket, and may be a second late.
 */
function inTime(timeoutMs: number, callback: buildConnector.Callback): buildConnector.Callback {
  let isOver = false;
  const timer = setTimeout(
    () => {
      isOver = true;
      callback(new errors.ConnectTimeoutError(), null);
    },
    Math.max(1, timeoutMs),
  );
  return (...[error, socket]) => {
    clearTimeout(timer);
    if (isOver) socket?.destroy();
    else if (error === null) callback(null, socket);
    else callback(error, null);
  };
}

async function settledBy<Value>(giveUpAt: number, value: Promise<Value>): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new errors.ConnectTimeoutError());
  }, giveUpAt - performance.now());
  try {
    return await Promise.race([value, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** What undici's own `try` around a connector would catch, for a call that comes after a wait, or has a timer. */
function connectLater(
  connect: buildConnector.connector,
  target: buildConnector.Options,
  callback: buildConnector.Callback,
): void {
  try {
    connect(target, callback);
  } catch (error) {
    callback(error as Error, null);
  }
}

/**
 * A server that speaks TLS 1.3 judges the client's certificate when the connection stands already for us. undici would take
 * the closing that follows the alert for the reason of the end, and the alert would be lost.
 */
function endWithAlert(this: Socket, error: NodeJS.ErrnoException): void {
  if (error.code?.startsWith('ERR_SSL_') === true) this.destroy(error);
}

function hostOf({ hostname }: buildConnector.Options): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function lookupBy(guardedResolve: Resolve) {
  return (
    hostname: string,
    options: LookupOptions,
    callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
  ): void => {
    guardedResolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all === true) callback(null, [...addresses]);
        else callback(null, first?.address ?? '', first?.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}
