import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProcesses, stopProcesses } from '#embedded/processes';
import { eventually } from '#testkit/eventually';
import { portOfOwn } from '#testkit/port-of-own';
import { repositoryRoot } from '#testkit/processes';

/** A command of the all-in-one, as a person would start it. */
export interface Launched {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  /** The exit code; null after a signal that it did not survive. */
  readonly exited: Promise<number | null>;
}

/** A data directory and a port of a test's own. */
export interface Place {
  readonly dataDir: string;
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  launch(command: 'main' | 'demo' | 'cluster', options?: { args?: string[]; env?: Record<string, string> }): Launched;
  /** Whatever runs on the data directory. */
  processes(): Promise<number[]>;
  remove(): Promise<void>;
}

export async function makePlace(): Promise<Place> {
  const scratch = await mkdtemp(join(tmpdir(), 'posthaste-launch-'));
  // As root, PostgreSQL runs as another user, who has to pass through.
  await chmod(scratch, 0o711);
  const dataDir = join(scratch, 'data');
  const port = String(await portOfOwn());
  const env = { ...cleanEnvironment(), POSTHASTE_DATA_DIR: dataDir, POSTHASTE_HTTP_PORT: port };
  const processes = (): Promise<number[]> => findProcesses(dataDir);
  return {
    dataDir,
    url: `http://127.0.0.1:${port}`,
    env,
    launch: (command, { args = [], env: more = {} } = {}) => launch(command, args, { ...env, ...more }),
    processes,
    async remove() {
      await stopProcesses(await processes(), { signal: 'SIGKILL' });
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** Resolves with what it printed when everything was up. @throws what it said instead */
export async function untilWelcome(launched: Launched): Promise<string> {
  let hasExited = false;
  void launched.exited.then(() => (hasExited = true));
  const isUp = (): boolean => launched.stdout().includes('See it arrive');
  await eventually(() => isUp() || hasExited, { deadlineMs: 60_000 });
  if (!isUp()) throw new Error(`it ended: ${launched.stderr()}`);
  return launched.stdout();
}

function cleanEnvironment(): Record<string, string> {
  const isWanted = ([name, value]: [string, string | undefined]): boolean =>
    value !== undefined && !name.startsWith('POSTHASTE_') && name !== 'NODE_OPTIONS';
  return Object.fromEntries(Object.entries(process.env).filter(isWanted)) as Record<string, string>;
}

function launch(command: string, args: readonly string[], env: Record<string, string>): Launched {
  const script = join(repositoryRoot(), 'dist', 'apps', 'all-in-one', 'src', `${command}.js`);
  const child = spawn(process.execPath, ['--enable-source-maps', script, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      texts[stream] += chunk;
    });
  }
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      resolve(code);
    });
  });
  return {
    pid: child.pid ?? 0,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    kill: (signal) => {
      child.kill(signal);
    },
    exited,
  };
}
