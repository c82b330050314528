import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { findProcesses } from '#embedded/processes';
import { readRuntime } from '#embedded/runtime-file';
import { eventually } from '#testkit/eventually';
import { portOfOwn } from '#testkit/port-of-own';
import { makePlace, untilWelcome, type Place } from './launched.ts';

jest.setTimeout(240_000);

const run = promisify(execFile);
let place: Place;

beforeEach(async () => {
  place = await makePlace();
});

afterEach(() => place.remove());

/** The lines to paste, run by a shell; their answers. */
async function paste(welcome: string): Promise<unknown[]> {
  const lines = welcome.split('\n').filter((line) => line.includes('curl '));
  expect(lines).toHaveLength(3);
  const answers: unknown[] = [];
  for (const line of lines) {
    const { stdout } = await run('sh', ['-c', line]);
    answers.push(JSON.parse(stdout));
  }
  return answers;
}

function lookUpLine(welcome: string): string {
  return welcome.split('\n').findLast((line) => line.includes('curl ')) ?? '';
}

/** Pastes a look-up again until it shows one delivery like this: a cold or busy machine needs more than the line's second. */
function untilLookedUp(line: string, delivery: object): Promise<void> {
  return untilAnswered(line, { data: [delivery] });
}

/** Pastes a line again until its answer is like this. */
async function untilAnswered(line: string, answer: object): Promise<void> {
  await eventually(
    async () => {
      expect(JSON.parse((await run('sh', ['-c', line])).stdout)).toMatchObject(answer);
      return true;
    },
    { deadlineMs: 60_000 },
  );
}

async function isReady(): Promise<boolean> {
  return fetch(`${place.url}/readyz`).then(
    (answer) => answer.ok,
    () => false,
  );
}

interface Inbox {
  readonly data: { readonly verified: boolean; readonly event: { readonly id: string } }[];
}

async function helloInbox(): Promise<Inbox['data']> {
  return ((await (await fetch(`${place.url}/inbox/hello/notifications`)).json()) as Inbox).data;
}

async function portOf(server: 'nats' | 'postgres'): Promise<string> {
  const runtime = await readRuntime(place.dataDir);
  return new URL((server === 'nats' ? runtime?.natsUrl : runtime?.databaseUrl) ?? '').port;
}

