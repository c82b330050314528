import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { constants, createSecureServer } from 'node:http2';
import { createConnection, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket, type TlsOptions } from 'node:tls';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { classify } from '#core/delivery/classify';
import { isOurFault, type Exchange, type ExchangeError } from '#core/delivery/outcome';
import { makeSelfSigned, makeTestAuthority, type KeyAndCertificate, type TestAuthority } from '#testkit/certificates';
import { startDns, type DnsAnswer, type DnsServer } from '#testkit/dns-server';
import { eventually } from '#testkit/eventually';
import { startForwardProxy, startScripted, type ScriptedOptions, type ScriptedServer } from '#testkit/scripted-server';
import { makeAddressGuard } from './address-guard.ts';
import { makeGuardedClient, type GuardedClient, type GuardedClientOptions } from './guarded-client.ts';
import { makeSecureContext } from './secure-context.ts';
import { makeNatsSinkClient } from './nats-sink.ts';

// Everything here runs on the loopback; 127.0.0.1 is the only address that plays a public one.
const PUBLIC = '127.0.0.1';
const DAY_MS = 86_400_000;
const body = Buffer.from('{"a":1}');

let authority: TestAuthority;
let certificate: KeyAndCertificate;
let directory: string;
let caFile: string;
let dns: DnsServer;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  authority = await makeTestAuthority();
  certificate = await authority.issue({ hosts: ['sink.example', PUBLIC] });
  directory = await mkdtemp(join(tmpdir(), 'posthaste-egress-'));
  caFile = join(directory, 'ca.pem');
  await writeFile(caFile, authority.certPem);
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  dns = await startDns({ 'sink.example': { addresses: [PUBLIC] } });
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await dns.stop();
});

function aClient(options: GuardedClientOptions = {}): GuardedClient {
  const client = makeGuardedClient({
    allowCidrs: [PUBLIC],
    caFile,
    connectTimeoutMs: 10_000,
    totalTimeoutMs: 15_000,
    resolve: (name) => dns.resolve(name),
    ...options,
  });
  stops.push(() => client.close());
  return client;
}

const post = (url: string, options?: GuardedClientOptions): Promise<Exchange> => aClient(options).post(url, [], body);

async function aServer(onConnection: (socket: Socket) => void, options?: ScriptedOptions): Promise<ScriptedServer> {
  const server = await startScripted(onConnection, options);
  stops.push(() => server.stop());
  return server;
}

const NO_CONTENT = 'HTTP/1.1 204 No Content\r\n\r\n';

/** Answers each request, which fits into one piece, with the same bytes. */
function answering(answer: string | Uint8Array): (socket: Socket) => void {
  return (socket) => socket.on('data', () => socket.write(answer));
}

const aTlsServer = (onConnection = answering(NO_CONTENT), tls: TlsOptions = {}): Promise<ScriptedServer> =>
  aServer(onConnection, { tls: { ...certificate, ...tls } });

interface Refusal {
  readonly error: ExchangeError;
  readonly message: string | RegExp;
}

function expectRefusal(exchange: Exchange, { error, message }: Refusal): void {
  expect(exchange).toEqual({ kind: 'error', error, message: expect.stringMatching(message) });
}

