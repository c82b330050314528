import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { buildConnector } from 'undici';
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
  readonly connectTimeoutMs: number;
  readonly secureContext: SecureContext;
  /** Another one for the sinks themselves: a client certificate is shown to them, never to a proxy. Default: the same. */
  readonly sinkSecureContext?: SecureContext;
  /** Default: the system's resolver. */
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
    connectPlainly(target, (...[error, socket]) => {
      socket?.prependOnceListener('error', endWithAlert);
      // undici holds sessions weakly, so that the next collection takes them.
      socket?.on('session', (session: Buffer) => {
        keepLatest(sessions, target.servername ?? target.hostname, session, sessionsMax);
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
  if (proxy === undefined) return direct;
  const openTunnel = makeOpenTunnel({ proxyUrl: proxy.url, secureContext, timeoutMs: connectTimeoutMs });
  return proxied({ direct, connect, guardedResolve, openTunnel, proxy });
}

interface Proxied {
  readonly direct: buildConnector.connector;
  readonly connect: buildConnector.connector;
  readonly guardedResolve: Resolve;
  readonly openTunnel: OpenTunnel;
  readonly proxy: ProxyOptions;
}

function proxied({ direct, connect, guardedResolve, openTunnel, proxy }: Proxied): buildConnector.connector {
  const { bypass = [], resolvesNames = false } = proxy;
  const isBypassed = makeProxyBypass(bypass);

  /** @returns undefined when the proxy is not to be used */
  async function open(target: buildConnector.Options): Promise<Socket | undefined> {
    const host = hostOf(target);
    const port = Number(target.port) || (target.protocol === 'https:' ? 443 : 80);
    const known = resolvesNames && isIP(host) === 0 ? undefined : await guardedResolve(host);
    const addresses = (known ?? []).map(({ address }) => address);
    if (isBypassed(host, port, addresses)) return undefined;
    return openFirst(openTunnel, known === undefined ? [host] : addresses, port);
  }

  return (target, callback) => {
    open(target).then(
      (tunnel) => {
        if (tunnel === undefined) connectLater(direct, target, callback);
        else if (target.protocol !== 'https:') callback(null, tunnel);
        else connectLater(connect, { ...target, httpSocket: tunnel }, callback);
      },
      (error: Error) => callback(error, null),
    );
  };
}

/** The first address that the proxy reaches. What it says of us, not of the address, ends it. */
async function openFirst(openTunnel: OpenTunnel, hosts: readonly string[], port: number): Promise<Socket> {
  let failure: unknown;
  for (const host of hosts) {
    try {
      return await openTunnel(host, port);
    } catch (error) {
      failure = error;
      if (!(error instanceof ProxyFailure) || error.status === undefined || error.status < 500) break;
    }
  }
  throw failure;
}

/** What undici's own `try` around a connector would catch, for a call that comes after a wait. */
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
