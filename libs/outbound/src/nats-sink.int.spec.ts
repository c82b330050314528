import { createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { classify } from '#core/delivery/classify';
import type { NatsExchange } from '#core/delivery/outcome';
import { makeTestAuthority } from '#testkit/certificates';
import { eventually } from '#testkit/eventually';
import { startNatsSink, type NatsSinkServer, type NatsSinkServerOptions } from '#testkit/sink-nats';
import { makeAddressGuard } from './address-guard.ts';
import { makeSecureContext } from './secure-context.ts';
import { makeNatsSinkClient, type NatsSinkClient, type NatsSinkOptions } from './nats-sink.ts';

const stops: (() => Promise<void>)[] = [];
const payload = Buffer.from('{"n":1.10}');

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function aServer(options?: NatsSinkServerOptions): Promise<NatsSinkServer> {
  const server = await startNatsSink(options);
  stops.push(() => server.stop());
  return server;
}

function aClient(options: Partial<NatsSinkOptions> = {}): NatsSinkClient {
  const guard = makeAddressGuard({ allowCidrs: ['127.0.0.0/8'] });
  const client = makeNatsSinkClient({ guard, secureContext: makeSecureContext(), ...options });
  stops.push(() => Promise.resolve(client.close()));
  return client;
}

const publishTo = (sink: string, options?: Partial<NatsSinkOptions>, subject = 'orders.created') =>
  aClient(options).publish(sink, subject, [['ce-id', 'e1']], payload);

const said = (exchange: NatsExchange): unknown[] => [
  exchange.kind === 'error' ? exchange.error : exchange.kind,
  classify(exchange),
];

const GREETING = 'INFO {"server_id":"x","version":"2.15.0","proto":1,"headers":true,"max_payload":1048576}\r\n';

/** A server that greets like this and then does what it is told to. */
async function aMute(greeting: string, then: (socket: Socket) => void = () => undefined): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write(greeting);
    then(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Lets a client in, and after that does this. */
const afterLogin = (then: (socket: Socket) => void) => (socket: Socket) => {
  socket.once('data', () => {
    socket.write('PONG\r\n');
    then(socket);
  });
};

describe('the client of NATS sinks', () => {
  test('publishes the bytes and headers as they are, and says so when the server has them (NB-3, NB-4)', async () => {
    const { url, received } = await aServer();
    const client = aClient();
    const headers: [string, string][] = [
      ['ce-id', 'e%201'],
      ['ce-datacontenttype', 'application/json'],
      ['webhook-id', 'dlv_1'],
    ];
    expect(said(await client.publish(url, 'orders.created', headers, payload))).toEqual(['published', 'delivered']);
    const message = await eventually(() => received[0]);
    expect([message.subject, message.string()]).toEqual(['orders.created', payload.toString()]);
    expect(message.headers?.keys().map((name) => [name, message.headers?.get(name)])).toEqual(headers);
  });

  test('shares one connection, and closes it when nobody uses it', async () => {
    const { url, received } = await aServer();
    const client = aClient({ idleMs: 100 });
    const all = await Promise.all(
      Array.from({ length: 200 }, (_, i) => client.publish(url, `s.${i}`, [], Buffer.from(String(i)))),
    );
    expect(client.size()).toBe(1);
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(['published']));
    await eventually(() => received.length === 200);
    await eventually(() => client.size() === 0);
    expect((await client.publish(url, 's', [], payload)).kind).toBe('published');
  });

  test('connects to no address that the guard refuses, be it behind a name', async () => {
    const { port, received } = await aServer();
    const guard = makeAddressGuard({ allowCidrs: [] });
    const refused = ['address_refused', 'retryable'];
    expect(said(await publishTo(`nats://127.0.0.1:${port}`, { guard }))).toEqual(refused);
    expect(said(await publishTo(`nats://2130706433:${port}`, { guard }))).not.toEqual(['published', 'delivered']);
    expect(said(await publishTo(`nats://localhost:${port}`, { guard }))).toEqual(refused);
    const resolve = () => Promise.resolve(['93.184.216.34', '127.0.0.1'].map((address) => ({ address, family: 4 })));
    expect(said(await publishTo(`nats://half.example:${port}`, { guard, resolve }))).toEqual(refused);
    expect(received).toEqual([]);
  });

  test('asks for the name again when a connection has its age, however busy it is, and lets its users finish', async () => {
    const { port } = await aServer();
    let address = '127.0.0.1';
    const resolve = () => Promise.resolve([{ address, family: 4 }]);
    const client = aClient({ resolve, maxAgeMs: 100 });
    const publish = () => client.publish(`nats://moving.example:${port}`, 'orders.created', [], payload);
    expect(said(await publish())).toEqual(['published', 'delivered']);
    address = '10.0.0.7';
    await eventually(async () => said(await publish())[0] === 'address_refused');
    address = '127.0.0.1';
    expect(said(await publish())).toEqual(['published', 'delivered']);
    expect(client.size()).toBe(1);
  });

  test('tells apart what a server refuses for good', async () => {
    const user = { user: 'test', pass: 'pw' };
    const locked = await aServer({ config: 'authorization { user: test, password: pw }', user });
    expect(said(await publishTo(locked.url))).toEqual(['unauthorized', 'permanent']);
    const config = `
      no_auth_user: guest
      authorization { users: [
        { user: test, password: pw },
        { user: guest, permissions: { publish: ["orders.>"] } }
      ] }
      max_payload: 1024`;
    const { url, received } = await aServer({ config, user });
    const client = aClient();
    const [denied, allowed, tooLarge] = await Promise.all([
      client.publish(url, 'secret', [], payload),
      client.publish(url, 'orders.created', [], payload),
      client.publish(url, 'orders.created', [], Buffer.alloc(2000)),
    ]);
    expect(said(denied)).toEqual(['permission_denied', 'permanent']);
    expect(said(allowed)).toEqual(['published', 'delivered']);
    expect(said(tooLarge)).toEqual(['message_too_large', 'permanent']);
    await eventually(() => received.length === 1);
  });

  test('tries again whatever may pass: no server, no name, no greeting, no answer', async () => {
    const { url, kill } = await aServer({ listen: false });
    await kill();
    expect(said(await publishTo(url))).toEqual(['connect_refused', 'retryable']);
    const resolve = () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
    expect(said(await publishTo('nats://nowhere.example', { resolve }))).toEqual(['dns', 'retryable']);
    const silent = await aMute('');
    expect(said(await publishTo(silent, { connectTimeoutMs: 100 }))).toEqual(['connect_timeout', 'retryable']);
    const stuck = await aMute(
      GREETING,
      afterLogin(() => undefined),
    );
    const client = aClient({ totalTimeoutMs: 1_000 });
    expect(said(await client.publish(stuck, 's', [], payload))).toEqual(['timeout', 'retryable']);
    await eventually(() => client.size() === 0);
    const noNats = await aMute('HTTP/1.1 400 Bad Request\r\n\r\n');
    expect(said(await publishTo(noNats))).toEqual(['protocol', 'retryable']);
    const chatty = await aMute(
      GREETING,
      afterLogin((socket) => socket.write('MSG a 1 4000000000\r\n')),
    );
    expect(said(await publishTo(chatty))).toEqual(['protocol', 'retryable']);
    const old = await aMute('INFO {"version":"2.1.0"}\r\n');
    expect(said(await publishTo(old))).toEqual(['protocol', 'retryable']);
  });

  test('cuts off a server that talks without end', async () => {
    const flood = Buffer.alloc(1024 * 1024, 'x');
    let sentCount = 0;
    const talk = (socket: Socket): void => {
      sentCount++;
      if (!socket.destroyed) socket.write(flood, () => talk(socket));
    };
    for (const url of [await aMute('INFO {', talk), await aMute(GREETING, afterLogin(talk))]) {
      expect(said(await publishTo(url, { connectTimeoutMs: 30_000, totalTimeoutMs: 30_000 }))).toEqual([
        'protocol',
        'retryable',
      ]);
    }
    expect(sentCount).toBeLessThan(100);
  });

  test('comes back to a server that was away', async () => {
    const server = await aServer();
    const client = aClient();
    expect((await client.publish(server.url, 's', [], payload)).kind).toBe('published');
    await server.kill();
    await eventually(() => client.size() === 0);
    expect((await client.publish(server.url, 's', [], payload)).kind).toBe('error');
    await server.restart();
    expect((await client.publish(server.url, 's', [], payload)).kind).toBe('published');
  });

  test('speaks TLS where the server does, and checks the name', async () => {
    const authority = await makeTestAuthority();
    const directory = await mkdtemp(join(tmpdir(), 'posthaste-ca-'));
    stops.push(() => rm(directory, { recursive: true }));
    const caFile = join(directory, 'ca.pem');
    await writeFile(caFile, authority.certPem);
    const secureContext = makeSecureContext(caFile);
    const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    const { port } = await aServer({ tls: await authority.issue({ hosts: ['nats.example'] }) });
    for (const scheme of ['nats', 'tls']) {
      const trusted = await publishTo(`${scheme}://nats.example:${port}`, { secureContext, resolve });
      expect(said(trusted)).toEqual(['published', 'delivered']);
      const other = await publishTo(`${scheme}://other.example:${port}`, { secureContext, resolve });
      expect(said(other)).toEqual(['tls', 'retryable']);
      expect(said(await publishTo(`${scheme}://nats.example:${port}`, { resolve }))).toEqual(['tls', 'retryable']);
    }
    const plain = await aServer();
    expect(said(await publishTo(`tls://127.0.0.1:${plain.port}`))).toEqual(['tls', 'retryable']);
    expect(plain.received).toEqual([]);
  });

  test('refuses what is no NATS sink', async () => {
    expect(said(await publishTo('https://example.com'))).toEqual(['scheme_refused', 'permanent']);
    expect(said(await publishTo('nats://user:pw@example.com'))).toEqual(['scheme_refused', 'permanent']);
  });
});
