import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { createClient } from '@redis/client';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { transform } from '@swc/core';
import { openDatabase } from '#store/database';
import { eventually } from '#testkit/eventually';
import { readWireRequest } from '#testkit/foreign-verifiers';
import { nodeRelease } from '#testkit/node-release';
import { portOfOwn } from '#testkit/port-of-own';
import { silentStoreLogger, startPostgres } from '#testkit/postgres';
import { startRedis } from '#testkit/redis';
import type { PublicKeyInput } from './public-key.ts';
import { sign, type SignSettings } from './sign.ts';

jest.setTimeout(180_000);

const run = promisify(execFile);
/** For a process that has a framework to load first. */
const BUSY = { deadlineMs: 60_000 };
const secret = 'whsec_YSBzZWNyZXQgb2YgMzIgYnl0ZXMsIG5vdCBhIHJlYWw=';
const v1: SignSettings = { profile: 'standard-webhooks', secrets: [secret] };
const readme = readFileSync('libs/receiver/README.md', 'utf8');
const manifest = JSON.parse(readFileSync('libs/receiver/npm/package.json', 'utf8')) as {
  readonly engines: { readonly node: string };
  readonly exports: Readonly<Record<string, string>>;
};

/** The Node that runs this, and the oldest that the manifest allows. */
const RELEASES = ['our', 'the oldest'] as const;
type Release = (typeof RELEASES)[number];
const nodes: Record<Release, string> = { our: process.execPath, 'the oldest': '' };

let folder: string;
let consumer: string;
let tarball: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  nodes['the oldest'] = await nodeRelease(manifest.engines.node.replace(/^>=(\d+\.\d+)$/, '$1.0'));
  folder = mkdtempSync(join(tmpdir(), 'posthaste-receiver-'));
  consumer = join(folder, 'consumer');
  mkdirSync(consumer);
  const packed = await run(process.execPath, ['tools/pack-receiver.mjs', join(folder, 'package')]);
  tarball = packed.stdout.trim();
  writeFileSync(join(consumer, 'package.json'), '{ "private": true, "type": "module" }');
  const install = [
    'install',
    '--offline',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    '--cache',
    join(folder, 'cache'),
  ];
  await run('npm', [...install, tarball], { cwd: consumer });
});

