import { request as requestHttp, type ClientRequest } from 'node:http';
import { createConnection, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';

export interface ProxyTunnelOptions {
  /** `http://[user:password@]host:port` or `https://…`: how the proxy itself is reached. */
  readonly proxyUrl: string;
  /** For a proxy that is reached by https. */
  readonly secureContext: SecureContext;
}

/**
 * @param timeoutMs until the tunnel stands
 * @returns rejects with {@link ProxyFailure} only
 */
export type OpenTunnel = (host: string, port: number, timeoutMs: number) => Promise<Socket>;

/**
 * The forward proxy gave no tunnel. What is behind it had no part in this as far as we can know: a proxy says 502 for a
 * sink that is down and for an uplink that is down.
 */
export class ProxyFailure extends Error {
  readonly code = 'outbound.proxy_failure';
  /** What the proxy answered; undefined when it did not. */
  readonly status: number | undefined;

  constructor(message: string, status?: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/**
 * Opens tunnels by CONNECT (RFC 9110 9.3.6). The proxy is the operator's: its address is not guarded, its certificate is
 * verified.
 *
 * @throws TypeError when the URL is none
 */
export function makeOpenTunnel({ proxyUrl, secureContext }: ProxyTunnelOptions): OpenTunnel {
  const proxy = new URL(proxyUrl);
  const host = proxy.hostname.replace(/^\[(.*)\]$/, '$1');
  const credentials = credentialsOf(proxy);
  const port = Number(proxy.port) || (proxy.protocol === 'https:' ? 443 : 80);
  const name = isIP(host) === 0 ? { servername: host } : {};
  const connectSecurely = (): Socket =>
    connectTls({ host, port, secureContext, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'], ...name });
  const connectPlainly = (): Socket => createConnection({ host, port, noDelay: true });
  const connect = proxy.protocol === 'https:' ? connectSecurely : connectPlainly;
  return (targetHost, targetPort, timeoutMs) => {
    const authority = `${isIP(targetHost) === 6 ? `[${targetHost}]` : targetHost}:${targetPort}`;
    const headers = { host: authority, ...credentials };
    const request = requestHttp({ method: 'CONNECT', path: authority, headers, createConnection: connect });
    return tunnelOf(request, timeoutMs);
  };
}

function tunnelOf(request: ClientRequest, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      request.destroy(new TunnelTimeout());
    }, timeoutMs);
    request.once('connect', ({ statusCode = 0 }, socket, head) => {
      clearTimeout(timer);
      if (statusCode >= 200 && statusCode < 300) {
        if (head.length > 0) socket.unshift(head);
        resolve(socket as Socket);
        return;
      }
      socket.destroy();
      reject(new ProxyFailure(refusal(statusCode), statusCode));
    });
    request.once('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const why = cause.code ?? 'unknown';
      reject(new ProxyFailure(`The forward proxy opens no tunnel (${why}).`, undefined, { cause }));
    });
    request.end();
  });
}

class TunnelTimeout extends Error {
  readonly code = 'ETIMEDOUT';
}

/** Like the other reason: tenants read it, so that neither the name nor the address of the proxy stands in it. */
function refusal(status: number): string {
  if (status === 407) {
    return 'The forward proxy wants other credentials (407); they stand in POSTHASTE_SINK_PROXY_URL.';
  }
  return `The forward proxy answered ${status} to CONNECT.`;
}

function credentialsOf({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}
