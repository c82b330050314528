import { createConnection, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import type { ExchangeError } from '#core/delivery/outcome';
import { makeLineReader } from './line-reader.ts';
import type { NatsServer } from './nats-sink-url.ts';

export interface LinkOptions extends NatsServer {
  /** The address to connect to; `host` is only the name that a certificate has to have. */
  readonly address: string;
  readonly secureContext: SecureContext;
  readonly timeoutMs: number;
}

/** A connection to a NATS server on which nothing is subscribed. */
export interface NatsLink {
  /**
   * Resolves when the server has taken the message: it answers a PING behind it.
   *
   * @param headers the header block, from `NATS/1.0` to the empty line
   * @throws NatsFailure
   */
  publish(subject: string, headers: Uint8Array, payload: Uint8Array): Promise<void>;
  /** Resolves when it is closed, by whomever. */
  readonly closed: Promise<void>;
  close(): void;
}

/** The server said no, or went away. */
export class NatsFailure extends Error {
  readonly code = 'outbound.nats_failure';
  readonly exchangeError: ExchangeError;

  constructor(exchangeError: ExchangeError, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exchangeError = exchangeError;
  }
}

interface ServerFacts {
  readonly max_payload?: number;
  readonly headers?: boolean;
  readonly tls_required?: boolean;
  readonly tls_available?: boolean;
}

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
  refusal?: NatsFailure;
}

const CONNECT_OPTIONS = {
  verbose: false,
  pedantic: false,
  lang: 'posthaste',
  version: '1',
  protocol: 1,
  headers: true,
};
const PING = 'PING\r\n';

/**
 * Opens a connection and lets the server greet.
 *
 * The part of the NATS client protocol that publishing needs is small, and the official client is made for servers that
 * it may trust: what a server sends is kept without a bound while nobody reads it, a message in an impossible size
 * leaves the connection open and stuck (3.4.0, measured), other servers that it names are dialled. A sink is not trusted.
 *
 * @throws NatsFailure, or the error of the socket
 */
export async function openNatsLink(options: LinkOptions): Promise<NatsLink> {
  const plain = createConnection({ host: options.address, port: options.port, noDelay: true });
  let current = plain;
  const timer = setTimeout(() => {
    current.destroy(new NatsFailure('connect_timeout', `No greeting within ${options.timeoutMs} ms.`));
  }, options.timeoutMs);
  try {
    const facts = await readGreeting(plain);
    if (facts.headers !== true) throw new NatsFailure('protocol', 'The server is too old for headers; 2.2 is needed.');
    if (facts.tls_required === true || facts.tls_available === true) current = await secure(plain, options);
    else if (options.requiresTls) throw new NatsFailure('tls', 'The server does not offer TLS.');
    const link = makeLink(current, facts);
    current.write(`CONNECT ${JSON.stringify({ ...CONNECT_OPTIONS, tls_required: current !== plain })}\r\n`);
    await link.ping();
    return link;
  } catch (error) {
    current.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The first line, before anything else is known: `INFO {…}`. */
function readGreeting(socket: Socket): Promise<ServerFacts> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      socket.off('data', onData).off('error', reject).off('close', onClose);
    };
    const onClose = (): void => {
      reject(new NatsFailure('reset', 'The server closed the connection before its greeting.'));
    };
    const reader = makeLineReader((line) => {
      stop();
      socket.pause();
      const facts = line.startsWith('INFO ') ? parseFacts(line.slice(5)) : undefined;
      if (facts === undefined) reject(new NatsFailure('protocol', 'This is not a NATS server.'));
      else resolve(facts);
    });
    const onData = (chunk: Buffer): void => {
      if (reader(chunk) === 'too_much') reject(new NatsFailure('protocol', 'The greeting is too long.'));
    };
    socket.on('data', onData).on('error', reject).on('close', onClose);
  });
}

function parseFacts(text: string): ServerFacts | undefined {
  try {
    return Object(JSON.parse(text)) as ServerFacts;
  } catch {
    return undefined;
  }
}

function secure(socket: Socket, { host, secureContext }: LinkOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    const secured = connectTls({ socket, host, ...name, secureContext, rejectUnauthorized: true }, () => {
      secured.off('error', reject);
      resolve(secured);
    });
    secured.on('error', reject);
    socket.once('close', () => {
      reject(new NatsFailure('tls', 'The server closed the connection instead of speaking TLS.'));
    });
  });
}

function makeLink(socket: Socket, greeting: ServerFacts): NatsLink & { ping(): Promise<void> } {
  const waiting: Waiting[] = [];
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  let maxPayloadBytes = greeting.max_payload ?? Infinity;
  let reason: Error = new NatsFailure('reset', 'The server closed the connection.');

  /** Answers come in the order of the questions, so a refusal belongs to the oldest message without one. */
  function read(line: string): void {
    const [verb = ''] = line.split(/[ \t]/, 1);
    switch (verb.toUpperCase()) {
      case 'PONG':
        settleOldest();
        return;
      case 'PING':
        socket.write('PONG\r\n');
        return;
      case '+OK':
        return;
      case 'INFO':
        maxPayloadBytes = parseFacts(line.slice(5))?.max_payload ?? maxPayloadBytes;
        return;
      case '-ERR':
        refuse(
          line
            .slice(5)
            .trim()
            .replace(/^'(.*)'$/, '$1'),
        );
        return;
      default:
        end(new NatsFailure('protocol', 'The server sent what nobody asked for.'));
    }
  }

  function settleOldest(): void {
    const oldest = waiting.shift();
    if (oldest === undefined) return;
    if (oldest.refusal === undefined) oldest.resolve();
    else oldest.reject(oldest.refusal);
  }

  /** Only a violated permission leaves the connection as it is. */
  function refuse(text: string): void {
    const failure = new NatsFailure(errorOf(text), text.slice(0, 200));
    const [oldest] = waiting;
    if (failure.exchangeError === 'permission_denied' && oldest !== undefined) oldest.refusal = failure;
    else end(failure);
  }

  function end(why: Error): void {
    reason = why;
    socket.destroy();
  }

  function ask(...pieces: readonly (string | Uint8Array)[]): Promise<void> {
    if (socket.destroyed) return Promise.reject(reason);
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      socket.cork();
      for (const piece of [...pieces, PING]) socket.write(piece);
      process.nextTick(() => socket.uncork());
    });
  }

  const reader = makeLineReader(read);
  socket.on('data', (chunk: Buffer) => {
    if (!socket.destroyed && reader(chunk) === 'too_much') {
      end(new NatsFailure('protocol', 'The server sends more than it has to say.'));
    }
  });
  socket.on('error', (error) => (reason = error));
  socket.on('close', () => {
    for (const { reject } of waiting.splice(0)) reject(reason);
    onClosed();
  });
  socket.resume();

  return {
    closed,
    ping: () => ask(),
    async publish(subject, headers, payload) {
      const size = headers.length + payload.length;
      if (size > maxPayloadBytes) {
        throw new NatsFailure('message_too_large', `${size} bytes; the server takes ${maxPayloadBytes}.`);
      }
      await ask(`HPUB ${subject} ${headers.length} ${size}\r\n`, headers, payload, '\r\n');
    },
    close: () => end(new NatsFailure('reset', 'The connection was closed here.')),
  };
}

function errorOf(text: string): ExchangeError {
  if (/permissions violation/i.test(text)) return 'permission_denied';
  if (/authorization|authentication/i.test(text)) return 'unauthorized';
  if (/maximum payload/i.test(text)) return 'message_too_large';
  return 'protocol';
}
