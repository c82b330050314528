import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, isPortFree } from './free-port.ts';
import type { ChildExit, EmbeddedLogger } from './nats-server.ts';
import { postgresAccount, type Account } from './postgres-account.ts';
import { binariesFor, locatePostgres, untraversable, type PostgresBinaries } from './postgres-binaries.ts';
import { writePrivateFile } from './private-file.ts';
import { findProcesses, stopProcesses } from './processes.ts';

const run = promisify(execFile);

const HOST = '127.0.0.1';
const USER = 'posthaste';
const DATABASE = 'posthaste';
const POLL_MS = 20;
/** Recovery after a crash replays up to a checkpoint's worth of log. */
const START_TIMEOUT_MS = 60_000;

/** The server can not be started here. The message is one line, fit for an operator. */
export class PostgresFailed extends Error {
  readonly code = 'embedded.postgres_failed';
}

/** PostgreSQL's own user can not reach the directory. */
export class PostgresDirectoryUnreachable extends Error {
  readonly code = 'embedded.postgres_directory_unreachable';
}

export interface PostgresOptions {
  /** Made if missing. Holds the cluster, its password (0600) and the log. */
  readonly dataDir: string;
  /** Default: any free one. */
  readonly port?: number;
  readonly logger?: EmbeddedLogger;
  /**
   * Where the cluster goes when we are root and `dataDir` lies where the user `postgres` may not pass, for example below
   * /root. Default /var/lib/posthaste; a directory per `dataDir` is made there.
   */
  readonly rootsOwnDir?: string;
  /** false, for tests only: a crash of the machine may destroy the cluster. Default true. */
  readonly fsync?: boolean;
}

export interface PostgresServer {
  /** Of the database `posthaste`, with credentials. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<ChildExit>;
  /**
   * Ends sessions and stops in good order; at once (recovery follows at the next start) after `deadlineMs`, default 10 s. Resolves
   * when the process is gone.
   */
  stop(deadlineMs?: number): Promise<ChildExit>;
}

interface Place {
  readonly dataDir: string;
  readonly cluster: string;
  readonly account: Account | undefined;
  readonly binaries: PostgresBinaries;
}

/**
 * Starts PostgreSQL on 127.0.0.1 and waits until it accepts connections; makes the cluster and the database at the first
 * start. A server that a killed predecessor left on the same directory is stopped first.
 *
 * It runs in a process group of its own, so that Ctrl-C in a terminal reaches us first and we can drain before it stops,
 * and logs to `postgres.log`: with a pipe it would fail at some later moment after we were killed.
 *
 * @throws PostgresFailed with the reason that the server gave
 * @throws PostgresDirectoryUnreachable when we are root and the user `postgres` can not pass to the directory
 * @throws PostgresNotFound, NoPostgresAccount
 */
export async function startPostgresServer(options: PostgresOptions): Promise<PostgresServer> {
  const { logger, fsync = true } = options;
  const place = await openPlace(options);
  await replacePredecessor(place, logger);
  const password = await ensureCluster(place, options);
  const port = await choosePort(options.port);
  const { child, exited } = await launch(place, port, fsync);
  logger?.info({ pid: child.pid, port, dataDir: place.dataDir }, 'PostgreSQL started');
  return {
    url: `postgresql://${USER}:${password}@${HOST}:${port}/${DATABASE}`,
    port,
    pid: child.pid ?? 0,
    exited,
    stop: (deadlineMs) => stop(child, exited, deadlineMs),
  };
}

async function openPlace(options: PostgresOptions): Promise<Place> {
  const { dataDir: directory } = options;
  const account = await postgresAccount();
  const located = await locatePostgres();
  if (account === undefined) {
    const dataDir = await openDirectory(directory, 0o700);
    return { dataDir, cluster: join(dataDir, 'cluster'), account, binaries: located };
  }
  const dataDir = await openPassableDirectory(options, account);
  const cluster = join(dataDir, 'cluster');
  return { dataDir, cluster, account, binaries: await binariesFor(located, account, dataDir) };
}

async function openDirectory(directory: string, mode: number): Promise<string> {
  await mkdir(directory, { recursive: true, mode });
  return realpath(directory);
}

/** The directory that was asked for, or one of root's own when the account may not pass to it. */
async function openPassableDirectory(
  { dataDir, rootsOwnDir = '/var/lib/posthaste', logger }: PostgresOptions,
  account: Account,
): Promise<string> {
  const wanted = await openDirectory(dataDir, 0o711);
  const obstacle = await untraversable(join(wanted, 'cluster'), account);
  if (obstacle === undefined) return wanted;
  const name = createHash('sha256').update(wanted).digest('hex').slice(0, 16);
  const elsewhere = await openDirectory(join(rootsOwnDir, name), 0o711);
  if ((await untraversable(join(elsewhere, 'cluster'), account)) !== undefined) {
    throw new PostgresDirectoryUnreachable(
      `PostgreSQL does not run as root but as the user "postgres", who may not pass through ${obstacle}. ` +
        'Set POSTHASTE_DATA_DIR to a directory elsewhere, or POSTHASTE_DATABASE_URL to a server of your own.',
    );
  }
  logger?.warn({ wanted, obstacle, dataDir: elsewhere }, 'the user postgres can not reach the data directory');
  return elsewhere;
}