describe('a name', () => {
  const refusedAddresses: [string, string[], string][] = [
    ['loopback', ['127.0.0.2'], 'a loopback address'],
    ['unspecified', ['0.0.0.0'], 'an unspecified address'],
    ['private', ['10.0.0.7'], 'a private address'],
    ['carrier-grade NAT', ['100.64.0.1'], 'a carrier-grade NAT address'],
    ['cloud metadata', ['169.254.169.254'], 'a link-local address \\(cloud metadata\\)'],
    ['loopback of IPv6', ['::1'], 'a loopback address'],
    ['metadata of IPv6', ['fd00:ec2::254'], 'a unique local address'],
    ['link-local of IPv6', ['fe80::1'], 'a link-local address'],
    ['IPv4-mapped', ['::ffff:7f00:2'], 'a loopback address'],
    ['NAT64', ['64:ff9b::a9fe:a9fe'], 'a link-local address \\(cloud metadata\\)'],
    ['6to4', ['2002:7f00:1::'], 'a 6to4 address'],
    ['Teredo', ['2001:0:4136:e378:8000:63bf:3fff:fdd2'], 'a protocol-assignment address'],
    ['public beside private', [PUBLIC, '10.0.0.7'], 'a private address'],
    ['public beside private of IPv6', [PUBLIC, '::1'], 'a loopback address'],
  ];

  test.each(refusedAddresses)(
    'of %s addresses is refused as a whole, with the reason but not the address',
    async (_, addresses, why) => {
      const server = await aTlsServer();
      dns.tell('sink.example', { addresses });
      const client = aClient();
      const url = `https://sink.example:${server.port}/`;
      const message = new RegExp(`^sink\\.example resolves to ${why}[^:\\d]*\\.$`);
      expectRefusal(await client.post(url, [], body), { error: 'address_refused', message });
      dns.tell('sink.example', { addresses: [PUBLIC] });
      expect(await client.post(url, [], body)).toMatchObject({ status: 204 });
      expect(server.connectionCount()).toBe(1);
    },
  );

  test.each<[string, DnsAnswer, string]>([
    ['does not exist', { rcode: 'nxdomain' }, 'The name does not exist in DNS'],
    ['has a broken zone', { rcode: 'servfail' }, 'The name server failed'],
    ['is not answered', { silent: true }, 'The name server does not answer'],
    ['has no address', { addresses: [] }, 'has no address'],
  ])('that %s is a fault of DNS, and retried', async (_, answer, message) => {
    dns.tell('sink.example', answer);
    const exchange = await post('https://sink.example/');
    expectRefusal(exchange, { error: 'dns', message: new RegExp(message) });
    expect(classify(exchange)).toBe('retryable');
  });

  test('whose name server has fallen silent is taken to be where it was, judged again', async () => {
    const server = await aTlsServer((socket) =>
      socket.on('data', () => socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n')),
    );
    const client = aClient();
    const url = `https://sink.example:${server.port}/`;
    expect(await client.post(url, [], body)).toMatchObject({ status: 204 });
    dns.tell('sink.example', { silent: true });
    expect(await client.post(url, [], body)).toMatchObject({ status: 204 });
    dns.tell('sink.example', { addresses: ['10.0.0.7'] });
    await eventually(async () => {
      const exchange = await client.post(url, [], body);
      return exchange.kind === 'error' && exchange.error === 'address_refused';
    });
  });

  test('that rebinds is connected to at the one answer that was judged, and judged again for the next connection', async () => {
    const server = await aTlsServer((socket) => {
      let answered = 0;
      socket.on('data', () => {
        if (++answered < 3) socket.write(NO_CONTENT);
        else socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n');
      });
    });
    dns.tell('sink.example', { inTurn: [[PUBLIC], ['169.254.169.254']] });
    const client = aClient({ connectionsPerOrigin: 1 });
    const url = `https://sink.example:${server.port}/`;
    for (let i = 0; i < 3; i++) expect(await client.post(url, [], body)).toMatchObject({ status: 204 });
    expect(dns.questions.filter(({ type }) => type === 'A')).toHaveLength(1);
    await eventually(() => server.openCount() === 0);
    expectRefusal(await client.post(url, [], body), { error: 'address_refused', message: /metadata/ });
    expect(server.connectionCount()).toBe(1);
  });

  test('that moves is followed within the age of a connection, however busy it is', async () => {
    const before = await aTlsServer();
    const after = await aServer(answering(NO_CONTENT), { tls: certificate, host: '127.0.0.3', port: before.port });
    const client = aClient({ allowCidrs: ['127.0.0.0/8'], connectionMaxAgeMs: 200 });
    const url = `https://sink.example:${before.port}/`;
    expect(await client.post(url, [], body)).toMatchObject({ status: 204 });
    dns.tell('sink.example', { addresses: ['127.0.0.3'] });
    await eventually(async () => {
      expect(await client.post(url, [], body)).toMatchObject({ status: 204 });
      return after.connectionCount() > 0;
    });
    expect(before.connectionCount()).toBeLessThanOrEqual(2);
  });

  test.each(['0x7f.2', '2130706434', '017700000002', '127.2', '[::ffff:127.0.0.2]', '[::7f00:2]', '[64:ff9b::7f00:2]'])(
    'that is an address in disguise (%s) is judged as what it is, before anything is asked',
    async (host) => {
      expect(await post(`https://${host}/`)).toMatchObject({ kind: 'error', error: 'address_refused' });
      expect(dns.questions).toEqual([]);
    },
  );

  test('of a NATS sink is judged by the same function', async () => {
    const client = makeNatsSinkClient({
      guard: makeAddressGuard({ allowCidrs: [PUBLIC] }),
      secureContext: makeSecureContext(caFile),
      resolve: (name) => dns.resolve(name),
    });
    stops.push(() => Promise.resolve(client.close()));
    dns.tell('nats.example', { addresses: [PUBLIC, '10.0.0.7'] });
    const message = 'nats.example resolves to a private address.';
    const exchange = await client.publish('nats://nats.example', 'a', [], body);
    expect(exchange).toEqual({ kind: 'error', error: 'address_refused', message });
  });
});

describe('TLS', () => {
  interface TlsRow {
    readonly server?: () => TlsOptions | Promise<TlsOptions>;
    readonly host?: string;
    readonly refused?: string;
  }

  const OLD = { ciphers: 'DEFAULT@SECLEVEL=0' };
  const rows: [string, TlsRow][] = [
    ['1.3', { server: () => ({ minVersion: 'TLSv1.3' }) }],
    ['1.2', { server: () => ({ maxVersion: 'TLSv1.2' }) }],
    [
      '1.1',
      { server: () => ({ ...OLD, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }), refused: 'does not speak TLS 1.2' },
    ],
    [
      '1.0',
      { server: () => ({ ...OLD, minVersion: 'TLSv1', maxVersion: 'TLSv1' }), refused: 'does not speak TLS 1.2' },
    ],
    [
      'with a certificate that has expired',
      {
        server: () => authority.issue({ hosts: ['sink.example'], notAfter: new Date(Date.now() - 60_000) }),
        refused: 'certificate of the sink has expired.*\\(certificate has expired\\)',
      },
    ],
    [
      'with a certificate that is not valid yet',
      {
        server: () => {
          const [notBefore, notAfter] = [1, 2].map((days) => new Date(Date.now() + days * DAY_MS));
          return authority.issue({ hosts: ['sink.example'], ...(notBefore && notAfter && { notBefore, notAfter }) });
        },
        refused: 'not valid yet',
      },
    ],
    [
      'with a certificate of another host',
      {
        server: () => authority.issue({ hosts: ['other.example'] }),
        refused: 'for another name.*sink\\.example\\. is not in the cert.*DNS:other\\.example',
      },
    ],
    ['with a self-signed certificate', { server: makeSelfSigned, refused: 'self-signed.*POSTHASTE_SINK_CA_FILE' }],
    [
      'with a certificate of an unknown authority',
      {
        server: async () => (await makeTestAuthority()).issue({ hosts: ['sink.example'] }),
        refused: 'authority that is not trusted here.*POSTHASTE_SINK_CA_FILE',
      },
    ],
    ['at an address that the certificate names', { host: PUBLIC }],
    [
      'at an address that the certificate does not name',
      { host: PUBLIC, server: () => authority.issue({ hosts: ['sink.example'] }), refused: 'for another name' },
    ],
    [
      'that speaks nothing but HTTP/2',
      { server: () => ({ ALPNProtocols: ['h2'] }), refused: 'does not speak HTTP/1.1' },
    ],
  ];

  test.each(rows)('%s', async (_, { server = () => ({}), host = 'sink.example', refused }) => {
    const options = await Promise.resolve(server());
    const received: Buffer[] = [];
    const onConnection = (socket: Socket) => {
      socket.on('data', (chunk) => received.push(chunk));
      answering(NO_CONTENT)(socket);
    };
    const { port } = await aTlsServer(onConnection, options);
    const exchange = await post(`https://${host}:${port}/`);
    if (refused === undefined) {
      expect(exchange).toMatchObject({ status: 204 });
      return;
    }
    expectRefusal(exchange, { error: 'tls', message: new RegExp(refused) });
    expect(classify(exchange)).toBe('retryable');
    expect(received).toEqual([]);
    expect(await isAliveToTheLenient(port, options)).toBe(true);
  });

  /** The server is as it should be: somebody who takes everything gets through. */
  async function isAliveToTheLenient(port: number, { ALPNProtocols = ['http/1.1'] }: TlsOptions): Promise<boolean> {
    const lenient = { rejectUnauthorized: false, minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const socket = connectTls({ host: PUBLIC, port, ALPNProtocols, ...lenient }, () => socket.write('GET'));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.length > 0;
  }

  test('takes 1.3 where both can, and says the name of the sink (SNI), never an address', async () => {
    const seen: unknown[] = [];
    const { port } = await aTlsServer((socket) => {
      const { servername } = socket as TLSSocket;
      seen.push([(socket as TLSSocket).getProtocol(), servername]);
      answering(NO_CONTENT)(socket);
    });
    dns.tell('sink.example.', { addresses: [PUBLIC] });
    for (const host of ['sink.example', 'SINK.example.', PUBLIC])
      expect(await post(`https://${host}:${port}/`)).toMatchObject({ status: 204 });
    expect(seen).toEqual([
      ['TLSv1.3', 'sink.example'],
      ['TLSv1.3', 'sink.example'], // without the dot of the root (RFC 6066 3)
      ['TLSv1.3', false],
    ]);
  });

  test('is verified whatever the environment says', async () => {
    const { port } = await aTlsServer(undefined, await makeSelfSigned());
    const script = `
      const { makeGuardedClient } = await import('#outbound/guarded-client');
      const client = makeGuardedClient({ allowCidrs: ['${PUBLIC}'] });
      console.log(JSON.stringify(await client.post('https://${PUBLIC}:${port}/', [], Buffer.from('{}'))));
      await client.close();`;
    const flags = ['--conditions=source', '--no-warnings', '--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, flags, {
      env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    });
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'error', error: 'tls' });
  });

  test('is resumed with a sink that gave a session, however many others there were since', async () => {
    const names = Array.from({ length: 150 }, (_, i) => `s${i}.sink.example`);
    const reused = new Map<string, boolean[]>(names.map((name) => [name, []]));
    const server = await aTlsServer(
      (socket) => {
        const { servername } = socket as TLSSocket & { servername: string };
        reused.get(servername)?.push((socket as TLSSocket).isSessionReused());
        socket.on('data', () => socket.end('HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n'));
      },
      await authority.issue({ hosts: ['*.sink.example'] }),
    );
    const client = aClient({ resolve: () => Promise.resolve([{ address: PUBLIC, family: 4 }]) });
    for (const round of [1, 2]) {
      for (const name of names) await client.post(`https://${name}:${server.port}/${round}`, [], body);
    }
    expect([...reused.values()].filter(([first, second]) => first !== false || second !== true)).toEqual([]);
  });

  test('does not take the name from a Host header', async () => {
    const { port } = await aTlsServer(undefined, await authority.issue({ hosts: ['other.example'] }));
    const asOther = await aClient().post(`https://sink.example:${port}/`, [['Host', 'other.example']], body);
    expectRefusal(asOther, { error: 'protocol', message: /^The Host header must be sink\.example:\d+ or absent\.$/ });
  });

  test('is what plain HTTP on its port is told apart from', async () => {
    const { port } = await aServer(answering('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expectRefusal(await post(`https://sink.example:${port}/`), {
      error: 'tls',
      message: /is it the port of plain HTTP\?/,
    });
  });

  test('is not trusted to an authority that nobody named', async () => {
    const { port } = await aTlsServer();
    const { caFile: _named, ...unnamed } = { caFile };
    const client = makeGuardedClient({ allowCidrs: [PUBLIC], resolve: (name) => dns.resolve(name), ...unnamed });
    stops.push(() => client.close());
    expect(await client.post(`https://sink.example:${port}/`, [], body)).toMatchObject({ error: 'tls' });
  });
});