afterEach(async () => {
  await Promise.all(children.splice(0).map(end));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** The packages that an example needs beside ours, as they are installed here. */
function link(...names: readonly string[]): void {
  for (const name of names) {
    const target = join(consumer, 'node_modules', name);
    if (existsSync(target)) continue;
    mkdirSync(join(target, '..'), { recursive: true });
    symlinkSync(resolve('node_modules', name), target);
  }
}

async function runScript(
  name: string,
  text: string,
  env: Record<string, string> = {},
  release: Release = 'our',
): Promise<string> {
  writeFileSync(join(consumer, name), text);
  const { stdout } = await run(nodes[release], [name], { cwd: consumer, env: { ...env }, timeout: 60_000 });
  return stdout;
}

describe('the package', () => {
  test('has what is needed, no test and no dependency', async () => {
    const { stdout } = await run('tar', ['tzf', tarball]);
    const files = stdout.split('\n');
    expect(files).toEqual(expect.arrayContaining(['package/LICENSE', 'package/README.md', 'package/package.json']));
    expect(files.filter((file) => /\.spec\.|testkit|store\/src|\.ts$/.test(file) && !file.endsWith('.d.ts'))).toEqual(
      [],
    );
    const packed = JSON.parse(
      readFileSync(join(consumer, 'node_modules/@posthaste/receiver/package.json'), 'utf8'),
    ) as { version: string };
    expect(packed.version).toBe((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version);
    expect(packed).not.toHaveProperty('dependencies');
  });

  test('is tested with the oldest Node that it is for', async () => {
    const oldest = manifest.engines.node.replace('>=', '');
    const { stdout } = await run(nodes['the oldest'], ['--version']);
    expect(stdout).toBe(`v${oldest}.0\n`);
    expect(readme).toContain(`Node ${oldest} or newer`);
  });

  test.each(RELEASES)('is imported file by file, by %s Node', async (release) => {
    const names = Object.keys(manifest.exports).map((name) => name.replace('.', '@posthaste/receiver'));
    const imports = names.map((name) => `await import('${name}');`).join('\n');
    await expect(runScript('exports.mjs', imports, {}, release)).resolves.toBe('');
  });

  test.each(RELEASES)('verifies deliveries as sinks got them, with nothing but %s Node', async (release) => {
    cpSync('test/vectors/captured-deliveries.json', join(consumer, 'captures.json'));
    const { captures } = JSON.parse(readFileSync('test/vectors/captured-deliveries.json', 'utf8')) as {
      captures: { request: string; atSeconds: number; secrets?: string[]; publicKey?: PublicKeyInput }[];
    };
    const signed = captures.filter(({ secrets, publicKey }) => secrets ?? publicKey);
    const requests = signed.map(({ request, secrets, publicKey, atSeconds }) => {
      const { method, target, headers, body } = readWireRequest(Buffer.from(request));
      const notification = { method, url: `http://${headers['host'] ?? ''}${target}`, headers };
      const options = secrets ? { secrets } : { publicKeys: [publicKey] };
      return { notification, body: body.toString('base64'), options: { ...options, nowSeconds: atSeconds } };
    });
    writeFileSync(join(consumer, 'requests.json'), JSON.stringify(requests));
    const script = `
      import { readFileSync } from 'node:fs';
      import { verify } from '@posthaste/receiver';
      for (const { notification, body, options } of JSON.parse(readFileSync('requests.json'))) {
        const verified = await verify({ ...notification, body: Buffer.from(body, 'base64') }, options);
        console.log(verified.ok ? verified.events[0].type : verified.detail);
      }`;
    const lines = (await runScript('captured.mjs', script, {}, release)).trim().split('\n');
    expect(lines).toEqual(signed.map(() => 'com.voxie.contact.created'));
  });

  test('has types for those who compile against it', async () => {
    link('@types/node', 'undici-types');
    const text = `
      import { verify, type ReceivedEvent } from '@posthaste/receiver';
      import { handleOnce } from '@posthaste/receiver/handle-once';
      import { makeMemoryStore } from '@posthaste/receiver/memory-store';
      import { sign } from '@posthaste/receiver/sign';
      const body = new Uint8Array();
      const headers = sign({ messageId: 'a', timestampSeconds: 1, body }, { profile: 'none' });
      const verified = await verify({ headers, body }, { secrets: ['${secret}'] });
      if (verified.ok) {
        const event: ReceivedEvent = verified.events[0];
        const { status } = await handleOnce({ store: makeMemoryStore(), id: verified.idempotencyKey }, async () => {});
        const answer: 204 | 500 | 503 = status;
        // @ts-expect-error data is unknown until it is checked
        event.json().total;
        console.log(event.type.length, answer);
      }`;
    writeFileSync(join(consumer, 'types.ts'), text);
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
    const compiled = run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), ...options, 'types.ts'], {
      cwd: consumer,
    });
    await expect(compiled.catch(({ stdout }: { stdout: string }) => ({ stdout }))).resolves.toMatchObject({
      stdout: '',
    });
  });
});

/** The code of an example by the name in its first line, ready to be run. */
async function example(name: string): Promise<string> {
  const block = [...readme.matchAll(/```[jt]s\n\/\/ (\S+)\n([^]*?)```/g)].find(([, title]) => title === name);
  if (block === undefined) throw new Error(`README.md has no example ${name}`);
  const [, , code = ''] = block;
  expect(code.split('\n').filter((line) => line !== '' && !line.startsWith('import ')).length).toBeLessThanOrEqual(20);
  if (!name.endsWith('.ts')) return code;
  const compiled = await transform(code, {
    jsc: { target: 'es2022', parser: { syntax: 'typescript', decorators: true }, transform: { legacyDecorator: true } },
    module: { type: 'es6' },
  });
  return compiled.code;
}

interface Example {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly packages?: readonly string[];
  readonly settings?: SignSettings;
  readonly path?: string;
}

