import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { DataDirectoryInUse, DataDirectoryUnusable, openDataDirectory } from './data-directory.ts';
import { openKeptSecrets } from './kept-secrets.ts';
import { processIdentity } from './processes.ts';
import { readRuntime, removeRuntime, writeRuntime, type Runtime } from './runtime-file.ts';

/** Opens the directory when it is told to, and says what came of it. A process of its own: a lock is one process's. */
const CONTENDER = `
  const { openDataDirectory } = await import('#embedded/data-directory');
  process.stdin.once('data', () => {
    openDataDirectory(process.argv[1]).then(() => console.log('in'), ({ code }) => console.log(code));
  });
  console.log('here');`;

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

let scratch: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'posthaste-data-'));
});

afterEach(() => rm(scratch, { recursive: true, force: true }));

describe('openDataDirectory', () => {
  test('makes the directory, and lets nobody else in until it is released', async () => {
    const path = join(scratch, 'a', 'b');
    const directory = await openDataDirectory(path);
    const refusal = openDataDirectory(path);
    await expect(refusal).rejects.toThrow(DataDirectoryInUse);
    await expect(refusal).rejects.toThrow(
      `The data directory ${path} is in use by process ${process.pid}. ` +
        'Stop that process, or set POSTHASTE_DATA_DIR to another directory.',
    );
    await directory.release();
    expect(await readdir(path)).toEqual([]);
    await (await openDataDirectory(path)).release();
  });

  test('lets one of many processes in', async () => {
    const flags = ['--conditions=source', '--no-warnings', '--input-type=module', '--eval', CONTENDER, scratch];
    const contenders = Array.from({ length: 6 }, () =>
      spawn(process.execPath, flags, { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const said = contenders.map(() => '');
    for (const [i, { stdout }] of contenders.entries())
      stdout.on('data', (data: Buffer) => (said[i] += data.toString()));
    try {
      await eventually(() => said.every((text) => text === 'here\n'));
      for (const { stdin } of contenders) stdin.write('go');
      await eventually(() => said.every((text) => /^here\n.+\n$/.test(text)));
      const refused = Array<string>(5).fill('here\nembedded.data_directory_in_use\n');
      expect(said.toSorted()).toEqual([...refused, 'here\nin\n']);
    } finally {
      await Promise.all(contenders.map(end));
    }
  });

  test.each([
    ['whose process does not run', { pid: 2 ** 22 + 1, identity: '1' }],
    ['whose process id somebody else has got', { pid: process.pid, identity: 'another start' }],
    ['that is not one', 'garbage'],
  ])('takes over a lock %s', async (_title, lock) => {
    await writeFile(join(scratch, 'posthaste.pid'), typeof lock === 'string' ? lock : JSON.stringify(lock));
    const directory = await openDataDirectory(scratch);
    expect(await readdir(scratch)).toEqual(['posthaste.pid']);
    await directory.release();
  });

  test('says in one line why a directory can not be used', async () => {
    await writeFile(join(scratch, 'file'), '');
    const refusal = openDataDirectory(join(scratch, 'file', 'sub'));
    await expect(refusal).rejects.toThrow(DataDirectoryUnusable);
    await expect(refusal).rejects.toThrow(/can not be used: .*ENOTDIR/);
  });
});

describe('kept secrets', () => {
  test('are made once, also when asked for together, and readable by their owner only', async () => {
    const secrets = await openKeptSecrets(scratch);
    const made = await Promise.all(['a', 'b', 'c', 'a'].map((name, i) => secrets.keep(name, () => `${name}${i}`)));
    expect(made).toEqual(['a0', 'b1', 'c2', 'a0']);
    await secrets.put('b', 'new');
    const again = await openKeptSecrets(scratch);
    expect(['a', 'b', 'c', 'd'].map((name) => again.get(name))).toEqual(['a0', 'new', 'c2', undefined]);
    expect((await stat(join(scratch, 'secrets.json'))).mode & 0o777).toBe(0o600);
  });

  test('refuse to start afresh over a file that can not be read', async () => {
    await writeFile(join(scratch, 'secrets.json'), '{"adminToken": ');
    await expect(openKeptSecrets(scratch)).rejects.toThrow(/secrets\.json is not JSON/);
  });
});

describe('the runtime file', () => {
  const runtime: Runtime = {
    pid: process.pid,
    httpUrl: 'http://127.0.0.1:1',
    registryUrl: 'http://127.0.0.1:1',
    inboxUrl: 'http://127.0.0.1:1/inbox',
    natsUrl: 'nats://127.0.0.1:2',
    databaseUrl: 'postgresql://127.0.0.1:3/posthaste',
    adminToken: 'a',
    tenant: 'default',
    apiKey: 'phk_a',
  };

  test('is read back while its process runs, and not after', async () => {
    expect(await readRuntime(scratch)).toBeUndefined();
    await writeRuntime(scratch, runtime);
    expect(await readRuntime(scratch)).toMatchObject(runtime);
    expect((await stat(join(scratch, 'runtime.json'))).mode & 0o777).toBe(0o600);
    await writeFile(join(scratch, 'runtime.json'), JSON.stringify({ ...runtime, identity: 'an earlier process' }));
    expect(await readRuntime(scratch)).toBeUndefined();
    await removeRuntime(scratch);
    expect(await readRuntime(scratch)).toBeUndefined();
  });
});

describe('processIdentity', () => {
  test('is the same at each look, and undefined for nobody', async () => {
    expect(await processIdentity(process.pid)).toBe(await processIdentity(process.pid));
    const later = spawn('sleep', ['60']);
    try {
      expect(await processIdentity(process.pid)).not.toBe(await processIdentity(later.pid ?? 0));
    } finally {
      await end(later);
    }
    expect(await processIdentity(2 ** 22 + 1)).toBeUndefined();
  });
});