describe('HTTP/2', () => {
  async function anHttp2Sink(): Promise<{ url: string; sessionCount(): number }> {
    let sessionCount = 0;
    const server = createSecureServer(certificate);
    server.on('session', () => sessionCount++);
    server.on('stream', (stream, { ':path': path }) => {
      stream.on('error', () => undefined).resume();
      if (path === '/reset') stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      if (path === '/endless') {
        stream.respond({ ':status': 200 });
        endlessly(stream);
      }
      if (path === '/') stream.respond({ ':status': 204 }, { endStream: true });
    });
    server.listen(0, PUBLIC);
    await once(server, 'listening');
    stops.push(async () => {
      server.close();
      await once(server, 'close');
    });
    return { url: `https://sink.example:${(server.address() as AddressInfo).port}`, sessionCount: () => sessionCount };
  }

  test('is spoken where it is permitted and the sink wants it, under the same guard and limits', async () => {
    const sink = await anHttp2Sink();
    const client = aClient({ http2: true, totalTimeoutMs: 3000 });
    expect(await client.post(`${sink.url}/`, [], body)).toMatchObject({ status: 204 });
    expect(await client.post(`${sink.url}/reset`, [], body)).toMatchObject({ error: 'reset' });
    expect(await client.post(`${sink.url}/silent`, [], body)).toMatchObject({ error: 'timeout' });
    const endless = await client.post(`${sink.url}/endless`, [], body);
    expect(endless).toMatchObject({ status: 200, body: { truncated: true } });
    expect(await client.post(`${sink.url}/`, [], body)).toMatchObject({ status: 204 });
    expect(sink.sessionCount()).toBe(1);
    expect(await post(`${sink.url}/`, { http2: true, allowCidrs: [] })).toMatchObject({ error: 'address_refused' });
  });

  test('gives a connection up that died without a word, long before it has its age', async () => {
    const sink = await anHttp2Sink();
    const lines: { isDead: boolean }[] = [];
    const between = await aServer((client) => {
      const line: { isDead: boolean } = { isDead: false };
      lines.push(line);
      const upstream = createConnection(Number(new URL(sink.url).port), PUBLIC);
      const pass = (to: Socket) => (chunk: Uint8Array) => void (line.isDead || to.write(chunk));
      client.on('data', pass(upstream));
      upstream.on('data', pass(client)).on('error', () => undefined);
      client.on('close', () => upstream.destroy());
    });
    const client = aClient({ http2: true, totalTimeoutMs: 3000 });
    const url = `https://sink.example:${between.port}/`;
    expect(await client.post(url, [], body)).toMatchObject({ status: 204 });
    for (const line of lines) line.isDead = true;
    expect(await client.post(url, [], body)).toMatchObject({ error: 'timeout' });
    await eventually(async () => (await client.post(url, [], body)).kind === 'response');
    await eventually(() => between.connectionCount() >= 2 && between.openCount() === 1);
  });

  test('gives way to HTTP/1.1 where the sink does not know it', async () => {
    const { port } = await aTlsServer(undefined, { ALPNProtocols: ['http/1.1'] });
    expect(await post(`https://sink.example:${port}/`, { http2: true })).toMatchObject({ status: 204 });
  });
});