/** The directory is ours alone (the launcher holds its lock), so whatever runs on it has lost its parent. */
async function replacePredecessor({ cluster }: Place, logger: EmbeddedLogger | undefined): Promise<void> {
  const pids = await findProcesses(`-D ${cluster} `);
  if (pids.length > 0) {
    logger?.warn({ pids }, 'stopping a PostgreSQL that a killed process has left');
    await stopProcesses(pids, { signal: 'SIGINT' });
  }
  // The process id may be somebody else's by now, for example in a restarted container: the server would not start.
  const lockFile = join(cluster, 'postmaster.pid');
  const pid = Number.parseInt(await readFile(lockFile, 'utf8').catch(() => ''), 10);
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => undefined);
  if (name !== undefined && !name.includes('postgres')) await rm(lockFile, { force: true });
}

/** @returns the password */
async function ensureCluster(place: Place, { logger, fsync = true }: PostgresOptions): Promise<string> {
  const passwordFile = join(place.dataDir, 'password');
  if (await isThere(place.cluster)) return (await readFile(passwordFile, 'utf8')).trim();
  logger?.info({ dataDir: place.dataDir }, 'making a PostgreSQL cluster');
  const password = randomBytes(24).toString('hex');
  await writePrivateFile(passwordFile, `${password}\n`);
  await makeCluster(place, password, fsync);
  return password;
}

/** Made under another name and renamed when it is whole: a crash leaves no half cluster. */
async function makeCluster(place: Place, password: string, fsync: boolean): Promise<void> {
  const { dataDir, cluster, account, binaries } = place;
  const draft = join(dataDir, 'cluster.tmp');
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  const passwordFile = join(dataDir, 'password.tmp');
  await writeFile(passwordFile, password, { mode: 0o600 });
  await chmod(passwordFile, 0o600);
  if (account !== undefined) {
    for (const path of [draft, passwordFile]) await chown(path, account.uid, account.gid);
  }
  try {
    await run(
      binaries.initdb,
      [
        '-D',
        draft,
        '-U',
        USER,
        '--pwfile',
        passwordFile,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        ...(fsync ? [] : ['--no-sync']),
      ],
      { ...account, cwd: '/', timeout: 120_000 },
    );
    await createDatabase(binaries, draft, account);
  } catch (cause) {
    const { stderr } = cause as { stderr?: unknown };
    throw new PostgresFailed(`The PostgreSQL cluster could not be made: ${lastLine(String(stderr ?? cause))}`, {
      cause,
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(draft, cluster);
}

/** In single-user mode, before anybody can connect. */
async function createDatabase(
  binaries: PostgresBinaries,
  cluster: string,
  account: Account | undefined,
): Promise<void> {
  const made = run(binaries.postgres, ['--single', '-D', cluster, 'postgres'], {
    ...account,
    cwd: '/',
    timeout: 60_000,
  });
  made.child.stdin?.end(`create database ${DATABASE}\n`);
  await made;
}

async function choosePort(port: number | undefined): Promise<number> {
  if (port === undefined || port === 0) return freePort(HOST);
  if (await isPortFree(HOST, port)) return port;
  throw new PostgresFailed(`PostgreSQL can not start: port ${port} on ${HOST} is in use.`);
}

interface Launched {
  readonly child: ChildProcess;
  readonly exited: Promise<ChildExit>;
}

/** Tries again while processes of a killed predecessor still hold the shared memory; they notice within moments. */
async function launch(place: Place, port: number, fsync: boolean): Promise<Launched> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const launched = await launchOnce(place, port, fsync);
    if (await untilReady(launched, place.cluster, deadline)) return launched;
    launched.child.kill('SIGQUIT');
    await launched.exited;
    const log = await readFile(join(place.dataDir, 'postgres.log'), 'utf8').catch(() => '');
    if (log.includes('pre-existing shared memory block') && performance.now() < deadline) {
      await delay(POLL_MS);
      continue;
    }
    throw new PostgresFailed(`PostgreSQL did not start: ${reasonIn(log)}`);
  }
}

async function launchOnce(
  { dataDir, cluster, account, binaries }: Place,
  port: number,
  fsync: boolean,
): Promise<Launched> {
  const log = await open(join(dataDir, 'postgres.log'), 'w', 0o600);
  try {
    const settings = Object.entries(settingsFor(port, fsync)).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(binaries.postgres, ['-D', cluster, ...settings], {
      ...account,
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', log.fd],
    });
    return { child, exited: exitOf(child) };
  } finally {
    await log.close();
  }
}

function settingsFor(port: number, fsync: boolean): Record<string, string> {
  return {
    listen_addresses: HOST,
    port: String(port),
    unix_socket_directories: '',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'warning',
    jit: 'off',
    ...(fsync ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' }),
  };
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
    child.once('error', () => {
      resolve({ code: null, signal: null });
    });
  });
}

/** The server writes its state into the eighth line of its lock file. */
async function untilReady({ child, exited }: Launched, cluster: string, deadline: number): Promise<boolean> {
  let isOver = child.pid === undefined;
  void exited.then(() => (isOver = true));
  while (!isOver && performance.now() < deadline) {
    const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return true;
    await delay(POLL_MS);
  }
  return false;
}

async function stop(child: ChildProcess, exited: Promise<ChildExit>, deadlineMs = 10_000): Promise<ChildExit> {
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGQUIT'), deadlineMs);
  const exit = await exited;
  clearTimeout(timer);
  return exit;
}

function reasonIn(log: string): string {
  const fatal = log.split('\n').findLast((line) => /\b(FATAL|PANIC):/.test(line));
  return fatal?.replace(/^.*\b(?:FATAL|PANIC):\s*/, '') ?? (lastLine(log) || 'it did not answer in time');
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
