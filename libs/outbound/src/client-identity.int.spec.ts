import { spawn, type ChildProcess } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { makeSelfSigned, makeTestAuthority, type KeyAndCertificate, type TestAuthority } from '#testkit/certificates';
import { portOfOwn } from '#testkit/port-of-own';
import { startSink, type Sink } from '#testkit/sink-server';
import { makeGuardedClient, type GuardedClient, type GuardedClientOptions } from './guarded-client.ts';

const body = Buffer.from('{}');
let authority: TestAuthority;
let folder: string;
/** Lets nobody in without a certificate. */
let sink: Sink;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  authority = await makeTestAuthority();
  folder = await mkdtemp(join(tmpdir(), 'posthaste-mutual-'));
  const { cert, key } = await authority.issue();
  for (const [name, pem] of Object.entries({ 'ca.pem': authority.certPem, 'cert.pem': cert, 'key.pem': key }))
    await writeFile(join(folder, name), pem);
  sink = await startSink({ certificate: { cert, key }, clientCa: authority.certPem });
});
afterAll(async () => {
  await sink.stop();
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function aClient(options: GuardedClientOptions = {}): GuardedClient {
  const client = makeGuardedClient({ allowCidrs: ['127.0.0.0/8'], caFile: join(folder, 'ca.pem'), ...options });
  stops.push(() => client.close());
  return client;
}

function identityOf(client: GuardedClient, { cert, key }: KeyAndCertificate) {
  return client.makeIdentity(Buffer.from(`${cert}\n${key}`));
}

function sha256Of({ cert }: KeyAndCertificate): string {
  return new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase();
}

/** Node's own server closes such a connection without a word; OpenSSL's says why, as most servers do. */
async function startOpenssl(port: number, version: string): Promise<ChildProcess> {
  const files = ['-cert', 'cert.pem', '-key', 'key.pem', '-CAfile', 'ca.pem'];
  const args = ['s_server', '-accept', `127.0.0.1:${port}`, ...files, '-Verify', '2', '-verify_return_error', version];
  // It ends when its input does.
  const server = spawn('openssl', args, { cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] });
  let said = '';
  server.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await eventually(() => said.includes('ACCEPT'));
  return server;
}

describe('a client certificate', () => {
  test('is what a request proves itself by, and others over the same client do not', async () => {
    const client = aClient();
    const pair = await authority.issue({ purpose: 'client', hosts: ['client.example'] });
    const identity = identityOf(client, pair);
    const before = sink.received.length;
    expect(await client.post(sink.url, [], body, { identity })).toMatchObject({ kind: 'response', status: 204 });
    // A connection and a session are there now; neither is anybody else's.
    expect(await client.post(sink.url, [], body)).toMatchObject({ kind: 'error' });
    expect(await client.exchange({ method: 'OPTIONS', url: sink.url, headers: [], identity })).toMatchObject({
      kind: 'response',
    });
    expect(sink.received.slice(before).map(({ clientSha256 }) => clientSha256)).toEqual([sha256Of(pair)]);
    expect(sink.handshakes.at(-1)?.clientSha256).toBe(sha256Of(pair));
  });

  test('belongs to its requests, however they are mixed, and its connections are used again', async () => {
    const client = aClient();
    const pairs = await Promise.all(
      ['a', 'b', 'c'].map((name) => authority.issue({ purpose: 'client', hosts: [`${name}.example`] })),
    );
    const clients = pairs.map((pair) => ({ sha256: sha256Of(pair), identity: identityOf(client, pair) }));
    const [before, connectionsBefore] = [sink.received.length, sink.connectionCount()];
    for (let round = 0; round < 10; round++) {
      for (const { sha256, identity } of clients) {
        await client.post(`${sink.url}/${sha256}`, [], body, { identity });
      }
    }
    const received = sink.received.slice(before);
    expect(received).toHaveLength(30);
    expect(received.filter(({ url, clientSha256 }) => url !== `/${clientSha256 ?? ''}`)).toEqual([]);
    expect(sink.connectionCount() - connectionsBefore).toBeLessThanOrEqual(6);
  });

  test('has no more connections to a sink than its limit, all identities together', async () => {
    const client = aClient({ connectionsPerOrigin: 2 });
    const pairs = await Promise.all(Array.from({ length: 5 }, () => authority.issue({ purpose: 'client' })));
    const identities = pairs.map((pair) => identityOf(client, pair));
    const release = Promise.withResolvers<object>();
    const [before, connectionsBefore] = [sink.received.length, sink.connectionCount()];
    sink.respondWith(() => release.promise);
    const posts = [...identities, ...identities].map((identity) => client.post(sink.url, [], body, { identity }));
    await eventually(() => sink.received.length - before === 2);
    // Whoever is asked for without an identity has not to wait for them.
    expect(await client.post(sink.url, [], body)).toMatchObject({ kind: 'error' });
    expect(sink.connectionCount() - connectionsBefore).toBe(3);
    release.resolve({});
    sink.respondWith(() => ({}));
    expect(await Promise.all(posts)).toEqual(posts.map(() => expect.objectContaining({ status: 204 })));
  });

  test('can be used after its key is wiped, and after its connections were given up', async () => {
    const client = aClient({ connectionMaxAgeMs: 20, totalTimeoutMs: 500 });
    const pair = await authority.issue({ purpose: 'client' });
    const pem = Buffer.from(`${pair.cert}\n${pair.key}`);
    const identity = client.makeIdentity(pem);
    pem.fill(0);
    const connections = sink.connectionCount();
    await eventually(async () => {
      expect(await client.post(sink.url, [], body, { identity })).toMatchObject({ status: 204 });
      return sink.connectionCount() - connections > 5;
    });
  });

  describe.each(['1.2', '1.3'])('that a sink does not take, by TLS %s', (version) => {
    let port: number;
    let server: ChildProcess;
    beforeAll(async () => {
      port = await portOfOwn();
      server = await startOpenssl(port, `-tls${version.replace('.', '_')}`);
    });
    afterAll(async () => {
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    });

    test.each([
      ['none at all', undefined, /wants a client certificate/],
      ['one of an unknown authority', () => makeSelfSigned(), /does not know the authority/],
      [
        'one that is over',
        () => authority.issue({ purpose: 'client', notAfter: new Date(Date.now() - 1000) }),
        /expired/,
      ],
      ['one for servers', () => authority.issue({ purpose: 'server' }), /not meant for clients/],
    ])('%s', async (_what, issue, said) => {
      const client = aClient();
      const identity = issue && identityOf(client, await issue());
      const exchange = await client.post(`https://127.0.0.1:${port}`, [], body, { identity });
      expect(exchange).toMatchObject({ kind: 'error', error: 'tls', message: expect.stringMatching(said) as unknown });
    });
  });

  test('whose key is of another one is told at once', async () => {
    const [one, other] = [await authority.issue(), await authority.issue()];
    expect(() => identityOf(aClient(), { cert: one.cert, key: other.key })).toThrow(/key values mismatch/);
  });
});
