import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { classify } from '#core/delivery/classify';
import type { Exchange } from '#core/delivery/outcome';
import { makeSelfSigned, makeTestAuthority, type TestAuthority } from '#testkit/certificates';
import { headerOf, startSink, type Respond, type Sink, type SinkOptions } from '#testkit/sink-server';
import { makeGuardedClient, type GuardedClient, type GuardedClientOptions } from './guarded-client.ts';

const body = Buffer.from('{"a":1.10}');
let sink: Sink;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  sink = await startSink();
});
afterAll(async () => {
  await sink.stop();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  sink.respondWith(() => ({}));
});

function aClient(options: GuardedClientOptions = {}): GuardedClient {
  const client = makeGuardedClient({ allowCidrs: ['127.0.0.0/8'], caFile: sink.caFile, ...options });
  stops.push(() => client.close());
  return client;
}

async function aSink(options: SinkOptions): Promise<Sink> {
  const started = await startSink(options);
  stops.push(() => started.stop());
  return started;
}

function post(url: string, options?: GuardedClientOptions): Promise<Exchange> {
  return aClient(options).post(url, [['content-type', 'application/json']], body);
}

async function* endless(pieceEveryMs = 0): AsyncGenerator<Uint8Array> {
  for (;;) {
    yield Buffer.alloc(1024, 'x');
    if (pieceEveryMs > 0) await delay(pieceEveryMs);
  }
}

