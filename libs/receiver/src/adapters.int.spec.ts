import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  Controller,
  HttpCode,
  HttpException,
  Module,
  Post,
  Req,
  UseGuards,
  type CanActivate,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import express from 'express';
import Fastify from 'fastify';
import { makeSelfSigned } from '#testkit/certificates';
import { makeExpressHandler } from './express.ts';
import { makeFastifyPlugin } from './fastify.ts';
import { makeMemoryStore } from './memory-store.ts';
import { makeNestGuard } from './nest.ts';
import { makeNodeListener } from './node-http.ts';
import { handleOnce } from './handle-once.ts';
import type { ReceiverOptions } from './receive.ts';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import { sign, type SignSettings } from './sign.ts';
import type { VerifiedNotification } from './verify.ts';

const secret = 'whsec_YSBzZWNyZXQgb2YgMzIgYnl0ZXMsIG5vdCBhIHJlYWw=';
const v1: SignSettings = { profile: 'standard-webhooks', secrets: [secret] };
const TEXT = '{"specversion":"1.0","id":"é1","source":"/s","type":"a.b","data":{"m":1.10}}';

interface Started {
  readonly url: string;
  stop(): Promise<unknown>;
}

const running: Started[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
});

async function listening(server: Server): Promise<Started> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks?of=acme`;
  return { url, stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))) };
}

async function startFastify(options: ReceiverOptions): Promise<Started> {
  const fastify = Fastify();
  await fastify.register(makeFastifyPlugin('/hooks', options));
  return { url: `${await fastify.listen({ port: 0 })}/hooks?of=acme`, stop: () => fastify.close() };
}

function nestModule(options: ReceiverOptions): Type {
  const guard: CanActivate = makeNestGuard(options);

  @Controller('hooks')
  class HooksController {
    @Post()
    @HttpCode(204)
    @UseGuards(guard)
    async receive(@Req() { notification }: { notification: VerifiedNotification }): Promise<void> {
      const id = notification.idempotencyKey;
      const handled = await handleOnce({ store: options.store, id }, () => options.handle(notification));
      if (handled.status !== 204) throw new HttpException('Come again', handled.status);
    }
  }

  @Module({ controllers: [HooksController] })
  class AppModule {}
  return AppModule;
}

const NEST_OPTIONS = { logger: false, rawBody: true } as const;

async function listenNest(app: INestApplication): Promise<Started> {
  await app.listen(0, '127.0.0.1');
  return { url: `${await app.getUrl()}/hooks?of=acme`, stop: () => app.close() };
}

async function startNestOnFastify(options: ReceiverOptions): Promise<Started> {
  const adapter = new FastifyAdapter({ bodyLimit: options.maxBodyBytes ?? 1024 * 1024, forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(nestModule(options), adapter, NEST_OPTIONS);
  app.useBodyParser('application/cloudevents+json');
  return listenNest(app);
}

async function startNestOnExpress(options: ReceiverOptions): Promise<Started> {
  const given = { ...NEST_OPTIONS, forceCloseConnections: true };
  return listenNest(await NestFactory.create(nestModule(options), new ExpressAdapter(), given));
}

const ADAPTERS: Readonly<Record<string, (options: ReceiverOptions) => Promise<Started>>> = {
  'Node http': (options) => listening(createServer(makeNodeListener(options))),
  Express: (options) => listening(createServer(express().post('/hooks', makeExpressHandler(options)))),
  'Express behind express.raw': (options) =>
    listening(
      createServer(
        express()
          .use(express.raw({ type: () => true }))
          .post('/hooks', makeExpressHandler(options)),
      ),
    ),
  Fastify: startFastify,
  'the NestJS guard on Fastify': startNestOnFastify,
  'the NestJS guard on Express': startNestOnExpress,
};

/** Those that read the body themselves, so that its limit is ours. */
const OWN_READERS = ['Node http', 'Express', 'Fastify', 'the NestJS guard on Express'];

async function start(name: string, given: Partial<ReceiverOptions> = {}) {
  const handled: string[] = [];
  const refused: string[] = [];
  const options: ReceiverOptions = {
    verify: { secrets: [secret] },
    store: makeMemoryStore(),
    handle: ({ events: [event] }) => {
      handled.push(`${event.id} ${event.text() ?? ''}`);
      return Promise.resolve();
    },
    onRefused: (one) => refused.push('code' in one ? one.code : one.outcome),
    ...given,
  };
  const started = await ADAPTERS[name]?.(options);
  if (started === undefined) throw new Error(`no adapter: ${name}`);
  running.push(started);
  return { url: started.url, handled, refused };
}

const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const BINARY = {
  'ce-specversion': '1.0',
  'ce-id': 'b1',
  'ce-source': '/s',
  'ce-type': 'a.b',
  'content-type': 'application/json',
};

interface Sent {
  readonly settings?: SignSettings;
  readonly text?: string;
  readonly alteredText?: string;
  readonly signedUrl?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Resolves to status and the body as text. */
async function post(url: string, sent: Sent = {}): Promise<{ status: number; text: string }> {
  const { settings = v1, text = TEXT, alteredText = text, headers = STRUCTURED } = sent;
  const body = Buffer.from(text);
  const timestampSeconds = Math.floor(Date.now() / 1000);
  const signed = sign({ messageId: 'dlv_1', timestampSeconds, body, headers, url: sent.signedUrl ?? url }, settings);
  const answer = await fetch(url, {
    method: 'POST',
    headers: { ...headers, ...Object.fromEntries(signed) },
    body: alteredText,
  });
  return { status: answer.status, text: await answer.text() };
}

describe.each(Object.keys(ADAPTERS))('%s', (name) => {
  test('handles a notification once, its bytes as they were sent, and says 2xx to the duplicate', async () => {
    const { url, handled } = await start(name);
    expect(await post(url)).toEqual({ status: 204, text: '' });
    expect(await post(url)).toEqual({ status: 204, text: '' });
    expect(handled).toEqual(['é1 {"m":1.10}']);
  });

  test('takes an event in binary mode, whose data looks like what parsers like to read', async () => {
    const { url, handled } = await start(name);
    expect(await post(url, { headers: BINARY, text: '{"m":1.10}' })).toEqual({ status: 204, text: '' });
    expect(handled).toEqual(['b1 {"m":1.10}']);
  });

  test('says what is wrong with what it does not trust', async () => {
    const { url, handled, refused } = await start(name);
    const secrets = ['whsec_dGhlIHNlY3JldCBiZWZvcmUgaXQsIDMyIGJ5dGVzLi4='];
    const answer = await post(url, { settings: { profile: 'standard-webhooks', secrets } });
    expect(answer.status).toBe(401);
    expect(JSON.parse(answer.text)).toMatchObject({
      [name.includes('Nest') ? 'message' : 'detail']: expect.stringContaining('another subscription’s'),
    });
    expect((await post(url, { alteredText: `${TEXT}\n` })).text).toContain('line break at its end');
    expect((await post(url, { settings: { profile: 'none' } })).status).toBe(401);
    expect((await post(url, { text: '{"id":1}' })).status).toBe(400);
    expect(refused).toEqual(['signature_mismatch', 'body_altered', 'missing_header', 'not_a_cloudevent']);
    expect(handled).toEqual([]);
  });

  test('is no 2xx while the work fails', async () => {
    let isBroken = true;
    const handle = () => (isBroken ? Promise.reject(new Error('disk full')) : Promise.resolve());
    const { url } = await start(name, { handle });
    expect((await post(url)).status).toBe(500);
    isBroken = false;
    expect((await post(url)).status).toBe(204);
  });

  test('takes no more bytes than it is told, and goes on', async () => {
    const { url, refused } = await start(name, { maxBodyBytes: 4096 });
    expect((await post(url, { text: TEXT.padEnd(4000) })).status).toBe(204);
    expect((await post(url, { text: TEXT.padEnd(200_000) })).status).toBe(413);
    expect(refused).toEqual(OWN_READERS.includes(name) ? ['body_too_large'] : []);
    expect((await post(url)).status).toBe(204);
  });

  test('verifies what signs the request, for the URL that it sees or is told (MS-8)', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const settings: SignSettings = {
      profile: 'rfc9421',
      keyId: 'k',
      privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    };
    const verify = { publicKeys: [publicKey.export({ format: 'pem', type: 'spki' }).toString()] };
    const seen = await start(name, { verify });
    expect((await post(seen.url, { settings })).status).toBe(204);
    const told = await start(name, { verify, publicUrl: 'https://hooks.example.com/' });
    expect((await post(told.url, { settings })).status).toBe(401);
    const signedUrl = 'https://hooks.example.com/hooks?of=acme';
    expect((await post(told.url, { settings, signedUrl })).status).toBe(204);
  });

  test('finds the headers of a tenant that has a prefix, and names those that it misses', async () => {
    const { url } = await start(name, { verify: { secrets: [secret], headerPrefix: 'acme' } });
    const settings: SignSettings = { profile: 'standard-webhooks', secrets: [secret], headerPrefix: 'acme' };
    expect((await post(url, { settings })).status).toBe(204);
    const usual = await post(url);
    expect([usual.status, usual.text]).toEqual([401, expect.stringContaining('acme-signature')]);
  });

  test('does not start when it is itself set up wrongly', async () => {
    await expect(async () => start(name, { verify: { secrets: ['whsec_AAAA'] } })).rejects.toThrow(
      ReceiverMisconfigured,
    );
    await expect(async () => start(name, { verify: { secrets: [secret], headerPrefix: 'acme-' } })).rejects.toThrow(
      'headerPrefix can not be "acme-"',
    );
    await expect(async () => start(name, { verify: { publicKeys: ['none'] } })).rejects.toThrow(ReceiverMisconfigured);
    await expect(async () => start(name, { verify: { jwksUrl: 'http://a.example/' } })).rejects.toThrow(
      ReceiverMisconfigured,
    );
  });

  test.each(['hooks.example.com', 'https://', 'https://hooks.example.com/?a=b', 'ftp://hooks.example.com', ''])(
    'does not start with a publicUrl that would make every URL wrong: %s',
    async (publicUrl) => {
      await expect(async () => start(name, { publicUrl })).rejects.toThrow(ReceiverMisconfigured);
    },
  );

  test('takes POST alone', async () => {
    const { url } = await start(name);
    expect([404, 405]).toContain((await fetch(url)).status);
  });
});

describe('without a limit of its own', () => {
  test.each(OWN_READERS)(
    '%s takes the largest event that Posthaste takes without one, in base64 too (CE-12)',
    async (name) => {
      const { url, handled, refused } = await start(name, { handle: () => Promise.resolve() });
      const data = Buffer.alloc(1_048_576, 'x').toString('base64');
      const text = `{"specversion":"1.0","id":"1","source":"/s","type":"a.b","data_base64":"${data}"}`;
      expect([(await post(url, { text })).status, handled, refused]).toEqual([204, [], []]);
    },
  );
});

describe('HTTP/2', () => {
  test('verifies what signs the request, for the authority that it was sent to (MS-8, S-4)', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const settings: SignSettings = {
      profile: 'rfc9421',
      keyId: 'k',
      privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    };
    const refused: unknown[] = [];
    const listener = makeNodeListener({
      verify: { publicKeys: [publicKey.export({ format: 'pem', type: 'spki' }).toString()] },
      store: makeMemoryStore(),
      handle: () => Promise.resolve(),
      onRefused: (one) => refused.push(one),
    });
    const { key, cert } = await makeSelfSigned();
    const server = createSecureServer({ key, cert }, listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const session = connect(origin, { rejectUnauthorized: false });
    try {
      const body = Buffer.from(TEXT);
      const timestampSeconds = Math.floor(Date.now() / 1000);
      const given = { messageId: 'dlv_1', timestampSeconds, body, headers: STRUCTURED, url: `${origin}/hooks?of=acme` };
      const signed = Object.fromEntries(sign(given, settings));
      const stream = session.request({ ':method': 'POST', ':path': '/hooks?of=acme', ...STRUCTURED, ...signed });
      stream.end(body);
      const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
      expect([answer[':status'], refused]).toEqual([204, []]);
    } finally {
      session.destroy();
      server.close();
    }
  });
});

describe('a parser that ran before', () => {
  test('is named by Express and answered with 5xx, so that the sender comes again', async () => {
    const handler = makeExpressHandler({
      verify: { secrets: [secret] },
      store: makeMemoryStore(),
      handle: () => Promise.resolve(),
    });
    const app = express()
      .use(express.json({ type: () => true }))
      .post('/hooks', handler);
    const started = await listening(createServer(app));
    running.push(started);
    const answer = await post(started.url);
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([500, { code: 'raw_body_required' }]);
  });
});
