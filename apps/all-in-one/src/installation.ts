import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { openDataDirectory } from '#embedded/data-directory';
import { isPortFree } from '#embedded/free-port';
import { openKeptSecrets, type KeptSecrets } from '#embedded/kept-secrets';
import { findProcesses, stopProcesses } from '#embedded/processes';
import { removeRuntime } from '#embedded/runtime-file';
import type { Supervised, Child } from '#embedded/supervise';
import { PortInUse } from '#platform/bootstrap';
import type { Logger } from '#platform/logger';
import type { AllInOneConfig } from './config.ts';
import { chooseServerPorts } from './ports.ts';
import { startNats, startPostgres, type ServerOptions } from './servers.ts';

/** What everything else is built on: a locked data directory, its secrets, and the servers that it runs. */
export interface Installation {
  readonly dataDir: string;
  readonly secrets: KeptSecrets;
  readonly adminToken: string;
  /** Base64 of 32 bytes; undefined when the configuration names a file with it. */
  readonly masterKey: string | undefined;
  readonly inboxKey: string;
  /** With credentials. */
  readonly natsUrl: string;
  /** With credentials. */
  readonly databaseUrl: string;
  /** Ends the servers and unlocks the directory. Everything that uses them must be down. */
  close(): Promise<void>;
}

/** An argument of the service processes of a cluster that their mains ignore: it tells whose they are. */
export function ownerArgument(dataDir: string): string {
  return `--data-dir=${dataDir}`;
}

export interface InstallationOptions {
  readonly config: AllInOneConfig;
  /** Where nats-server is looked for. */
  readonly env: ServerOptions['env'];
  /** Ports of POSTHASTE_HTTP_HOST that must be free: asked before anything slow is started. */
  readonly httpPorts: readonly number[];
  readonly logger: Logger;
}

/**
 * Locks the data directory, ends what a killed run has left behind, and starts the servers that are not external.
 *
 * @throws DataDirectoryInUse, PortInUse, NatsServerNotFound, NatsServerFailed, …: a message for the person at the
 * terminal each; nothing is left running then
 */
export async function openInstallation(installationOptions: InstallationOptions): Promise<Installation> {
  const { config, env, httpPorts, logger } = installationOptions;
  const directory = await openDataDirectory(config.POSTHASTE_DATA_DIR);
  const running: Supervised<Child>[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(running.map((server) => server.stop()));
    await removeRuntime(directory.path);
    await directory.release();
  };
  try {
    await stopLeftovers(directory.path, logger);
    for (const port of httpPorts) await assertPortFree(config.POSTHASTE_HTTP_HOST, port);
    const secrets = await openKeptSecrets(directory.path);
    const options: ServerOptions = {
      dataDir: directory.path,
      secrets,
      ports: await chooseServerPorts(directory.path),
      env,
      logger,
    };
    const server = async (external: string | undefined, start: typeof startNats): Promise<string> => {
      if (external !== undefined) return external;
      const { url, supervised } = await start(options);
      running.push(supervised);
      return url;
    };
    const kept = await keptValues(config, secrets);
    const [natsUrl, databaseUrl] = await allOrFirstError([
      server(config.POSTHASTE_NATS_URL, startNats),
      server(config.POSTHASTE_DATABASE_URL, startPostgres),
    ]);
    return { dataDir: directory.path, secrets, ...kept, natsUrl, databaseUrl, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function assertPortFree(host: string, port: number): Promise<void> {
  if (!(await isPortFree(host, port))) throw new PortInUse(host, port);
}

async function keptValues(
  config: AllInOneConfig,
  secrets: KeptSecrets,
): Promise<Pick<Installation, 'adminToken' | 'masterKey' | 'inboxKey'>> {
  const token = (prefix: string) => () => prefix + randomBytes(32).toString('base64url');
  return {
    adminToken: config.POSTHASTE_ADMIN_TOKEN ?? (await secrets.keep('adminToken', token('pha_'))),
    masterKey: await masterKeyOf(config, secrets),
    inboxKey: await secrets.keep('inboxKey', token('')),
  };
}

/** None when there is a file with it. */
async function masterKeyOf(config: AllInOneConfig, secrets: KeptSecrets): Promise<string | undefined> {
  const { POSTHASTE_MASTER_KEY: given, POSTHASTE_MASTER_KEY_FILE: file } = config;
  if (given !== undefined || file !== undefined) return given;
  return secrets.keep('masterKey', () => randomBytes(32).toString('base64'));
}

/** Waits for all of them, so that nothing starts behind the back of who cleans up. */
async function allOrFirstError<const T extends readonly Promise<string>[]>(
  all: T,
): Promise<{ -readonly [K in keyof T]: string }> {
  await Promise.allSettled(all);
  return (await Promise.all(all)) as { -readonly [K in keyof T]: string };
}

/** Services first, then what they talk to. They are found by what they were started with. */
async function stopLeftovers(dataDir: string, logger: Logger): Promise<void> {
  const services = await findProcesses(ownerArgument(dataDir));
  const nats = await findProcesses(`-c ${join(dataDir, 'nats', 'nats-server.conf')}`);
  const postgres = await findProcesses(`-D ${join(dataDir, 'postgres')}`);
  const all = [...services, ...nats, ...postgres];
  if (all.length === 0) return;
  logger.warn({ pids: all }, 'replacing processes that an earlier run has left behind');
  await stopProcesses(services);
  await stopProcesses(nats);
  // SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for sessions that nobody will end.
  await stopProcesses(postgres, { signal: 'SIGINT' });
}
