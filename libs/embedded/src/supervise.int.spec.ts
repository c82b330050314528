import { spawn } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { findProcesses, processIdentity, stopProcesses } from './processes.ts';
import { supervise, type Child } from './supervise.ts';

const silent = { info: () => undefined, warn: () => undefined };

/** A process that does nothing, found by its marker. */
function idle(marker: string): Child {
  const child = spawn('sleep', ['600'], { stdio: 'ignore', detached: true, argv0: marker });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
  });
  return {
    pid: child.pid ?? 0,
    exited,
    async stop() {
      child.kill();
      await exited;
    },
  };
}

describe('supervise', () => {
  test('restarts a child that dies, as often as it dies, and none after stop', async () => {
    const marker = `posthaste-idle-${process.pid}-a`;
    const supervised = await supervise({
      name: 'idle',
      start: () => Promise.resolve(idle(marker)),
      logger: silent,
      minBackoffMs: 1,
    });
    const seen = new Set<number>();
    for (let deaths = 0; deaths < 3; deaths++) {
      const { pid } = await eventually(() => supervised.current());
      seen.add(pid);
      process.kill(pid, 'SIGKILL');
      await eventually(() => supervised.current()?.pid !== pid);
    }
    const { pid } = await eventually(() => supervised.current());
    expect(seen.size).toBe(3);
    await supervised.stop();
    expect(await processIdentity(pid)).toBeUndefined();
    expect(supervised.current()).toBeUndefined();
    expect(await findProcesses(marker)).toEqual([]);
  });

  test('rejects when the first start fails', async () => {
    const start = () => Promise.reject(new Error('no such binary'));
    await expect(supervise({ name: 'idle', start, logger: silent })).rejects.toThrow('no such binary');
  });

  test('goes on trying when a restart fails, and can be stopped meanwhile', async () => {
    let starts = 0;
    const reasons: unknown[] = [];
    const supervised = await supervise({
      name: 'idle',
      start: () =>
        starts++ === 0 ? Promise.resolve(idle('posthaste-idle-b')) : Promise.reject(new Error('port in use')),
      logger: { ...silent, warn: (fields: { reason?: unknown }) => reasons.push(fields.reason) },
      minBackoffMs: 1,
      maxBackoffMs: 5,
    });
    process.kill(supervised.current()?.pid ?? 0, 'SIGKILL');
    await eventually(() => starts >= 4);
    expect(supervised.current()).toBeUndefined();
    await supervised.stop();
    expect(reasons).toContain('port in use');
  });
});

describe('stopProcesses', () => {
  test('ends processes that are found by their command line, and takes those that are gone for ended', async () => {
    const marker = `posthaste-idle-${process.pid}-c`;
    const orphan = idle(marker);
    const pids = await eventually(async () => {
      const found = await findProcesses(marker);
      return found.length > 0 ? found : undefined;
    });
    expect(pids).toEqual([orphan.pid]);
    await stopProcesses([...pids, 2 ** 22 + 1]);
    expect(await findProcesses(marker)).toEqual([]);
  });
});
