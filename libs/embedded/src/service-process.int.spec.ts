import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { portOfOwn } from '#testkit/port-of-own';
import { findProcesses, processIdentity } from './processes.ts';
import { startServiceProcess } from './service-process.ts';

const SERVICE = `
import { createServer } from 'node:http';
console.error('hello from', process.argv[2]);
const server = createServer((request, reply) => reply.end('ready'));
server.listen(Number(process.env.POSTHASTE_HTTP_PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
`;

let scratch: string;
let script: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'posthaste-service-'));
  script = join(scratch, 'main.mjs');
  await writeFile(script, SERVICE);
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

describe('startServiceProcess', () => {
  test('waits until the service is ready, keeps what it says and stops it', async () => {
    const port = String(await portOfOwn());
    const lines: string[] = [];
    const service = await startServiceProcess({
      name: 'test',
      script,
      args: ['a test'],
      env: { POSTHASTE_HTTP_PORT: port },
      onLine: (line) => lines.push(line),
    });
    expect(service.url).toBe(`http://127.0.0.1:${port}`);
    expect((await fetch(`${service.url}/livez`)).status).toBe(200);
    expect(await service.stop()).toEqual({ code: 0, signal: null });
    expect(service.output()).toBe('hello from a test');
    expect(lines).toEqual(['hello from a test']);
    expect(await processIdentity(service.pid)).toBeUndefined();
  });

  test('fails with the last line of a service that ends', async () => {
    const broken = join(scratch, 'broken.mjs');
    await writeFile(broken, `console.error('first'); console.error('posthaste: no luck today'); process.exit(1);`);
    const starting = startServiceProcess({ name: 'test', script: broken, env: { POSTHASTE_HTTP_PORT: '1' } });
    await expect(starting).rejects.toThrow('test did not start: posthaste: no luck today');
  });

  test('fails with what is missing when a service does not get ready, and leaves nothing behind', async () => {
    // It is answered for, so that the answer is there in time however long the process takes to start.
    const server = createServer((_, reply) => reply.writeHead(503).end('{"checks":"none"}'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const idle = join(scratch, 'idle.mjs');
    await writeFile(idle, 'setInterval(() => undefined, 1000);');
    try {
      const starting = startServiceProcess({
        name: 'test',
        script: idle,
        env: { POSTHASTE_HTTP_PORT: String((server.address() as AddressInfo).port) },
        readyTimeoutMs: 1500,
      });
      await expect(starting).rejects.toThrow('test did not start: it is not ready: {"checks":"none"}');
      expect(await findProcesses(idle)).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
