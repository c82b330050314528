import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeptSecrets } from '#embedded/kept-secrets';
import { locateNatsServer, startNatsServer } from '#embedded/nats-server';
import { startPostgresServer } from '#embedded/postgres';
import { supervise, type Child, type Supervised } from '#embedded/supervise';
import type { Logger } from '#platform/logger';
import type { ServerPorts } from './ports.ts';

export interface ServerOptions {
  readonly dataDir: string;
  readonly secrets: KeptSecrets;
  readonly ports: ServerPorts;
  /** Where nats-server is looked for: POSTHASTE_NATS_SERVER, PATH, the home directory's cache. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
}

export interface EmbeddedServer {
  /** With credentials; the same after a restart. */
  readonly url: string;
  readonly supervised: Supervised<Child>;
}

const NATS_USER = 'posthaste';

/** @throws NatsServerNotFound, NatsServerFailed */
export async function startNats({ dataDir, secrets, ports, env, logger }: ServerOptions): Promise<EmbeddedServer> {
  const { path: binary } = await locateNatsServer(env, { logger });
  const password = await secrets.keep('natsPassword', newPassword);
  const storeDir = join(dataDir, 'nats');
  await mkdir(storeDir, { recursive: true, mode: 0o700 });
  const start = () =>
    startNatsServer({
      binary,
      storeDir,
      port: ports.nats,
      credentials: { user: NATS_USER, password },
      logger,
    });
  const supervised = await supervise({ name: 'nats-server', start, logger });
  return { url: `nats://${NATS_USER}:${password}@127.0.0.1:${ports.nats}`, supervised };
}

/** @throws PostgresFailed, PostgresDirectoryUnreachable, … */
export async function startPostgres({ dataDir, ports, logger }: ServerOptions): Promise<EmbeddedServer> {
  let url = '';
  const start = async () => {
    const server = await startPostgresServer({ dataDir: join(dataDir, 'postgres'), port: ports.postgres, logger });
    url = server.url;
    return server;
  };
  const supervised = await supervise({ name: 'postgres', start, logger });
  return { url, supervised };
}

function newPassword(): string {
  return randomBytes(24).toString('base64url');
}
