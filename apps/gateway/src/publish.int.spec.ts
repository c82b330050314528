import { request } from 'node:http';
import { createConnection } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BusModule } from '#bus/bus.module';
import type { TenantId } from '#core/ids';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { GatewayModule } from './gateway.module.ts';

const adminToken = 'the-token-of-the-operator';
const acme = 'acme' as TenantId;

let nats: TestNats;
let bus: TestBus;
let gateway: RunningService;
let count = 0;

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  const event = { kind: 'TenantCreated', id: acme, name: acme, atMs: 0, by: 'admin' } as const;
  const record = { aggregate: 'tenant', id: acme, tenant: acme, event };
  await bus.publisher.publish(bus.topology.registrySubject(acme, 'tenant', acme), Buffer.from(JSON.stringify(record)));
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
  });
  const name = 'gateway';
  const modules = [BusModule.forRoot({ name, config }), GatewayModule];
  gateway = await startService({ name, config, logger: makeLogger({ name, level: 'silent' }), modules });
});

afterAll(async () => {
  await gateway.stop();
  await bus.close();
  await nats.stop();
});

/** Publishes an event in binary mode, with headers that `fetch` would not send so, and tells what was stored last then. */
async function publish(headers: Readonly<Record<string, string>>, body: Uint8Array | string) {
  const { port } = new URL(gateway.url);
  const all = {
    authorization: `Bearer ${adminToken}`,
    'posthaste-tenant': acme,
    'ce-specversion': '1.0',
    'ce-id': `e${++count}`,
    'ce-source': '/s',
    'ce-type': 't',
    ...headers,
  };
  const answer = await new Promise<{ status: number; acceptEncoding: unknown; text: string }>((resolve, reject) => {
    const sent = request({ port, method: 'POST', path: '/publish', headers: all, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, acceptEncoding: response.headers['accept-encoding'], text });
      });
    });
    sent.on('error', reject).end(body);
  });
  const { state } = await bus.jsm.streams.info(bus.topology.streams.EVENTS);
  const stored = await bus.jsm.streams.getMessage(bus.topology.streams.EVENTS, { seq: state.last_seq });
  return { ...answer, stored };
}

describe('publishing', () => {
  test('refuses a compressed body, whose coding no subscriber would hear of, and says which it takes (HB-3)', async () => {
    const json = { 'content-type': 'application/json' };
    const plain = await publish({ ...json, 'content-encoding': 'identity' }, '{"n":1}');
    expect(plain.status).toBe(202);
    const compressed = await publish({ ...json, 'content-encoding': 'gzip' }, gzipSync('{"n":2}'));
    expect(compressed).toMatchObject({ status: 415, acceptEncoding: 'identity' });
    expect(JSON.parse(compressed.text)).toMatchObject({
      code: 'unsupported-media-type',
      errors: [{ rule: 'HB-3', pointer: 'content-encoding' }],
    });
    expect(compressed.stored?.seq).toBe(plain.stored?.seq);
  });

  test('refuses a media type that is none, and says where it stands (HB-2)', async () => {
    for (const contentType of ['xyz', 'a/b/c', '/json']) {
      const { status, text } = await publish({ 'content-type': contentType }, '{}');
      expect(status).toBe(415);
      expect(JSON.parse(text)).toMatchObject({
        code: 'unsupported-media-type',
        errors: [{ pointer: 'content-type' }],
      });
    }
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400, 'malformed-http'],
    ['a header without a name', 'POST /publish HTTP/1.1\r\nhost: a\r\n: b\r\n\r\n', 400, 'malformed-http'],
    [
      'two lengths',
      'POST /publish HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
      400,
      'malformed-http',
    ],
  ])('answers %s by a problem document as well', async (_what, bytes, status, code) => {
    const { port, hostname } = new URL(gateway.url);
    const socket = createConnection(Number(port), hostname).on('error', () => undefined);
    socket.write(bytes);
    const answer = await socket
      .setEncoding('utf8')
      .toArray()
      .then((parts) => parts.join(''));
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\r\ncontent-type: application/problem\\+json`));
    expect(JSON.parse(body)).toMatchObject({ status, code });
  });

  test('takes an event beside whatever stands in traceparent, and leaves out what is no trace', async () => {
    const { status, stored } = await publish({ traceparent: 'x'.repeat(70_000) }, 'text');
    expect(status).toBe(202);
    expect(stored?.header.get('ce-id')).toBe(`e${count}`);
    expect(stored?.header.has('traceparent')).toBe(false);
  });
});
