import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { TLSSocket } from 'node:tls';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { makeTestAuthority, type KeyAndCertificate } from './certificates.ts';
import { eventually } from './eventually.ts';
import { portOfOwn } from './port-of-own.ts';

/** A request as it came in, byte for byte. */
export interface Received {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Names as they were sent, in order, duplicates kept. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  /** Unix ms at which the whole body was there. */
  readonly atMs: number;
  /** SHA-256 of the certificate that the client has proved itself by; see {@link SinkOptions.clientCa}. */
  readonly clientSha256?: string;
}

/** How the sink answers one request. */
export type SinkAnswer =
  | {
      /** Default 204. */
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string | string[]>>;
      /** A text or bytes in one piece, or an iterable whose pieces are sent as they come: slow or without end. */
      readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
      /** Wait before the status line. */
      readonly delayMs?: number;
    }
  /** Never answers; the connection stays open until somebody closes it. */
  | 'hang'
  /** Closes the connection without an answer (TCP reset). */
  | 'reset';

/** @param count requests so far, this one included */
export type Respond = (received: Received, count: number) => SinkAnswer | Promise<SinkAnswer>;

export interface SinkOptions {
  /** Default: 204 to everything. */
  readonly respond?: Respond;
  /** Answers `OPTIONS`. Default: 405 to each, as a sink that knows no handshake. */
  readonly handshake?: Respond;
  /** `http://` instead of `https://`. */
  readonly plain?: boolean;
  /** Instead of one from an authority of the sink's own; {@link Sink.caPem} is empty then. */
  readonly certificate?: KeyAndCertificate;
  /** PEM of the authority whose clients may come; without a certificate of it, nobody is let in. Default: who wants to. */
  readonly clientCa?: string;
  /** Default: one of its own, which nobody takes while it is away. */
  readonly port?: number;
}

export interface Sink {
  /** `https://127.0.0.1:<port>`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** The certificate to trust; empty for a plain sink. */
  readonly caPem: string;
  /** The same as a file, for those who configure a path. It vanishes with {@link stop}. */
  readonly caFile: string;
  /** In order of arrival, `OPTIONS` apart. */
  readonly received: readonly Received[];
  /** The `OPTIONS` requests. */
  readonly handshakes: readonly Received[];
  /** Of {@link received}, those that are neither answered nor left by whoever sent them. */
  readonly underWay: ReadonlySet<Received>;
  /** Connections that were opened so far. */
  connectionCount(): number;
  /** From now on answers like this. */
  respondWith(respond: Respond): void;
  /** From now on answers `OPTIONS` like this. */
  handshakeWith(respond: Respond): void;
  /** Closes the port and all connections: who comes is refused. */
  goAway(): Promise<void>;
  /** After {@link goAway}: the same port. */
  comeBack(): Promise<void>;
  /** Resolves when `count` requests are there; rejects after the deadline with how many there were. */
  waitFor(count: number, options?: { deadlineMs?: number }): Promise<readonly Received[]>;
  /** Closes the server and all connections, and removes what it wrote. */
  stop(): Promise<void>;
}

/** A real HTTP(S) server on 127.0.0.1 that records what it gets and answers as it is told. */
export async function startSink(options: SinkOptions = {}): Promise<Sink> {
  const received: Received[] = [];
  const handshakes: Received[] = [];
  const underWay = new Set<Received>();
  let respond: Respond = options.respond ?? (() => ({}));
  let handshake: Respond = options.handshake ?? (() => ({ status: 405, headers: { allow: 'POST' } }));
  let connectionCount = 0;
  const { certificate, caPem } = await certificateOf(options);
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch(() => response.destroy());
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const one = await record(request);
    const isHandshake = one.method === 'OPTIONS';
    const log = isHandshake ? handshakes : received;
    log.push(one);
    if (!isHandshake && !request.socket.destroyed) {
      underWay.add(one);
      // What is written may be answered to before the write is reported.
      for (const end of ['prefinish', 'close']) response.once(end, () => underWay.delete(one));
    }
    await send(response, await (isHandshake ? handshake : respond)(one, log.length));
  };
  const mutual = options.clientCa === undefined ? {} : { ca: options.clientCa, requestCert: true };
  const server = certificate
    ? createHttpsServer({ ...certificate, ...mutual }, onRequest)
    : createHttpServer(onRequest);
  server.on('connection', () => connectionCount++);
  server.on('tlsClientError', () => undefined);
  const port = await listen(server, options.port ?? (await portOfOwn()));
  const dir = await mkdtemp(join(tmpdir(), 'posthaste-sink-'));
  const caFile = join(dir, 'ca.pem');
  await writeFile(caFile, caPem);

  async function goAway(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  return {
    url: `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`,
    port,
    caPem,
    caFile,
    received,
    handshakes,
    underWay,
    connectionCount: () => connectionCount,
    respondWith(next) {
      respond = next;
    },
    handshakeWith(next) {
      handshake = next;
    },
    goAway,
    async comeBack() {
      await listen(server, port);
    },
    async waitFor(count, wait) {
      await eventually(() => {
        if (received.length >= count) return true;
        throw new Error(`the sink has ${received.length} of ${count} requests`);
      }, wait);
      return received;
    },
    async stop() {
      await goAway();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function certificateOf(options: SinkOptions): Promise<{ certificate?: KeyAndCertificate; caPem: string }> {
  if (options.plain) return { caPem: '' };
  if (options.certificate) return { certificate: options.certificate, caPem: '' };
  const authority = await makeTestAuthority();
  return { certificate: await authority.issue(), caPem: authority.certPem };
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function record(request: IncomingMessage): Promise<Received> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  const raw = request.rawHeaders;
  const headers = raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? ''] as const] : []));
  const { method = '', url = '' } = request;
  const certificate = request.socket instanceof TLSSocket ? request.socket.getPeerX509Certificate() : undefined;
  const client = certificate && { clientSha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase() };
  return { method, url, headers, body: Buffer.concat(chunks), atMs: Date.now(), ...client };
}

async function send(response: ServerResponse, answer: SinkAnswer): Promise<void> {
  if (answer === 'hang') return;
  if (answer === 'reset') {
    response.socket?.resetAndDestroy();
    return;
  }
  if (answer.delayMs !== undefined) await delay(answer.delayMs);
  response.writeHead(answer.status ?? 204, answer.headers);
  const { body } = answer;
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) {
    response.end(body);
    return;
  }
  for await (const piece of body) {
    if (response.destroyed) return;
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
  }
  response.end();
}

/** The value of a header of a recorded request, by any letter case. */
export function headerOf(received: Received, name: string): string | undefined {
  return received.headers.find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1];
}
