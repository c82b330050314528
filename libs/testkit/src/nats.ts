import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateNatsServer, startNatsServer, type NatsServer, type NatsServerOptions } from '#embedded/nats-server';
import { portOfOwn } from './port-of-own.ts';

export interface TestNats {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** SIGKILL, as a crash; the store stays. */
  kill(): Promise<void>;
  /** SIGTERM; the store stays. */
  halt(): Promise<void>;
  /** After {@link kill} or {@link halt}: the same port and store. */
  restart(): Promise<void>;
  /** Stops it and removes its directory. */
  stop(): Promise<void>;
}

/** A real nats-server with a store in a temporary directory, on a free port. */
export async function startNats(
  options: Pick<NatsServerOptions, 'maxPayloadBytes' | 'accountsFile' | 'env'> = {},
): Promise<TestNats> {
  const { path } = await locateNatsServer(process.env);
  const storeDir = await mkdtemp(join(tmpdir(), 'posthaste-nats-'));
  const port = await portOfOwn();
  let server: NatsServer = await startNatsServer({ ...options, binary: path, storeDir, port });
  const { url } = server;
  return {
    url,
    port,
    get pid() {
      return server.pid;
    },
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    async halt() {
      await server.stop();
    },
    async restart() {
      server = await startNatsServer({ ...options, binary: path, storeDir, port });
    },
    async stop() {
      await server.stop();
      await rm(storeDir, { recursive: true, force: true });
    },
  };
}
