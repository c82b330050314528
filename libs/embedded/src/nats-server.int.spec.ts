import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateNatsServer, NatsServerFailed, startNatsServer, type NatsServer } from './nats-server.ts';

let directory: string;
let binary: string;
let started: NatsServer[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'posthaste-embedded-'));
  binary = (await locateNatsServer(process.env)).path;
  started = [];
});

afterEach(async () => {
  await Promise.all(started.map((server) => server.stop()));
  await rm(directory, { recursive: true, force: true });
});

async function start(options: Partial<Parameters<typeof startNatsServer>[0]> = {}): Promise<NatsServer> {
  const server = await startNatsServer({ binary, storeDir: join(directory, 'store'), ...options });
  started.push(server);
  return server;
}

/** What the server says first. */
function infoOf(port: number): Promise<{ jetstream: boolean; max_payload: number; auth_required?: boolean }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('error', reject);
    socket.once('data', (chunk) => {
      socket.destroy();
      resolve(JSON.parse(chunk.toString('utf8').replace(/^INFO /, '')));
    });
  });
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('startNatsServer', () => {
  test('is ready when it resolves, with JetStream, 8 MiB messages, and no door without a password', async () => {
    const server = await start({ credentials: { user: 'posthaste', password: 'a "quoted" one' } });
    expect(await infoOf(server.port)).toMatchObject({ jetstream: true, max_payload: 8_388_608, auth_required: true });
    expect((await stat(join(directory, 'store', 'nats-server.conf'))).mode & 0o777).toBe(0o600);
  });

  test('stops on request, tells how it ended, and takes its process id with it', async () => {
    const pidFile = join(directory, 'nats.pid');
    const server = await start({ pidFile });
    expect(Number(await readFile(pidFile, 'utf8'))).toBe(server.pid);
    await server.stop();
    expect(await server.exited).toEqual({ code: expect.anything(), signal: null });
    expect(isAlive(server.pid)).toBe(false);
    expect(existsSync(pidFile)).toBe(false);
  });

  test('tells that it was killed', async () => {
    const server = await start();
    process.kill(server.pid, 'SIGKILL');
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  test('says in one line that the port is taken', async () => {
    const first = await start();
    const second = start({ storeDir: join(directory, 'other'), port: first.port });
    await expect(second).rejects.toThrow(NatsServerFailed);
    await expect(second).rejects.toThrow(/^nats-server did not start: .*address already in use"?$/);
  });

  test('says in one line that the binary cannot be run', async () => {
    await expect(start({ binary: join(directory, 'nothing') })).rejects.toThrow(/^nats-server did not start: .+$/);
  });
});