/** Writes until nobody reads any more. */
function endlessly(stream: {
  write(chunk: Uint8Array): boolean;
  once(event: 'drain', listener: () => void): unknown;
  destroyed: boolean;
}): void {
  while (!stream.destroyed && stream.write(Buffer.alloc(16_384, 'x')));
  if (!stream.destroyed) stream.once('drain', () => endlessly(stream));
}

function everyFewMs(socket: Socket, write: () => void): void {
  const timer = setInterval(write, 20);
  socket.once('close', () => clearInterval(timer));
}

describe('HTTP/1.1', () => {
  type Expected = Partial<Record<'status' | 'error' | 'body', unknown>>;

  const onRequest = (answer: (socket: Socket) => void) => (socket: Socket) => socket.once('data', () => answer(socket));
  const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
  const truncated = (text: unknown) => ({ status: 200, body: { text, truncated: true } });
  const redirects = [301, 302, 303, 307, 308].map((status): [string, (socket: Socket) => void, Expected] => [
    `${status} is not followed`,
    answering(`HTTP/1.1 ${status} Moved\r\nlocation: https://sink.example/\r\ncontent-length: 0\r\n\r\n`),
    { status },
  ]);

  const rows: [string, (socket: Socket) => void, Expected][] = [
    ...redirects,
    [
      'interim answers are read over',
      answering(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${NO_CONTENT}`),
      { status: 204 },
    ],
    // undici takes it for an attack on its framing; RFC 9110 15.2 would have it read over.
    [
      'a 100 that nobody asked for is an error',
      answering(`HTTP/1.1 100 Continue\r\n\r\n${NO_CONTENT}`),
      { error: 'protocol' },
    ],
    [
      'interim answers that trickle without end are none',
      onRequest((socket) => everyFewMs(socket, () => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'))),
      { error: 'timeout' },
    ],
    [
      'a change of protocol that nobody asked for is an error',
      answering('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
      { error: 'protocol' },
    ],
    ['a connection closed without a word', onRequest((socket) => socket.end()), { error: 'reset' }],
    [
      'a reset within the headers',
      onRequest((socket) => socket.write('HTTP/1.1 200 OK\r\nx-a: ', () => socket.destroy())),
      { error: 'reset' },
    ],
    [
      'a reset within the body keeps the status',
      onRequest((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', () => socket.destroy())),
      truncated('half'),
    ],
    [
      'headers that trickle',
      onRequest((socket) => {
        socket.write('HTTP/1.1 200 OK\r\nx-a: ');
        everyFewMs(socket, () => socket.write('a'));
      }),
      { error: 'timeout' },
    ],
    [
      'a body that trickles keeps the status',
      onRequest((socket) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
        everyFewMs(socket, () => socket.write('a'));
      }),
      truncated(expect.stringMatching(/^a+$/)),
    ],
    [
      'a chunked body without end is cut',
      onRequest((socket) => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        const chunk = Buffer.from(`4000\r\n${'x'.repeat(0x4000)}\r\n`);
        endlessly({
          write: () => socket.write(chunk),
          once: (...on) => socket.once(...on),
          get destroyed() {
            return socket.destroyed;
          },
        });
      }),
      truncated('x'.repeat(16_384)),
    ],
    ['headers above 16 KiB', answering(`HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(17_000)}\r\n\r\n`), { error: 'protocol' }],
    ['very many headers', answering(`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(10_000)}\r\n`), { error: 'protocol' }],
    [
      'a body shorter than announced',
      onRequest((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')),
      truncated('half'),
    ],
    [
      'a body longer than announced is cut',
      answering('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n'),
      { status: 200, body: { text: 'ok', truncated: false } },
    ],
    [
      'two lengths',
      answering('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!'),
      { error: 'protocol' },
    ],
    ['a negative length', answering('HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'), { error: 'protocol' }],
    [
      'a broken chunk keeps the status',
      answering('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
      { status: 200 },
    ],
    ['what is not HTTP', answering('SSH-2.0-OpenSSH_9.6\r\n'), { error: 'protocol' }],
  ];

  test.each(rows)('%s', async (name, onConnection, expected) => {
    const server = await aTlsServer(onConnection);
    // Only those that trickle are to run into it, not a busy machine.
    const limits = { totalTimeoutMs: name.includes('trickle') ? 3000 : 15_000, connectionMaxAgeMs: 300 };
    const exchange = await post(`https://sink.example:${server.port}/`, limits);
    expect(exchange).toMatchObject({ kind: 'error' in expected ? 'error' : 'response', ...expected });
    expect(server.connectionCount()).toBe(1);
    await eventually(() => server.openCount() === 0);
  });

  const floods: [string, string, string, Expected][] = [
    ['interim answers', '', 'HTTP/1.1 103 Early Hints\r\n\r\n', { error: 'protocol' }],
    ['empty lines', '', '\r\n', { error: 'protocol' }],
    ['a reason phrase', 'HTTP/1.1 200 ', 'x', { error: 'protocol' }],
    ['blanks before a value', 'HTTP/1.1 200 OK\r\nx-a: ', ' ', { error: 'protocol' }],
    ['the size of a chunk', CHUNKED, '0', truncated('')],
    ['an extension of a chunk', `${CHUNKED}1;`, 'x', truncated('')],
    ['extensions of small chunks', CHUNKED, `1;${'x'.repeat(8000)}\r\na\r\n`, truncated(expect.stringMatching(/^a+$/))],
    ['trailers', `${CHUNKED}0\r\n`, 'x-a: b\r\n', truncated('')],
    ['blanks in a trailer', `${CHUNKED}0\r\nx-a: `, ' ', truncated('')],
  ];

  test.each(floods)(
    'an answer without end is cut, even if it is neither headers nor body: %s',
    async (_, head, piece, expected) => {
      let sentBytes = 0;
      const pieces = Buffer.from(piece.repeat(Math.ceil(65_536 / piece.length)));
      const server = await aTlsServer(
        onRequest((socket) => {
          socket.write(head);
          endlessly({
            write() {
              sentBytes += pieces.length;
              return socket.write(pieces);
            },
            once: (...on) => socket.once(...on),
            get destroyed() {
              return socket.destroyed;
            },
          });
        }),
      );
      const exchange = await post(`https://sink.example:${server.port}/`);
      expect(exchange).toMatchObject({ kind: 'error' in expected ? 'error' : 'response', ...expected });
      await eventually(() => server.openCount() === 0);
      expect(sentBytes).toBeLessThan(32 * 1024 * 1024);
    },
  );

  test('what is cut is one endless answer, not a connection that had many', async () => {
    const text = 'x'.repeat(200_000);
    const server = await aTlsServer(answering(`HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`));
    const client = aClient({ connectionsPerOrigin: 1 });
    for (let i = 0; i < 10; i++) {
      expect(await client.post(`https://sink.example:${server.port}/`, [], body)).toMatchObject({ status: 200 });
    }
    expect(server.connectionCount()).toBe(1);
  });

  test('a body is never decoded, and none that would have to be is asked for (WH-6)', async () => {
    const zipped = gzipSync(Buffer.alloc(1_000_000, 'x'));
    const requests: string[] = [];
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${zipped.length}\r\n\r\n`;
    const server = await aTlsServer((socket) =>
      socket.on('data', (request) => {
        requests.push(request.toString().toLowerCase());
        socket.write(Buffer.concat([Buffer.from(head), zipped]));
      }),
    );
    const exchange = await post(`https://sink.example:${server.port}/`);
    expect(exchange).toMatchObject({ status: 200, body: { truncated: false } });
    expect(exchange.kind === 'response' && exchange.body?.text.length).toBeLessThanOrEqual(zipped.length);
    expect(requests).toEqual([expect.not.stringContaining('accept-encoding')]);
  });

  test('each request can have its own bound for the answer', async () => {
    const { port } = await aTlsServer(answering('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabcdef'));
    const request = {
      method: 'GET',
      url: `https://sink.example:${port}/jwks`,
      headers: [],
      maxResponseBytes: 4,
    } as const;
    const exchange = await aClient().exchange(request);
    expect(exchange).toMatchObject({ status: 200, body: { text: 'abcd', truncated: true } });
    expect(exchange.kind === 'response' && exchange.headers).toEqual([['content-length', '6']]);
  });

  test('no more connections are opened to an origin than permitted, and origins do not share them', async () => {
    const slow = (socket: Socket): void => void socket.on('data', () => setTimeout(() => socket.write(NO_CONTENT), 20));
    const [one, other] = [await aTlsServer(slow), await aTlsServer(slow)];
    const client = aClient({ connectionsPerOrigin: 3 });
    const urls = [one, other].flatMap(({ port }) => Array.from({ length: 20 }, () => `https://sink.example:${port}/`));
    const exchanges = await Promise.all(urls.map((url) => client.post(url, [], body)));
    expect(exchanges.every((exchange) => exchange.kind === 'response')).toBe(true);
    expect([one.connectionCount(), other.connectionCount()]).toEqual([3, 3]);
  });

  test('a connection that nobody uses is closed, whatever the sink promises', async () => {
    const server = await aTlsServer(answering('HTTP/1.1 204 No Content\r\nkeep-alive: timeout=3600\r\n\r\n'));
    expect(await post(`https://sink.example:${server.port}/`, { connectionMaxAgeMs: 2000 })).toMatchObject({
      status: 204,
    });
    expect(server.openCount()).toBe(1);
    await eventually(() => server.openCount() === 0);
  });
});