describe('npm start', () => {
  test('prints lines that work when pasted, drains on SIGTERM, and goes on with the same data', async () => {
    const first = place.launch('main');
    const welcome = await untilWelcome(first);
    const [subscription, published] = await paste(welcome);
    expect(subscription).toMatchObject({ id: expect.stringMatching(/^sub_/), sink: `${place.url}/inbox/hello` });
    expect(published).toMatchObject({ events: [{ duplicate: false }] });
    await untilLookedUp(lookUpLine(welcome), { state: 'delivered', attemptCount: 1, lastStatus: 204 });
    expect(await helloInbox()).toMatchObject([{ verified: true, event: { type: 'com.example.hello' } }]);
    expect(await isReady()).toBe(true);

    first.kill('SIGTERM');
    expect(await first.exited).toBe(0);
    expect(await place.processes()).toEqual([]);
    expect(await readRuntime(place.dataDir)).toBeUndefined();

    const second = place.launch('main');
    const again = await untilWelcome(second);
    const apiKey = /phk_[\w-]+/;
    expect(apiKey.exec(again)?.[0]).toBe(apiKey.exec(welcome)?.[0]);
    const [, publishLine = ''] = again.split('\n').filter((line) => line.includes('curl '));
    await run('sh', ['-c', publishLine]);
    await eventually(async () => (await helloInbox()).some(({ verified }) => verified));
    second.kill('SIGINT');
    expect(await second.exited).toBe(0);
  });

  test('replaces what a killed run has left behind, and has its data', async () => {
    const first = place.launch('main');
    await paste(await untilWelcome(first));
    first.kill('SIGKILL');
    await first.exited;
    const left = await place.processes();
    expect(left.length).toBeGreaterThanOrEqual(2);

    const second = place.launch('main');
    const welcome = await untilWelcome(second);
    const now = await place.processes();
    expect(now.filter((pid) => left.includes(pid))).toEqual([]);
    await untilLookedUp(lookUpLine(welcome).replace(/\?event=[^']*/, ''), { state: 'delivered' });
    second.kill('SIGTERM');
    expect(await second.exited).toBe(0);
    expect(await place.processes()).toEqual([]);
  });

  test.each([
    ['nats', 'nats-server.conf'],
    ['postgres', 'postgres/cluster'],
  ] as const)('restarts %s on the same port when it dies, and is ready again by itself', async (server, marker) => {
    const launched = place.launch('main');
    const welcome = await untilWelcome(launched);
    const port = await portOf(server);
    const before = await findProcesses(join(place.dataDir, server === 'nats' ? `nats/${marker}` : marker));
    expect(before).toHaveLength(1);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await eventually(() => launched.stderr().includes('ended by itself; restarting it'));
    await eventually(() => launched.stderr().includes('is up again'), { deadlineMs: 60_000 });
    await eventually(isReady, { deadlineMs: 60_000 });
    expect(await portOf(server)).toBe(port);
    // One line after the other: with a second subscription there would be a second delivery.
    const [subscribe = '', publish = '', lookUp = ''] = welcome.split('\n').filter((line) => line.includes('curl '));
    await untilAnswered(subscribe, { sink: `${place.url}/inbox/hello` });
    await untilAnswered(publish, { events: [{ source: '/hello' }] });
    await untilAnswered(lookUp, { data: [{ state: 'delivered' }] });
    launched.kill('SIGTERM');
    expect(await launched.exited).toBe(0);
    expect(await place.processes()).toEqual([]);
  });
});

describe('npm start that can not', () => {
  /** Everything that is not a log line. */
  function complaint(stderr: string): string[] {
    return stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
  }

  test('says in one line whose port it is', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(Number(new URL(place.url).port), '127.0.0.1', resolve));
    const launched = place.launch('main');
    expect(await launched.exited).toBe(1);
    server.close();
    expect(complaint(launched.stderr())).toEqual([
      `posthaste: Port ${new URL(place.url).port} on 127.0.0.1 is in use. ` +
        'Stop the other program, or set POSTHASTE_HTTP_PORT to a free port.',
    ]);
    expect(await place.processes()).toEqual([]);
  });

  test('says in one line who uses the data directory, and leaves that one alone', async () => {
    const first = place.launch('main');
    await untilWelcome(first);
    const second = place.launch('main', { env: { POSTHASTE_HTTP_PORT: '0' } });
    expect(await second.exited).toBe(1);
    expect(complaint(second.stderr())).toEqual([
      `posthaste: The data directory ${place.dataDir} is in use by process ${first.pid}. ` +
        'Stop that process, or set POSTHASTE_DATA_DIR to another directory.',
    ]);
    expect(await isReady()).toBe(true);
    first.kill('SIGTERM');
    expect(await first.exited).toBe(0);
  });

  test('says in one line what is wrong with nats-server, and leaves nothing running', async () => {
    const broken = `${place.dataDir}-broken-nats`;
    const script = `#!/bin/sh\n[ "$1" = --version ] && echo "nats-server: v2.99.0" && exit 0\necho "out of luck" >&2\nexit 3\n`;
    await writeFile(broken, script, { mode: 0o755 });
    const launched = place.launch('main', { env: { POSTHASTE_NATS_SERVER: broken } });
    expect(await launched.exited).toBe(1);
    expect(complaint(launched.stderr())).toEqual(['posthaste: nats-server did not start: out of luck']);
    const missing = place.launch('main', { env: { POSTHASTE_NATS_SERVER: '/nowhere/nats-server' } });
    expect(await missing.exited).toBe(1);
    expect(complaint(missing.stderr())).toEqual([
      'posthaste: POSTHASTE_NATS_SERVER=/nowhere/nats-server is not a nats-server that runs here',
    ]);
    expect(await place.processes()).toEqual([]);
  });

  test('ends when it is told to while it waits for NATS, and leaves nothing running', async () => {
    const nobodyThere = `nats://127.0.0.1:${await portOfOwn()}`;
    const launched = place.launch('main', { env: { POSTHASTE_NATS_URL: nobodyThere } });
    await eventually(() => launched.stderr().includes('no server answers yet'), { deadlineMs: 60_000 });
    launched.kill('SIGTERM');
    expect(await launched.exited).toBe(0);
    await eventually(async () => (await place.processes()).length === 0, { deadlineMs: 60_000 });
  });

  test('lists every problem of the configuration', async () => {
    const env = { POSTHASTE_HTTP_PORT: 'x', POSTHASTE_ADMIN_TOKEN: 'short', POSTHASTE_MASTER_KEY: 'none' };
    const launched = place.launch('main', { env });
    expect(await launched.exited).toBe(1);
    expect(launched.stderr()).toMatch(/^posthaste: The configuration is not valid:\n/);
    for (const name of Object.keys(env)) expect(launched.stderr()).toContain(`  ${name}: `);
  });
});

describe('npm run demo', () => {
  test('starts Posthaste, shows every event arriving verified, and stops what it started', async () => {
    const demo = place.launch('demo', { args: ['--events', '3'] });
    expect(await demo.exited).toBe(0);
    expect(demo.stdout().match(/arrived after \d+ ms, signature verified/g)).toHaveLength(3);
    expect(demo.stdout()).toContain('All 3 events arrived, every signature verified.');
    expect(await place.processes()).toEqual([]);
  });

  test('says in one line why it failed', async () => {
    const demo = place.launch('demo', { env: { POSTHASTE_NATS_SERVER: '/nowhere/nats-server' } });
    expect(await demo.exited).toBe(1);
    expect(demo.stderr()).toBe(
      'posthaste: Posthaste did not start: posthaste: POSTHASTE_NATS_SERVER=/nowhere/nats-server is not a nats-server that runs here\n',
    );
  });
});

describe('npm run cluster', () => {
  test('runs every service as a process of its own, restarts those that die, and drains', async () => {
    const cluster = place.launch('cluster', {
      args: ['--delivery', '2', '--matcher', '1'],
      env: { POSTHASTE_HTTP_PORT: '0' },
    });
    const welcome = await untilWelcome(cluster);
    const names = [...welcome.matchAll(/^ {2}(\S+) +http:\S+\/metrics$/gm)].map(([, name]) => name);
    expect(names).toEqual([
      'gateway',
      'registry',
      'matcher',
      'delivery-1',
      'delivery-2',
      'signer',
      'projector',
      'janitor',
      'inbox',
    ]);
    await paste(welcome);
    await untilLookedUp(lookUpLine(welcome), { state: 'delivered', lastStatus: 204 });

    const [signer = 0] = await findProcesses('apps/signer/src/main.js --data-dir=' + place.dataDir);
    process.kill(signer, 'SIGKILL');
    await eventually(() => cluster.stderr().includes('signer is up again'), { deadlineMs: 60_000 });
    const demo = place.launch('demo', { args: ['--events', '3'] });
    expect(await demo.exited).toBe(0);

    cluster.kill('SIGTERM');
    expect(await cluster.exited).toBe(0);
    expect(await place.processes()).toEqual([]);
  });
});
