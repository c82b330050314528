import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { locateNatsServer } from '#embedded/nats-server';
import type { KeyAndCertificate } from './certificates.ts';
import { eventually } from './eventually.ts';
import { startScripted, type ScriptedServer } from './scripted-server.ts';

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

/**
 * A plain nats-server without JetStream, as a subscriber would have one, and everything that it gets. Who comes is let in, through
 * a door, when the test itself listens: nothing passes unheard.
 */
export async function startNatsSink(options: NatsSinkServerOptions = {}): Promise<NatsSinkServer> {
  const { config = '', tls, user, listen = true } = options;
  const { path } = await locateNatsServer(process.env);
  const directory = await mkdtemp(join(tmpdir(), 'posthaste-nats-sink-'));
  const lines = [`host: 127.0.0.1`, `port: -1`, `ports_file_dir: "${directory}"`, config];
  if (tls !== undefined) {
    await writeFile(join(directory, 'key.pem'), tls.key);
    await writeFile(join(directory, 'cert.pem'), tls.cert);
    lines.push(`tls { cert_file: "${directory}/cert.pem", key_file: "${directory}/key.pem" }`);
  }
  await writeFile(join(directory, 'server.conf'), lines.join('\n'));
  const received: Msg[] = [];
  let server: ChildProcess;
  let connection: NatsConnection | undefined;
  let door: ScriptedServer | undefined;

  /** @param port of the door; default: one of its own */
  async function start(port?: number): Promise<ScriptedServer> {
    server = spawn(path, ['-c', join(directory, 'server.conf')], { stdio: 'ignore' });
    const inside = await eventually(() => announcedPort(directory, server.pid ?? 0));
    await eventually(() => fetchGreeting(inside));
    if (listen && tls === undefined) {
      connection = await connect({ servers: `127.0.0.1:${inside}`, reconnect: false, ...user });
      connection.subscribe('>', { callback: (_error, message) => void received.push(message) });
      await connection.flush();
    }
    return startScripted((client) => leadTo(inside, client), port === undefined ? {} : { port });
  }

  async function kill(): Promise<void> {
    const exited = once(server, 'exit');
    server.kill('SIGKILL');
    await exited;
    await door?.stop();
    door = undefined;
  }

  door = await start();
  const { port } = door;
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    received,
    kill,
    async restart() {
      door = await start(port);
    },
    async stop() {
      await connection?.close();
      if (server.exitCode === null && server.signalCode === null) await kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function leadTo(port: number, client: Socket): void {
  const upstream = createConnection(port, '127.0.0.1');
  client.pipe(upstream).pipe(client);
  upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
  client.on('close', () => upstream.destroy());
}

async function announcedPort(directory: string, pid: number): Promise<number | undefined> {
  const text = await readFile(join(directory, `nats-server_${pid}.ports`), 'utf8');
  const port = /:(\d+)"/.exec(text)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** A NATS server speaks first. */
async function fetchGreeting(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1');
  try {
    const [greeting] = (await once(socket, 'data', { signal: AbortSignal.timeout(1_000) })) as [Buffer];
    return greeting.toString().startsWith('INFO');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