describe('a forward proxy', () => {
  async function aProxy(options?: Parameters<typeof startForwardProxy>[0]) {
    const proxy = await startForwardProxy(options);
    stops.push(() => proxy.stop());
    return proxy;
  }

  test('carries TLS to the very address that was judged, with the name of the sink inside', async () => {
    const names: unknown[] = [];
    const requests: string[] = [];
    const { port } = await aTlsServer((socket) => {
      names.push((socket as TLSSocket).servername);
      socket.on('data', (data) => requests.push(data.toString()));
      answering(NO_CONTENT)(socket);
    });
    const proxy = await aProxy();
    const url = proxy.url.replace('//', '//me:s%3Acret@');
    const client = aClient({ proxy: { url } });
    for (let i = 0; i < 3; i++) {
      expect(await client.post(`https://sink.example:${port}/`, [], body)).toMatchObject({ status: 204 });
    }
    expect(names[0]).toBe('sink.example');
    expect(proxy.asked[0]).toMatch(`CONNECT ${PUBLIC}:${port} HTTP/1.1\r\n`);
    expect(proxy.asked[0]?.toLowerCase()).toContain(
      `proxy-authorization: basic ${btoa('me:s:cret').toLowerCase()}\r\n`,
    );
    expect(requests.join('')).not.toMatch(/proxy-/i);
    expect(proxy.asked.length).toBeLessThanOrEqual(2); // tunnels are kept like connections
  });

  test.each(['10.0.0.7', '169.254.169.254', '::1'])('is not asked for %s', async (address) => {
    const { port } = await aTlsServer();
    const proxy = await aProxy();
    dns.tell('inner.example', { addresses: [PUBLIC, address] });
    const client = aClient({ proxy: { url: proxy.url } });
    const host = address.includes(':') ? `[${address}]` : address;
    for (const sink of ['inner.example', host]) {
      expect(await client.post(`https://${sink}:${port}/`, [], body)).toMatchObject({ error: 'address_refused' });
    }
    expect(await client.post(`https://sink.example:${port}/`, [], body)).toMatchObject({ status: 204 });
    expect(proxy.asked).toHaveLength(1);
  });

  test.each([403, 407, 502, 503])('that answers %d is at fault, not the sink', async (status) => {
    const { port } = await aTlsServer();
    const proxy = await aProxy();
    const client = aClient({ proxy: { url: proxy.url.replace('//', '//me:secret@') } });
    proxy.refuseWith(status);
    const exchange = await client.post(`https://sink.example:${port}/`, [], body);
    expectRefusal(exchange, { error: 'proxy', message: new RegExp(`^The forward proxy .*${status}`) });
    expect(JSON.stringify(exchange)).not.toMatch(/secret|127\.0\.0\.1/); // tenants read it
    expect(exchange.kind === 'error' && isOurFault(exchange.error)).toBe(true);
    expect(classify(exchange)).toBe('retryable');
    proxy.refuseWith(undefined);
    expect(await client.post(`https://sink.example:${port}/`, [], body)).toMatchObject({ status: 204 });
  });

  test.each<[string, () => Promise<string>, string]>([
    [
      'is gone',
      async () => {
        const gone = await startScripted(() => undefined);
        await gone.stop();
        return gone.host;
      },
      'ECONNREFUSED',
    ],
    ['says nothing', async () => (await aServer(() => undefined)).host, 'ETIMEDOUT'],
    ['hangs up', async () => (await aServer((socket) => socket.once('data', () => socket.end()))).host, 'ECONNRESET'],
    [
      'speaks something else',
      async () => (await aServer(answering('220 mail ready\r\n'))).host,
      'HPE_INVALID_CONSTANT',
    ],
  ])('that %s is at fault, not the sink', async (_, start, why) => {
    const exchange = await post('https://sink.example/', {
      proxy: { url: `http://${await start()}` },
      // Only the silent one is to run into it, not a busy machine.
      ...(why === 'ETIMEDOUT' ? { connectTimeoutMs: 2000 } : {}),
    });
    expectRefusal(exchange, { error: 'proxy', message: `^The forward proxy opens no tunnel \\(${why}\\)\\.$` });
  });

  test('leaves the faults of a sink to the sink', async () => {
    const proxy = await aProxy();
    const { port } = await aTlsServer(undefined, await authority.issue({ hosts: ['other.example'] }));
    const exchange = await post(`https://sink.example:${port}/`, { proxy: { url: proxy.url } });
    expectRefusal(exchange, { error: 'tls', message: /for another name/ });
    const slamming = await aTlsServer((socket) => socket.once('data', () => socket.destroy()));
    expect(await post(`https://sink.example:${slamming.port}/`, { proxy: { url: proxy.url } })).toMatchObject({
      error: 'reset',
    });
  });

  test('is asked for the next address of a sink when it can not reach the first', async () => {
    const { port } = await aTlsServer();
    const proxy = await aProxy();
    dns.tell('sink.example', { addresses: ['127.0.0.9', PUBLIC] });
    const exchange = await post(`https://sink.example:${port}/`, {
      allowCidrs: ['127.0.0.0/8'],
      proxy: { url: proxy.url },
    });
    expect(exchange).toMatchObject({ status: 204 });
    expect(proxy.asked.map((head) => head.split(' ')[1])).toEqual([`127.0.0.9:${port}`, `${PUBLIC}:${port}`]);
  });

  test('is not asked for one address after the other when the time for connecting is over', async () => {
    const proxy = await aServer((socket) =>
      socket.once('data', () => setTimeout(() => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'), 1250)),
    );
    dns.tell('sink.example', { addresses: Array.from({ length: 20 }, (_, i) => `127.0.1.${i}`) });
    const exchange = await post('https://sink.example/', {
      allowCidrs: ['127.0.0.0/8'],
      proxy: { url: `http://${proxy.host}` },
      connectTimeoutMs: 5000,
    });
    expect(exchange).toMatchObject({ error: 'proxy' });
    await eventually(() => proxy.openCount() === 0);
    expect(proxy.connectionCount()).toBeLessThanOrEqual(5);
  });

  test('may resolve names itself; addresses are still judged here', async () => {
    const { port } = await aTlsServer();
    const proxy = await aProxy({ connectTo: { port } });
    const client = aClient({ proxy: { url: proxy.url, resolvesNames: true } });
    expect(await client.post(`https://sink.example:${port}/`, [], body)).toMatchObject({ status: 204 });
    expect(await client.post('https://10.0.0.7/', [], body)).toMatchObject({ error: 'address_refused' });
    expect(proxy.asked.map((head) => head.split(' ')[1])).toEqual([`sink.example:${port}`]);
    expect(dns.questions).toEqual([]);
  });

  test.each([['sink.example'], ['127.0.0.0/8']])('is passed by for %s', async (rule) => {
    const { port } = await aTlsServer();
    const proxy = await aProxy();
    const exchange = await post(`https://sink.example:${port}/`, { proxy: { url: proxy.url, bypass: [rule] } });
    expect(exchange).toMatchObject({ status: 204 });
    expect(proxy.asked).toEqual([]);
  });

  test('is passed by for the built-in inbox, and carries plain HTTP where that is permitted', async () => {
    const { port } = await aServer(answering(NO_CONTENT));
    const proxy = await aProxy();
    const origin = `http://127.0.0.1:${port}`;
    const inbox = { allowCidrs: [], allowOrigins: [`${origin}/inbox`], proxy: { url: proxy.url } };
    expect(await post(`${origin}/inbox/demo`, inbox)).toMatchObject({ status: 204 });
    expect(proxy.asked).toEqual([]);
    expect(await post(`${origin}/`, { allowHttp: true, proxy: { url: proxy.url } })).toMatchObject({ status: 204 });
    expect(proxy.asked).toHaveLength(1);
  });

  test('is reached by https when it says so, if its certificate is good', async () => {
    const { port } = await aTlsServer();
    const good = await aProxy({ tls: certificate });
    expect(await post(`https://sink.example:${port}/`, { proxy: { url: good.url } })).toMatchObject({ status: 204 });
    const bad = await aProxy({ tls: await makeSelfSigned() });
    const exchange = await post(`https://sink.example:${port}/`, { proxy: { url: bad.url } });
    expectRefusal(exchange, { error: 'proxy', message: /DEPTH_ZERO_SELF_SIGNED_CERT/ });
    expect(bad.asked).toEqual([]);
  });
});
