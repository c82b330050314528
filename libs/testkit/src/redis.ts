import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.ts';
import { portOfOwn } from './port-of-own.ts';

const run = promisify(execFile);

const SOURCES = 'libs/testkit/miniredis';

export interface TestRedis {
  readonly port: number;
  /** Of the program that serves. */
  readonly kind: 'redis-server' | 'valkey-server' | 'miniredis';
  stop(): Promise<void>;
}

/**
 * A Redis on a free port: the redis-server or valkey-server of this machine, or else miniredis, built once with Go into the
 * cache. With POSTHASTE_TEST_REDIS=miniredis the last, whatever there is.
 */
export async function startRedis(): Promise<TestRedis> {
  const port = await portOfOwn();
  const directory = await mkdtemp(join(tmpdir(), 'posthaste-redis-'));
  const { kind, path } = await locate();
  const child =
    kind === 'miniredis'
      ? spawn(path, [`127.0.0.1:${port}`], { stdio: 'ignore' })
      : spawn(path, ['--bind', '127.0.0.1', '--port', String(port), '--dir', directory, '--appendonly', 'yes'], {
          stdio: 'ignore',
        });
  await eventually(() => child.exitCode === null && accepts(port));
  return {
    port,
    kind,
    async stop() {
      await end(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function locate(): Promise<Pick<TestRedis, 'kind'> & { readonly path: string }> {
  if (process.env['POSTHASTE_TEST_REDIS'] !== 'miniredis') {
    for (const kind of ['redis-server', 'valkey-server'] as const) {
      for (const directory of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
        const path = join(directory, kind);
        if (await isExecutable(path)) return { kind, path };
      }
    }
  }
  return { kind: 'miniredis', path: await buildMiniredis() };
}

/** Builds beside the target and renames, so that two at once can not see half a binary. */
async function buildMiniredis(): Promise<string> {
  const base = process.env['XDG_CACHE_HOME'] || join(process.env['HOME'] || homedir(), '.cache');
  const target = join(base, 'posthaste', 'miniredis', '2.38.0-1', 'miniredis');
  if (await isExecutable(target)) return target;
  await mkdir(dirname(target), { recursive: true });
  const scratch = `${target}.${process.pid}.tmp`;
  try {
    await run('go', ['build', '-C', SOURCES, '-o', scratch, '.'], { timeout: 600_000 });
  } catch (cause) {
    const how = 'install redis-server or valkey-server (apt-get install redis-server), or Go, which builds one';
    throw new Error(`There is no Redis for this test: ${how}.`, { cause });
  }
  await rename(scratch, target);
  return target;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
      .once('connect', () => {
        socket.destroy();
        resolve(true);
      })
      .once('error', () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill();
  await exited;
}