describe('the guarded client', () => {
  test('POSTs the bytes and headers as they are (WH-2)', async () => {
    const client = aClient();
    const headers: [string, string][] = [
      ['content-type', 'application/json'],
      ['User-Agent', 'Posthaste/test'],
      ['ce-subject', '%E2%82%AC'],
    ];
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.post(`${sink.url}/hook?a=b&a=c`, headers, all);
    const received = sink.received.at(-1);
    expect(received).toMatchObject({ method: 'POST', url: '/hook?a=b&a=c', body: Buffer.from(all) });
    expect(received?.headers).toEqual(expect.arrayContaining(headers));
    expect(received && headerOf(received, 'accept-encoding')).toBeUndefined();
    expect(received && headerOf(received, 'content-length')).toBe('256');
  });

  test('reuses its connections', async () => {
    const client = aClient();
    const before = sink.connectionCount();
    for (let i = 0; i < 10; i++) await client.post(sink.url, [], body);
    // Two, not one: undici rests a socket for a turn of the event loop before it is used again.
    expect(sink.connectionCount() - before).toBeLessThanOrEqual(2);
  });

  test.each([200, 204, 301, 308, 400, 404, 410, 429, 500, 503])(
    'reports status %d without following it',
    async (status) => {
      sink.respondWith(() => ({ status, headers: { location: `${sink.url}/elsewhere`, 'retry-after': '120' } }));
      const before = sink.received.length;
      const exchange = await post(sink.url);
      expect(exchange).toMatchObject({ kind: 'response', status, retryAfter: '120' });
      expect(sink.received).toHaveLength(before + 1);
    },
  );

  test('keeps the body as text, not decompressed and never parsed (WH-6)', async () => {
    sink.respondWith(() => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"é":"\0"' }));
    expect(await post(sink.url)).toMatchObject({ body: { text: '{"é":"\ufffd"', truncated: false } });
  });

  test('cuts a long body at a character, and keeps the connection if the rest is short', async () => {
    const client = aClient({ maxResponseBytes: 7 });
    sink.respondWith(() => ({ status: 200, body: 'é'.repeat(20_000) }));
    const before = sink.connectionCount();
    for (let i = 0; i < 3; i++) {
      expect(await client.post(sink.url, [], body)).toMatchObject({ body: { text: 'ééé', truncated: true } });
      await delay(0);
    }
    expect(sink.connectionCount() - before).toBeLessThanOrEqual(2);
  });

  test('does not hang on a body without end, fast or slow', async () => {
    sink.respondWith(() => ({ status: 200, body: endless() }));
    const fast = await post(sink.url);
    expect(fast).toMatchObject({ kind: 'response', status: 200, body: { truncated: true } });
    expect(fast.kind === 'response' && fast.body?.text.length).toBe(16_384);
    sink.respondWith(() => ({ status: 200, body: endless(500) }));
    const slow = await post(sink.url, { totalTimeoutMs: 3_000 });
    expect(slow).toMatchObject({ kind: 'response', status: 200, body: { truncated: true } });
    expect(classify(slow)).toBe('delivered');
  });

  test('gives up on a sink that never answers', async () => {
    sink.respondWith(() => 'hang');
    const exchange = await post(sink.url, { totalTimeoutMs: 1_500 });
    expect(exchange).toMatchObject({ kind: 'error', error: 'timeout', message: 'Within 1500 ms no answer came.' });
    sink.respondWith(() => ({}));
    expect(await post(sink.url)).toMatchObject({ status: 204 });
  });

  test('counts the wait for a connection into the timeout, and does not charge it to the sink', async () => {
    const client = aClient({ totalTimeoutMs: 3_000, connectionsPerOrigin: 1 });
    sink.respondWith(() => 'hang');
    const first = client.post(sink.url, [], body);
    const second = await client.post(sink.url, [], body, { timeoutMs: 500 }); // while the first has the connection
    expect(second).toMatchObject({ kind: 'error', error: 'local_resources' });
    expect(await first).toMatchObject({ kind: 'error', error: 'timeout' });
  });

  test('takes the timeout of one request before its own', async () => {
    sink.respondWith(() => 'hang');
    const exchange = await aClient().post(sink.url, [], body, { timeoutMs: 1_500 });
    expect(exchange).toMatchObject({ error: 'timeout', message: 'Within 1500 ms no answer came.' });
  });

  test('tells a reset before the status from one after it', async () => {
    sink.respondWith(() => 'reset');
    expect(await post(sink.url)).toMatchObject({ kind: 'error', error: 'reset' });
    sink.respondWith(() => ({ status: 200, headers: { 'content-length': '1000' }, body: brokenBody() }));
    expect(await post(sink.url)).toMatchObject({
      kind: 'response',
      status: 200,
      body: { text: 'half', truncated: true },
    });
  });

  test('refuses headers that are too large', async () => {
    sink.respondWith(() => ({ status: 200, headers: { 'x-large': 'a'.repeat(40_000) } }));
    expect(await post(sink.url)).toMatchObject({ kind: 'error', error: 'protocol' });
  });

  test('reports a header that can not be sent instead of throwing', async () => {
    const exchange = await aClient().post(sink.url, [['x-bad', 'a\r\nb']], body);
    expect(exchange).toMatchObject({ kind: 'error', error: 'protocol' });
  });

  test('serves many at once over a bounded number of connections', async () => {
    const own = await aSink({ respond: () => ({ delayMs: 5 }) });
    const client = aClient({ caFile: own.caFile, connectionsPerOrigin: 8 });
    const exchanges = await Promise.all(Array.from({ length: 200 }, () => client.post(own.url, [], body)));
    expect(exchanges.every((exchange) => exchange.kind === 'response')).toBe(true);
    expect(own.connectionCount()).toBe(8);
  });

  test('finishes what is in flight when it is closed', async () => {
    sink.respondWith(() => ({ delayMs: 100, status: 200 }));
    const client = makeGuardedClient({ allowCidrs: ['127.0.0.1'], caFile: sink.caFile });
    const inFlight = client.post(sink.url, [], body);
    await client.close();
    expect(await inFlight).toMatchObject({ status: 200 });
    expect(await client.post(sink.url, [], body)).toMatchObject({ kind: 'error' });
  });
});

async function* brokenBody(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('half');
  await delay(50);
  throw new Error('the sink breaks');
}

describe('the network', () => {
  test('is dns when the name does not exist', async () => {
    // One that the system's resolver refuses by itself, as it is too long: no name server has to be there.
    expect(await post(`https://${'a'.repeat(64)}.invalid/`)).toMatchObject({ kind: 'error', error: 'dns' });
  });

  test('is connect_refused when nobody listens', async () => {
    const gone = await startSink();
    await gone.stop();
    expect(await post(gone.url)).toMatchObject({ kind: 'error', error: 'connect_refused' });
  });

  test('is connect_timeout when TLS never comes up', async () => {
    const silent = await aTcpServer(() => undefined);
    expect(await post(silent, { connectTimeoutMs: 200 })).toMatchObject({ kind: 'error', error: 'connect_timeout' });
  });

  test('is connect_timeout as well when an exchange may take no longer than connecting', async () => {
    const silent = await aTcpServer(() => undefined);
    const exchange = await post(silent, { connectTimeoutMs: 5000, totalTimeoutMs: 1000 });
    expect(exchange).toMatchObject({ kind: 'error', error: 'connect_timeout' });
  });

  test('is reset when the connection is closed within the handshake', async () => {
    const slamming = await aTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()));
    expect(await post(slamming)).toMatchObject({ kind: 'error', error: 'reset' });
  });

  test('is tls when the server does not speak it, protocol when it does not speak HTTP', async () => {
    const speaking = await aTcpServer((socket) => socket.on('error', () => undefined).write('220 mail ready\r\n'));
    expect(await post(speaking)).toMatchObject({ kind: 'error', error: 'tls' });
    expect(await post(speaking.replace('https', 'http'), { allowHttp: true })).toMatchObject({ error: 'protocol' });
  });
});

