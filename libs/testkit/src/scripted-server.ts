import { once } from 'node:events';
import {
  createConnection,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { portOfOwn } from './port-of-own.ts';

export interface ScriptedServer {
  /** `<address>:<port>` */
  readonly host: string;
  readonly port: number;
  /** Connections that were opened so far, before any TLS. */
  connectionCount(): number;
  /** Connections that are open now. */
  openCount(): number;
  stop(): Promise<void>;
}

export interface ScriptedOptions {
  /** With these, or without TLS. */
  readonly tls?: TlsOptions;
  /** Default: one of its own, which nobody takes after it. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

/** A TCP server on the loopback, with TLS when there are options for it, that does what it is told with each connection. */
export async function startScripted(
  onConnection: (socket: Socket) => void,
  { tls, port, host = '127.0.0.1' }: ScriptedOptions = {},
): Promise<ScriptedServer> {
  const sockets = new Set<Socket>();
  let connectionCount = 0;
  const onSocket = (socket: Socket): void => onConnection(socket.on('error', () => undefined));
  const server: Server = tls === undefined ? createTcpServer(onSocket) : createTlsServer(tls, onSocket);
  server.on('tlsClientError', () => undefined);
  server.on('connection', (socket: Socket) => {
    connectionCount++;
    sockets.add(socket.on('error', () => undefined));
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(port ?? (await portOfOwn()), host);
  await once(server, 'listening');
  const bound = (server.address() as AddressInfo).port;
  return {
    host: `${host}:${bound}`,
    port: bound,
    connectionCount: () => connectionCount,
    openCount: () => sockets.size,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A forward proxy (CONNECT), what it was asked, and how it answers. */
export interface ForwardProxy extends ScriptedServer {
  readonly url: string;
  /** The heads of the requests, whole, in order. */
  readonly asked: readonly string[];
  /** From now on refuses with this status; undefined: opens tunnels. */
  refuseWith(status: number | undefined): void;
}

/**
 * Opens tunnels to wherever it is asked, or to one address whatever it is asked.
 *
 * @param connectTo where every tunnel ends; default: where it was asked to
 */
export async function startForwardProxy(
  options: { readonly tls?: TlsOptions; readonly connectTo?: { readonly port: number } } = {},
): Promise<ForwardProxy> {
  const asked: string[] = [];
  let refusal: number | undefined;
  const server = await startScripted(
    (client) => {
      client.once('data', (head) => {
        asked.push(head.toString('latin1'));
        if (refusal !== undefined) {
          client.end(`HTTP/1.1 ${refusal} Refused\r\ncontent-length: 0\r\n\r\n`);
          return;
        }
        const [, host = '', port = ''] = /^CONNECT \[?([^\]\s]+?)\]?:(\d+) /.exec(head.toString('latin1')) ?? [];
        const target = options.connectTo ?? { host, port: Number(port) };
        const upstream = createConnection({ host: '127.0.0.1', ...target }, () => {
          client.write('HTTP/1.1 200 Connection established\r\n\r\n');
          client.pipe(upstream).pipe(client);
        });
        upstream.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'));
        client.on('close', () => upstream.destroy());
      });
    },
    options.tls === undefined ? {} : { tls: options.tls },
  );
  return {
    ...server,
    url: `${options.tls === undefined ? 'http' : 'https'}://${server.host}`,
    asked,
    refuseWith(status) {
      refusal = status;
    },
  };
}