/** Runs an example as a process and delivers to it: one event twice, and one that nobody signed. */
async function deliverTo({ name, env = {}, packages = [], settings = v1, path = '/hooks' }: Example): Promise<void> {
  link(...packages);
  const port = await portOfOwn();
  const url = `http://127.0.0.1:${port}${path}`;
  const file = name.replace(/\.ts$/, '.mjs');
  writeFileSync(join(consumer, file), await example(name));
  rmSync(join(consumer, 'orders.jsonl'), { force: true });
  const child = spawn(process.execPath, [file], { cwd: consumer, env: { ...env, PORT: String(port) }, stdio: 'pipe' });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  const post = (how: SignSettings) => postEvent(url, how);
  await eventually(async () => {
    if (child.exitCode !== null) throw new Error(output);
    return (await post(settings)) === 204;
  }, BUSY);
  expect(await post(settings)).toBe(204);
  expect(await post({ profile: 'none' })).toBe(401);
}

async function postEvent(url: string, settings: SignSettings): Promise<number> {
  const body = Buffer.from(
    '{"specversion":"1.0","id":"1","source":"/orders","type":"order.placed","data":{"total":1.10}}',
  );
  const headers = { 'content-type': 'application/cloudevents+json' };
  const timestampSeconds = Math.floor(Date.now() / 1000);
  const signed = sign({ messageId: 'dlv_1', timestampSeconds, body, headers, url }, settings);
  const answer = await fetch(url, { method: 'POST', headers: { ...headers, ...Object.fromEntries(signed) }, body });
  return answer.status;
}