async function aTcpServer(onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('TLS', () => {
  let authority: TestAuthority;
  beforeAll(async () => {
    authority = await makeTestAuthority();
  });

  async function postTo(certificate: SinkOptions['certificate'], host = '127.0.0.1'): Promise<Exchange> {
    const trusted = await aSink({});
    const other = await aSink(certificate ? { certificate } : {});
    const { writeFile } = await import('node:fs/promises');
    await writeFile(trusted.caFile, authority.certPem);
    return post(`https://${host}:${other.port}/`, { caFile: trusted.caFile, allowCidrs: ['127.0.0.0/8', '::1'] });
  }

  test('trusts the authority of the CA file', async () => {
    expect(await postTo(await authority.issue())).toMatchObject({ kind: 'response', status: 204 });
  });

  test.each<[string, () => Promise<SinkOptions['certificate']>]>([
    ['an expired certificate', () => authority.issue({ notAfter: new Date(Date.now() - 60_000) })],
    ['a certificate of another host', () => authority.issue({ hosts: ['other.example'] })],
    ['a self-signed certificate', makeSelfSigned],
    ['an unknown authority', async () => (await makeTestAuthority()).issue()],
  ])('refuses %s', async (_, issue) => {
    const exchange = await postTo(await issue());
    expect(exchange).toMatchObject({ kind: 'error', error: 'tls' });
    expect(classify(exchange)).toBe('retryable');
  });
});

describe('the guard', () => {
  test('is closed by default', async () => {
    const before = sink.connectionCount();
    expect(await post(sink.url, { allowCidrs: [] })).toEqual({
      kind: 'error',
      error: 'address_refused',
      message: '127.0.0.1 is a loopback address.',
    });
    const plain = await aSink({ plain: true });
    expect(await post(plain.url)).toMatchObject({ kind: 'error', error: 'scheme_refused' });
    expect(await post(plain.url, { allowHttp: true })).toMatchObject({ status: 204 });
    expect(sink.connectionCount()).toBe(before);
    expect(plain.received).toHaveLength(1);
  });

  test('refuses a name that resolves to an inner address', async () => {
    const exchange = await post(`https://localhost:${sink.port}/`, { allowCidrs: [] });
    expect(exchange).toMatchObject({ kind: 'error', error: 'address_refused' });
    expect(exchange.kind === 'error' && exchange.message).toBe('localhost resolves to a loopback address.');
  });

  test('lets the built-in inbox through, and no other path of its origin', async () => {
    const inbox = await aSink({ plain: true });
    const named = `http://localhost:${inbox.port}`;
    const client = aClient({ allowCidrs: [], allowHttp: true, allowOrigins: [`${named}/inbox`] });
    expect(await client.post(`${named}/inbox/demo`, [], body)).toMatchObject({ status: 204 });
    // The pool has an open connection to this very origin now; it must not be used for anything else.
    expect(await client.post(`${named}/v1/tenants`, [], body)).toMatchObject({ error: 'address_refused' });
    expect(inbox.received.map(({ url }) => url)).toEqual(['/inbox/demo']);
  });
});

describe('an exchange', () => {
  const answerWith = (respond: Respond) => {
    sink.respondWith(respond);
    sink.handshakeWith(respond);
  };

  test.each(['OPTIONS', 'GET'] as const)(
    'asks by %s at the exact URL and gives the headers back (WH-11)',
    async (method) => {
      answerWith(() => ({
        status: 405,
        headers: { Allow: 'POST', 'WebHook-Allowed-Origin': ['a.example', 'b.example'] },
        body: 'no',
      }));
      const exchange = await aClient().exchange({ method, url: `${sink.url}/hook?a=b&a=c`, headers: [['x-a', 'b']] });
      expect(exchange).toMatchObject({ kind: 'response', status: 405, body: { text: 'no', truncated: false } });
      const headers = exchange.kind === 'response' ? exchange.headers : [];
      expect(headers).toEqual(
        expect.arrayContaining([
          ['allow', 'POST'],
          ['webhook-allowed-origin', 'a.example'],
          ['webhook-allowed-origin', 'b.example'],
        ]),
      );
      const received = (method === 'GET' ? sink.received : sink.handshakes).at(-1);
      expect(received).toMatchObject({ method, url: '/hook?a=b&a=c' });
      expect(received?.body).toHaveLength(0);
      expect(received && headerOf(received, 'x-a')).toBe('b');
    },
  );

  test('sends the body that it is given', async () => {
    await aClient().exchange({ method: 'POST', url: sink.url, headers: [], body });
    expect(Buffer.from(sink.received.at(-1)?.body ?? []).toString()).toBe('{"a":1.10}');
  });

  test('follows no redirect', async () => {
    answerWith(() => ({ status: 307, headers: { location: '/elsewhere' } }));
    const before = sink.handshakes.length;
    expect(await aClient().exchange({ method: 'OPTIONS', url: sink.url, headers: [] })).toMatchObject({ status: 307 });
    expect(sink.handshakes).toHaveLength(before + 1);
  });

  test('stands under the guard like everything that leaves', async () => {
    const guarded = aClient({ allowCidrs: [] });
    const ask = (url: string) => guarded.exchange({ method: 'OPTIONS', url, headers: [] });
    const before = sink.handshakes.length;
    expect(await ask(sink.url)).toMatchObject({ kind: 'error', error: 'address_refused' });
    expect(await ask(sink.url.replace('127.0.0.1', 'localhost'))).toMatchObject({ error: 'address_refused' });
    expect(await ask('http://example.com/')).toMatchObject({ kind: 'error', error: 'scheme_refused' });
    expect(sink.handshakes).toHaveLength(before);
  });

  test('ends in time', async () => {
    answerWith(() => 'hang');
    const hung = await aClient().exchange({ method: 'OPTIONS', url: sink.url, headers: [], timeoutMs: 1_500 });
    expect(hung).toMatchObject({ kind: 'error', error: 'timeout' });
  });
});
