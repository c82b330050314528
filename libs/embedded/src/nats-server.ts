import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What is installed when no server is found; the version that every figure in the documentation was measured with. */
export const NATS_SERVER_VERSION = '2.15.1';
/** Older servers on PATH are passed over: `@at` schedules need 2.12, their atomic cancellation 2.14. */
export const NATS_SERVER_MINIMUM = '2.14.0';
/** Twice the largest event with its headers, with room for the batch of a structured producer. */
const DEFAULT_MAX_PAYLOAD_BYTES = 8 * 1024 * 1024;

/** The subset of a pino logger that is used here. */
export interface EmbeddedLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** No usable nats-server: the message says how to get one. */
export class NatsServerNotFound extends Error {
  readonly code = 'embedded.nats_server_not_found';
}

/** The server did not start, or is not the one that was started. The message is one line, fit for an operator. */
export class NatsServerFailed extends Error {
  readonly code = 'embedded.nats_server_failed';
}

export interface LocatedNatsServer {
  readonly path: string;
  readonly version: string;
  readonly origin: 'POSTHASTE_NATS_SERVER' | 'PATH' | 'cache' | 'go install';
}

export interface LocateOptions {
  /** May `go install` be run when nothing is found? Default true. */
  readonly install?: boolean;
  readonly logger?: EmbeddedLogger;
}

/**
 * Finds a nats-server: `POSTHASTE_NATS_SERVER`, PATH (if new enough), the cache, else `go install` into the cache.
 *
 * @throws NatsServerNotFound when there is none, or when `POSTHASTE_NATS_SERVER` names one that cannot be used
 */
