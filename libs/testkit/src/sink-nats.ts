import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { freePort } from '#embedded/free-port';
import { locateNatsServer } from '#embedded/nats-server';
import type { KeyAndCertificate } from './certificates.ts';
import { eventually } from './eventually.ts';

export interface NatsSinkServer {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** What was published on any subject, in order; only of a server that lets the test itself in. */
  readonly received: readonly Msg[];
  /** SIGKILL. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface NatsSinkServerOptions {
  /** More of a nats-server configuration, for example `authorization { … }`. */
  readonly config?: string;
  readonly tls?: KeyAndCertificate;
  /** User and password that the test itself connects with. */
  readonly user?: { readonly user: string; readonly pass: string };
  /** False: the test does not connect. Default true. */
  readonly listen?: boolean;
}

/** A plain nats-server without JetStream, as a subscriber would have one, and everything that it gets. */
export async function startNatsSink(options: NatsSinkServerOptions = {}): Promise<NatsSinkServer> {
  const { config = '', tls, user, listen = true } = options;
  const { path } = await locateNatsServer(process.env);
  const directory = await mkdtemp(join(tmpdir(), 'posthaste-nats-sink-'));
  const port = await freePort('127.0.0.1');
  const lines = [`host: 127.0.0.1`, `port: ${port}`, config];
  if (tls !== undefined) {
    await writeFile(join(directory, 'key.pem'), tls.key);
    await writeFile(join(directory, 'cert.pem'), tls.cert);
    lines.push(`tls { cert_file: "${directory}/cert.pem", key_file: "${directory}/key.pem" }`);
  }
  await writeFile(join(directory, 'server.conf'), lines.join('\n'));
  const received: Msg[] = [];
  let server: ChildProcess;
  let connection: NatsConnection | undefined;

  async function start(): Promise<void> {
    server = spawn(path, ['-c', join(directory, 'server.conf')], { stdio: 'ignore' });
    const isUp = () => fetchGreeting(port);
    await eventually(isUp);
    if (!listen || tls !== undefined) return;
    connection = await connect({ servers: `127.0.0.1:${port}`, reconnect: false, ...user });
    connection.subscribe('>', { callback: (_error, message) => void received.push(message) });
    await connection.flush();
  }

  async function kill(): Promise<void> {
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
  }

  await start();
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    received,
    kill,
    restart: start,
    async stop() {
      await connection?.close();
      if (server.exitCode === null && server.signalCode === null) await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A NATS server speaks first. */
async function fetchGreeting(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1');
  try {
    const [greeting] = (await once(socket, 'data')) as [Buffer];
    return greeting.toString().startsWith('INFO');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
