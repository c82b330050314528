import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '#store/database';
import { makeTemporaryDirectory, silentStoreLogger } from '#testkit/postgres';
import { PostgresDirectoryUnreachable, PostgresFailed, startPostgresServer, type PostgresServer } from './postgres.ts';
import { binariesFor, untraversable } from './postgres-binaries.ts';
import { processIdentity } from './processes.ts';

jest.setTimeout(120_000);

/** An account that owns nothing here. */
const SOMEBODY = { uid: 54_321, gid: 54_321 };

describe('startPostgresServer', () => {
  let dataDir: string;
  let servers: PostgresServer[];

  beforeEach(async () => {
    dataDir = await makeTemporaryDirectory('posthaste-embedded-');
    servers = [];
  });

  afterEach(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await rm(dataDir, { recursive: true, force: true });
  });

  async function start({ fsync = false } = {}): Promise<PostgresServer> {
    const server = await startPostgresServer({ dataDir, fsync });
    servers.push(server);
    return server;
  }

  async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
    const db = openDatabase({ url, logger: silentStoreLogger });
    try {
      return (await (await db.pool()).query({ text })).rows;
    } finally {
      await db.close();
    }
  }

  test('makes the database, keeps the password private, and goes on with the same data', async () => {
    const first = await start();
    await query(first.url, 'create table kept (n integer)');
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600);
    expect(await first.stop()).toEqual({ code: 0, signal: null });
    const second = await start();
    expect(await query(second.url, 'select count(*)::int as n from kept')).toEqual([{ n: 0 }]);
    expect(await query(second.url, `select current_setting('server_encoding') as e, current_database() as d`)).toEqual([
      { e: 'UTF8', d: 'posthaste' },
    ]);
  });

  test('lets nobody in without the password', async () => {
    const { url } = await start();
    await expect(query(url.replace(/:[0-9a-f]{48}@/, ':wrong@'), 'select 1')).rejects.toThrow('password');
  });

  test('stops what a killed predecessor left on the directory', async () => {
    const orphan = await start();
    const heir = await start();
    await orphan.exited;
    expect(await processIdentity(orphan.pid)).toBeUndefined();
    expect(await query(heir.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('starts after SIGKILL', async () => {
    const killed = await start({ fsync: true });
    await query(killed.url, 'create table kept (n integer)');
    process.kill(killed.pid, 'SIGKILL');
    await killed.exited;
    expect(await query((await start()).url, 'select * from kept')).toEqual([]);
  });

  test('starts although its lock file names a process that is somebody else', async () => {
    await (await start()).stop();
    const other = spawn('sleep', ['60']);
    try {
      await writeFile(join(dataDir, 'cluster', 'postmaster.pid'), `${String(other.pid)}\n`, { mode: 0o644 });
      expect((await start()).port).toBeGreaterThan(0);
    } finally {
      other.kill();
    }
  });

  test('says in one line that the port is in use', async () => {
    const { port } = await start();
    const elsewhere = await makeTemporaryDirectory('posthaste-embedded-');
    const second = startPostgresServer({ dataDir: elsewhere, port, fsync: false });
    await expect(second).rejects.toThrow(PostgresFailed);
    await expect(second).rejects.toThrow(`port ${port} on 127.0.0.1 is in use`);
    await rm(elsewhere, { recursive: true });
  });

  test('goes to a directory of root where its own user can reach it', async () => {
    const closed = await makeClosedDirectory();
    const rootsOwnDir = await makeTemporaryDirectory('posthaste-embedded-');
    await chmod(rootsOwnDir, 0o711);
    const server = await startPostgresServer({ dataDir: join(closed, 'postgres'), rootsOwnDir, fsync: false });
    const moved = await readdir(rootsOwnDir);
    await server.stop();
    // Only root runs PostgreSQL as somebody else; everybody else's is where it was asked for.
    expect(moved).toHaveLength(process.getuid?.() === 0 ? 1 : 0);
    await rm(closed, { recursive: true });
    await rm(rootsOwnDir, { recursive: true });
  });

  test('says which variable to set when its own user can reach neither', async () => {
    const closed = await makeClosedDirectory();
    expect(await untraversable(join(closed, 'postgres', 'cluster'), SOMEBODY)).toBe(closed);
    if (process.getuid?.() === 0) {
      const started = startPostgresServer({ dataDir: join(closed, 'postgres'), rootsOwnDir: join(closed, 'own') });
      await expect(started).rejects.toThrow(PostgresDirectoryUnreachable);
      await expect(started).rejects.toThrow(/POSTHASTE_DATA_DIR.*POSTHASTE_DATABASE_URL/);
    }
    await rm(closed, { recursive: true });
  });

  test('copies the programs to where its own user can run them', async () => {
    const closed = await makeClosedDirectory();
    const bin = join(closed, 'native', 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(closed, 'package.json'), '{"version":"1.2.3"}');
    for (const name of ['postgres', 'initdb']) await writeFile(join(bin, name), '', { mode: 0o755 });
    const located = { postgres: join(bin, 'postgres'), initdb: join(bin, 'initdb') };
    const copied = await binariesFor(located, SOMEBODY, dataDir);
    expect(copied.postgres).toBe(join(dataDir, 'server-1.2.3', 'bin', 'postgres'));
    expect((await stat(copied.postgres)).mode & 0o777).toBe(0o755);
    expect(await binariesFor(located, SOMEBODY, dataDir)).toEqual(copied);
    await rm(closed, { recursive: true });
  });
});

async function makeClosedDirectory(): Promise<string> {
  const closed = await mkdtemp(join(tmpdir(), 'posthaste-closed-'));
  await chmod(closed, 0o700);
  return closed;
}