export async function locateNatsServer(
  env: Readonly<Record<string, string | undefined>>,
  { install = true, logger }: LocateOptions = {},
): Promise<LocatedNatsServer> {
  const chosen = env['POSTHASTE_NATS_SERVER'];
  if (chosen !== undefined && chosen !== '') return chosenServer(chosen);
  const refused: string[] = [];
  for (const directory of (env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const path = join(directory, 'nats-server');
    if (!(await isExecutable(path))) continue;
    const version = await versionOf(path);
    if (version !== undefined && isAtLeast(version, NATS_SERVER_MINIMUM)) return { path, version, origin: 'PATH' };
    refused.push(`${path} (${version ?? 'does not run'})`);
  }
  const cached = cachePath(env);
  const cachedVersion = (await isExecutable(cached)) ? await versionOf(cached) : undefined;
  if (cachedVersion !== undefined) return { path: cached, version: cachedVersion, origin: 'cache' };
  const trouble = install ? await goInstall(env, cached, logger) : 'installing was not asked for';
  const installed = trouble === undefined ? await versionOf(cached) : undefined;
  if (installed !== undefined) return { path: cached, version: installed, origin: 'go install' };
  throw new NatsServerNotFound(howToGetOne(cached, refused, trouble ?? 'what it installed does not run'));
}

async function chosenServer(path: string): Promise<LocatedNatsServer> {
  const version = await versionOf(path);
  if (version === undefined) {
    throw new NatsServerNotFound(`POSTHASTE_NATS_SERVER=${path} is not a nats-server that runs here`);
  }
  if (!isAtLeast(version, NATS_SERVER_MINIMUM)) {
    throw new NatsServerNotFound(
      `POSTHASTE_NATS_SERVER=${path} is ${version}; at least ${NATS_SERVER_MINIMUM} is needed (${NATS_SERVER_VERSION} recommended)`,
    );
  }
  return { path, version, origin: 'POSTHASTE_NATS_SERVER' };
}

function howToGetOne(cached: string, refused: readonly string[], trouble: string): string {
  return [
    `No nats-server ${NATS_SERVER_MINIMUM} or newer was found${refused.length > 0 ? `; too old: ${refused.join(', ')}` : ''}. Any of these helps:`,
    `  - put nats-server on PATH, or set POSTHASTE_NATS_SERVER=/path/to/nats-server (https://github.com/nats-io/nats-server/releases)`,
    `  - install Go and start again: it is then built with go install (now: ${trouble})`,
    `  - copy a binary to ${cached}`,
    `  - use a server that runs elsewhere: POSTHASTE_NATS_URL=nats://host:4222 (for example the image nats:${NATS_SERVER_VERSION} with -js)`,
  ].join('\n');
}

function cachePath(env: Readonly<Record<string, string | undefined>>): string {
  const base = env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache');
  return join(base, 'posthaste', 'nats-server', NATS_SERVER_VERSION, 'nats-server');
}

/** Builds into a directory of its own and renames, so that two starts at once cannot see half a binary. */
async function goInstall(
  env: Readonly<Record<string, string | undefined>>,
  target: string,
  logger: EmbeddedLogger | undefined,
): Promise<string | undefined> {
  const module = `github.com/nats-io/nats-server/v2@v${NATS_SERVER_VERSION}`;
  const scratch = `${target}.${process.pid}.tmp`;
  try {
    await run('go', ['version'], { env: { ...env } });
  } catch {
    return 'go is not on PATH';
  }
  logger?.info({ module }, 'no nats-server found: building it once with go install (about a minute)');
  try {
    await mkdir(scratch, { recursive: true });
    await run('go', ['install', module], { env: { ...env, GOBIN: scratch }, timeout: 600_000 });
    await rename(join(scratch, 'nats-server'), target);
    return undefined;
  } catch (cause) {
    return `go install ${module} failed: ${lastLine(cause instanceof Error ? cause.message : String(cause))}`;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** `2.15.1`, or undefined when the file does not run or says something else. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return parseVersion(stdout);
  } catch {
    return undefined;
  }
}

/** The version in the output of `nats-server --version`. */
export function parseVersion(text: string): string | undefined {
  return /\bv?(\d+\.\d+\.\d+)/.exec(text)?.[1];
}

/** Compares `major.minor.patch`; what follows the patch number is ignored. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [a, b] = [version, minimum].map((text) => text.split('.').map((part) => Number.parseInt(part, 10)));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

export interface NatsServerOptions {
  readonly binary: string;
  /** Made if missing. Holds the streams, the configuration file and the log. */
  readonly storeDir: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly credentials?: { readonly user: string; readonly password: string } | { readonly token: string };
  /** A file with accounts and permissions that the configuration includes; instead of `credentials`. Absolute. */
  readonly accountsFile?: string;
  /** For variables that the accounts file refers to. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default 8 MiB. */
  readonly maxPayloadBytes?: number;
  /** The server writes its process id here; {@link NatsServer.stop} removes the file. After a crash of ours it is still there. */
  readonly pidFile?: string;
  readonly logger?: EmbeddedLogger;
  /** Default 15 s: a store with a few million messages takes seconds to open. */
  readonly startTimeoutMs?: number;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface NatsServer {
  /** Without the credentials. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<ChildExit>;
  /** SIGTERM, then SIGKILL after `deadlineMs` (default 10 s). Resolves when the process is gone. */
  stop(deadlineMs?: number): Promise<ChildExit>;
}

/**
 * Starts a JetStream server and waits until it accepts connections.
 *
 * It runs in a process group of its own, so that Ctrl-C in a terminal reaches us first and we can drain before it stops,
 * and logs to `nats-server.log` in the store: with a pipe it would die of SIGPIPE at some later moment after we were killed.
 *
 * @throws NatsServerFailed with the reason that the server gave (a port in use, a directory that cannot be written)
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const { storeDir, host = '127.0.0.1', startTimeoutMs = 15_000 } = options;
  const name = `posthaste-${randomBytes(6).toString('hex')}`;
  const configFile = join(storeDir, 'nats-server.conf');
  await mkdir(storeDir, { recursive: true });
  await writeFile(configFile, natsServerConfig(options, name), { mode: 0o600 });
  const logFile = join(storeDir, 'nats-server.log');
  const logStart = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  const child = spawn(options.binary, ['-c', configFile], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  });
  const complaint = collect(child.stderr);
  const exited = exitOf(child);
  const started = awaitReady(child, {
    storeDir,
    host,
    port: options.port ?? 0,
    name,
    deadlineAt: Date.now() + startTimeoutMs,
  });
  const port = await Promise.race([started, exited.then(() => undefined)]);
  if (port === undefined || child.pid === undefined) {
    child.kill('SIGKILL');
    await exited;
    throw new NatsServerFailed(`nats-server did not start: ${await reasonOf(logFile, logStart, complaint())}`);
  }
  options.logger?.info({ pid: child.pid, port, storeDir }, 'nats-server started');
  return {
    url: `nats://${host}:${port}`,
    port,
    pid: child.pid,
    exited,
    async stop(deadlineMs) {
      const exit = await stop(child, exited, deadlineMs);
      if (options.pidFile !== undefined) await rm(options.pidFile, { force: true });
      return exit;
    },
  };
}

async function stop(child: ChildProcess, exited: Promise<ChildExit>, deadlineMs = 10_000): Promise<ChildExit> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  const exit = await exited;
  clearTimeout(timer);
  return exit;
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text = (text + chunk).slice(-4096);
  });
  return () => text;
}

/** The configuration file of the server. Strings are JSON strings, which its parser reads. */
export function natsServerConfig(options: NatsServerOptions, serverName: string): string {
  const text = JSON.stringify;
  const { credentials } = options;
  const authorization =
    credentials === undefined
      ? []
      : 'token' in credentials
        ? [`authorization { token: ${text(credentials.token)} }`]
        : [`authorization { user: ${text(credentials.user)}, password: ${text(credentials.password)} }`];
  return [
    `server_name: ${text(serverName)}`,
    `host: ${text(options.host ?? '127.0.0.1')}`,
    `port: ${options.port === undefined || options.port === 0 ? -1 : options.port}`,
    `max_payload: ${options.maxPayloadBytes ?? DEFAULT_MAX_PAYLOAD_BYTES}`,
    `jetstream { store_dir: ${text(options.storeDir)} }`,
    ...authorization,
    // Included files are looked for beside the configuration, whatever their path.
    ...(options.accountsFile === undefined
      ? []
      : [`include ${text(relative(options.storeDir, options.accountsFile))}`]),
    ...(options.pidFile === undefined ? [] : [`pid_file: ${text(options.pidFile)}`]),
    `ports_file_dir: ${text(options.storeDir)}`,
    `log_file: ${text(join(options.storeDir, 'nats-server.log'))}`,
    `logfile_size_limit: 10MB`,
    `logfile_max_num: 2`,
    '',
  ].join('\n');
}

interface Awaited {
  readonly storeDir: string;
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly deadlineAt: number;
}

/** The port on which our own server answers, or undefined when the deadline passes or the process ends. */
async function awaitReady(child: ChildProcess, awaited: Awaited): Promise<number | undefined> {
  while (Date.now() < awaited.deadlineAt && child.exitCode === null && child.signalCode === null) {
    const port = awaited.port === 0 ? await announcedPort(child, awaited.storeDir) : awaited.port;
    if (port !== undefined && (await nameOfServerAt(awaited.host, port)) === awaited.name) return port;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

async function announcedPort(child: ChildProcess, storeDir: string): Promise<number | undefined> {
  const file = join(storeDir, `nats-server_${child.pid}.ports`);
  const text = await readFile(file, 'utf8').catch(() => '');
  const port = /"nats:\/\/[^"]*:(\d+)"/.exec(text)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** Who listens there: `server_name` of the INFO line, or undefined when nobody answers within a second. */
function nameOfServerAt(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let text = '';
    const done = (name?: string): void => {
      socket.destroy();
      resolve(name);
    };
    socket.setEncoding('utf8').setTimeout(1000, () => done());
    socket.on('error', () => done()).on('close', () => done());
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('\r\n')) done(/"server_name":"([^"]+)"/.exec(text)?.[1]);
    });
  });
}

/** The line in which the server says why it ended: `[FTL]` in what this start logged, else the last thing on stderr. */
async function reasonOf(logFile: string, logStart: number, complaint: string): Promise<string> {
  const log = await readFile(logFile).catch(() => Buffer.alloc(0));
  const mine = log.subarray(log.length < logStart ? 0 : logStart).toString('utf8');
  const fatal = mine.split('\n').findLast((line) => line.includes('[FTL]'));
  return fatal?.replace(/^.*\[FTL\]\s*/, '') ?? (lastLine(complaint) || 'it did not answer in time');
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