const ORDER = { type: 'order.placed', data: { total: 1.1 } };
const orders = (): unknown[] =>
  readFileSync(join(consumer, 'orders.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

describe('the examples of the README', () => {
  test('Node takes a notification once', async () => {
    await deliverTo({ name: 'node-http.mjs', env: { WEBHOOK_SECRET: secret }, path: '/' });
    expect(orders()).toEqual([ORDER]);
  });

  test('Express takes a notification once, with Postgres', async () => {
    const postgres = await startPostgres();
    try {
      const url = await postgres.createDatabase({ migrated: false });
      const database = openDatabase({ url, logger: silentStoreLogger });
      const pool = await database.pool();
      await pool.query({ text: 'create table orders (type text, data text)' });
      await deliverTo({
        name: 'express.mjs',
        env: { WEBHOOK_SECRET: secret, DATABASE_URL: url },
        packages: ['express', 'pg'],
      });
      const { rows } = await pool.query({ text: 'select * from orders' });
      expect(rows).toEqual([{ type: 'order.placed', data: '{"total":1.10}' }]);
      await Promise.all(children.splice(0).map(end));
      await database.close();
    } finally {
      await postgres.stop();
    }
  });

  test('Fastify takes a notification once, with Redis and a public key', async () => {
    const redis = await startRedis();
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const settings: SignSettings = {
      profile: 'standard-webhooks-v1a',
      privateKeys: [privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()],
    };
    const key = publicKey.export({ format: 'pem', type: 'spki' }).toString();
    try {
      const url = `redis://127.0.0.1:${redis.port}`;
      await deliverTo({
        name: 'fastify.mjs',
        env: { REDIS_URL: url, WEBHOOK_PUBLIC_KEY: key },
        packages: ['fastify', '@redis/client'],
        settings,
      });
      const client = await createClient({ url }).connect();
      const stored = (await client.sendCommand(['LRANGE', 'orders', '0', '-1'])) as unknown as string[];
      client.destroy();
      expect(stored.map((one) => JSON.parse(one) as unknown)).toEqual([ORDER]);
      await Promise.all(children.splice(0).map(end));
    } finally {
      await redis.stop();
    }
  });

  test('NestJS takes a notification once, with keys that it fetches', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig' }];
    const server = createServer((_, response) => response.end(JSON.stringify({ keys }))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      await deliverTo({
        name: 'nest.ts',
        env: { WEBHOOK_JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks` },
        packages: ['@nestjs/common', '@nestjs/core', '@nestjs/platform-fastify', 'reflect-metadata', 'rxjs'],
        settings: { profile: 'rfc9421', privateKey: privateKey.export({ format: 'jwk' }), keyId: 'k1' },
      });
      expect(orders()).toEqual([ORDER]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test.each(RELEASES)('sign() makes what the Node example takes, with %s Node', async (release) => {
    const port = await portOfOwn();
    writeFileSync(join(consumer, 'node-http.mjs'), await example('node-http.mjs'));
    rmSync(join(consumer, 'orders.jsonl'), { force: true });
    const env = { WEBHOOK_SECRET: secret, PORT: String(port), HOOK_URL: `http://127.0.0.1:${port}/` };
    children.push(spawn(nodes[release], ['node-http.mjs'], { cwd: consumer, env, stdio: 'ignore' }));
    const script = await example('sign.mjs');
    expect(await eventually(() => runScript('sign.mjs', script, env, release), BUSY)).toBe('204\n');
    expect(orders()).toEqual([{ type: 'com.example.order.placed' }]);
  });

  test('verify and handleOnce are what they are called in it', async () => {
    const body = '{"specversion":"1.0","id":"1","source":"/s","type":"a.b","data":{"n":1}}';
    const given = { messageId: 'dlv_1', timestampSeconds: Math.floor(Date.now() / 1000), body: Buffer.from(body) };
    const headers = [...sign(given, v1), ['content-type', 'application/cloudevents+json']];
    const setUp = `
      import { appendFile } from 'node:fs/promises';
      import { makeMemoryStore } from '@posthaste/receiver/memory-store';
      const [headers, body, url] = [${JSON.stringify(headers)}, Buffer.from('${body}'), undefined];
      const store = makeMemoryStore();
      const saveOrder = (order) => appendFile('saved.json', JSON.stringify(order), { flush: true });\n`;
    const code = `${setUp}${await example('verify.mjs')}\n${await example('handle-once.mjs')}\nconsole.log(status);`;
    expect(await runScript('verify.mjs', code, { WEBHOOK_SECRET: secret })).toBe('a.b { n: 1 }\n204\n');
    expect(readFileSync(join(consumer, 'saved.json'), 'utf8')).toBe('{"n":1}');
  });

  test('work and record are one transaction, and work that failed halfway leaves nothing', async () => {
    link('pg');
    const postgres = await startPostgres();
    try {
      const url = await postgres.createDatabase({ migrated: false });
      const code = await example('transaction.mjs');
      const isImport = (line: string): boolean => line.startsWith('import ');
      const lines = code.split('\n');
      const setUp = `
        import pg from 'pg';
        ${lines.filter(isImport).join('\n')}
        const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
        await pool.query('create table orders (type text, data text)');
        await makePostgresStore((text, values) => pool.query(text, values)).createTable();
        const verified = { idempotencyKey: 'dlv_1' };
        const event = { type: 'order.placed', text: () => '{}' };
        const count = async () => console.log((await pool.query('select from orders')).rowCount);\n`;
      const once = lines.filter((line) => !isImport(line)).join('\n');
      const failing = once.replace(/(\[event\.type, event\.text\(\)\]\);)/, "$1 throw new Error('disk full');");
      expect(failing).not.toBe(once);
      const script = [failing, once, once].map((part) => `{\n${part}\nawait count();\n}`).join('\n');
      const said = await runScript('transaction.mjs', `${setUp}${script}\nawait pool.end();`, { DATABASE_URL: url });
      expect(said.trim().split('\n')).toEqual(['500', '0', '204', '1', '204', '1']);
    } finally {
      await postgres.stop();
    }
  });
});

describe('docs/receiving.md', () => {
  test('verifies with the library of Standard Webhooks as it says', async () => {
    link('standardwebhooks', '@stablelib/base64', 'fast-sha256');
    const text = readFileSync('docs/receiving.md', 'utf8');
    const [, code = ''] = /\*\*Node\*\*[^]*?```js\n([^]*?)```/.exec(text) ?? [];
    const body = Buffer.from('{"specversion":"1.0","id":"1","source":"/s","type":"a.b"}');
    const given = { messageId: 'dlv_1', timestampSeconds: Math.floor(Date.now() / 1000), body };
    const headers = Object.fromEntries(sign(given, v1));
    const setUp = `const [secret, body, headers] = ['${secret}', '${body.toString()}', ${JSON.stringify(headers)}];\n`;
    expect(await runScript('docs.mjs', `${setUp}${code}\nconsole.log(event.type);`)).toBe('a.b\n');
  });
});
