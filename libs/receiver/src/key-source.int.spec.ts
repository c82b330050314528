import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { makeKeySource, type KeySourceOptions } from './key-source.ts';
import type { PublicKeyInput } from './public-key.ts';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import { sign, type SignSettings } from './sign.ts';
import { verify } from './verify.ts';

type Respond = (request: IncomingMessage, response: ServerResponse) => void;

const URL_OF_SINK = 'https://sink.example/hooks';
const body = Buffer.from('{"specversion":"1.0","id":"1","source":"/s","type":"a.b"}');
const headers = { 'content-type': 'application/cloudevents+json' };
const server = createServer((request, response) => {
  asked.push(request.url ?? '');
  respond(request, response);
});
let asked: string[];
let respond: Respond;
let origin: string;
let nowMs: number;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

beforeEach(() => {
  asked = [];
  nowMs = 1_700_000_000_000;
});

afterAll(() => {
  server.closeAllConnections(); // some of them never got an answer
  server.close();
});

function aKey(kid: string) {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    kid,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } as PublicKeyInput,
    publicPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

type Key = ReturnType<typeof aKey>;

function serve(...keys: readonly Key[]): void {
  respond = (_, response) => response.end(JSON.stringify({ keys: keys.map(({ jwk }) => jwk) }));
}

function signedBy({ kid, privateKey }: Key, profile: 'rfc9421' | 'standard-webhooks-v1a' = 'rfc9421') {
  const settings: SignSettings =
    profile === 'rfc9421' ? { profile, privateKey, keyId: kid } : { profile, privateKeys: [privateKey] };
  const given = { messageId: 'dlv_1', timestampSeconds: nowMs / 1000, body, url: URL_OF_SINK, headers };
  return { url: URL_OF_SINK, headers: [...Object.entries(headers), ...sign(given, settings)], body };
}

function aSource(options: Partial<KeySourceOptions> = {}, publicKeys: readonly PublicKeyInput[] = []) {
  const keySource = makeKeySource({ jwksUrls: [`${origin}/jwks`], now: () => nowMs, ...options });
  return async (notification: Parameters<typeof verify>[0]): Promise<string> => {
    const result = await verify(notification, { keySource, publicKeys, nowSeconds: nowMs / 1000 });
    return result.ok ? 'ok' : result.code;
  };
}

describe('a set of keys', () => {
  test('is fetched once for many at once, and used until it is old (MS-5)', async () => {
    const key = aKey('k1');
    serve(key);
    const codeOf = aSource();
    expect(await Promise.all(Array.from({ length: 10 }, () => codeOf(signedBy(key))))).toEqual(Array(10).fill('ok'));
    nowMs += 599_000;
    expect(await codeOf(signedBy(key))).toBe('ok');
    expect(asked).toHaveLength(1);
    nowMs += 2_000;
    expect(await codeOf(signedBy(key))).toBe('ok');
    expect(asked).toHaveLength(2);
  });

  test('is looked at again for a key that is new, but not at the command of whoever sends', async () => {
    const [old, fresh, stranger] = [aKey('old'), aKey('fresh'), aKey('stranger')];
    serve(old);
    const codeOf = aSource();
    expect(await codeOf(signedBy(old))).toBe('ok');
    serve(old, fresh);
    expect(await codeOf(signedBy(fresh))).toBe('unknown_key');
    nowMs += 30_000;
    expect(await codeOf(signedBy(fresh))).toBe('ok');
    expect(asked).toHaveLength(2);
    for (let i = 0; i < 20; i++) expect(await codeOf(signedBy({ ...stranger, kid: `s${i}` }))).toBe('unknown_key');
    expect(asked).toHaveLength(2);
  });

  test('is looked at again for v1a, that does not name its key', async () => {
    const [old, fresh] = [aKey('old'), aKey('fresh')];
    serve(old);
    const codeOf = aSource();
    expect(await codeOf(signedBy(old, 'standard-webhooks-v1a'))).toBe('ok');
    serve(fresh);
    nowMs += 30_000;
    expect(await codeOf(signedBy(fresh, 'standard-webhooks-v1a'))).toBe('ok');
    expect(await codeOf(signedBy(old, 'standard-webhooks-v1a'))).toBe('signature_mismatch');
  });

  test('forgets a key that was withdrawn', async () => {
    const [gone, stays] = [aKey('gone'), aKey('stays')];
    serve(gone, stays);
    const codeOf = aSource();
    expect(await codeOf(signedBy(gone))).toBe('ok');
    serve(stays);
    nowMs += 600_000;
    expect(await codeOf(signedBy(gone))).toBe('unknown_key');
  });

  test('is used on for an hour while it can not be fetched, and then no more', async () => {
    const key = aKey('k1');
    serve(key);
    const codeOf = aSource();
    expect(await codeOf(signedBy(key))).toBe('ok');
    respond = (_, response) => response.writeHead(500).end();
    nowMs += 4_100_000;
    expect(await codeOf(signedBy(key))).toBe('ok');
    nowMs += 200_000;
    expect(await codeOf(signedBy(key))).toBe('keys_unavailable');
    serve(key);
    nowMs += 30_000;
    expect(await codeOf(signedBy(key))).toBe('ok');
  });

  // "Unknown" is final: the sender gives up.
  test.each(['rfc9421', 'standard-webhooks-v1a'] as const)(
    'leaves open whether a key of %s is to be trusted while it can not be fetched',
    async (profile) => {
      const [old, fresh] = [aKey('old'), aKey('fresh')];
      serve(old);
      const codeOf = aSource();
      expect(await codeOf(signedBy(old, profile))).toBe('ok');
      respond = (_, response) => response.writeHead(503).end();
      nowMs += 60_000;
      expect(await codeOf(signedBy(fresh, profile))).toBe('keys_unavailable');
      expect(await codeOf(signedBy(fresh, profile))).toBe('keys_unavailable'); // not asked again so soon
      expect(await codeOf(signedBy(old, profile))).toBe('ok');
      expect(asked).toHaveLength(2);
      serve(old, fresh);
      nowMs += 30_000;
      expect(await codeOf(signedBy(fresh, profile))).toBe('ok');
      expect(await codeOf(signedBy(aKey('stranger'), profile))).toMatch(/^(unknown_key|signature_mismatch)$/);
    },
  );

  test('leaves it open too when only one of several sets can be fetched', async () => {
    const [ours, theirs] = [aKey('ours'), aKey('theirs')];
    respond = ({ url }, response) =>
      url === '/ours' ? response.end(JSON.stringify({ keys: [ours.jwk] })) : response.writeHead(503).end();
    const codeOf = aSource({ jwksUrls: [`${origin}/ours`, `${origin}/theirs`] });
    expect(await codeOf(signedBy(ours))).toBe('ok');
    expect(await codeOf(signedBy(theirs))).toBe('keys_unavailable');
  });

  test('is not needed for a key that was given, nor to refuse what no key could save', async () => {
    respond = (_, response) => response.writeHead(503).end();
    const given = aKey('given');
    const codeOf = aSource({}, [given.publicPem]);
    expect(await codeOf(signedBy(given))).toBe('ok');
    expect(await codeOf(signedBy(aKey('other')))).toBe('keys_unavailable');
    const old = signedBy(given);
    nowMs += 600_000;
    expect(await codeOf(old)).toBe('timestamp_too_old');
  });

  const hostile: [name: string, respond: Respond, why: string][] = [
    ['an answer that is too large', (_, response) => response.end(Buffer.alloc(1025, ' ')), 'larger than 1024 bytes'],
    ['an answer without end', (_, response) => void response.write(' '), 'aborted'],
    ['no answer', () => undefined, 'aborted'],
    ['a redirect', (_, response) => response.writeHead(302, { location: '/elsewhere' }).end(), 'fetch failed'],
    ['a status', (_, response) => response.writeHead(404).end(), '404'],
    ['no JSON', (_, response) => response.end('<html>'), 'JSON'],
    ['no set', (_, response) => response.end('{"keys":1}'), 'no JWK set'],
    ['a closed connection', (_, response) => response.destroy(), 'fetch failed'],
  ];

  test.each(hostile)('is not had from %s', async (_, answer, why) => {
    respond = answer;
    const keySource = makeKeySource({ jwksUrls: [`${origin}/jwks`], maxBytes: 1024, timeoutMs: 2_000 });
    const found = await keySource.find(['k1']);
    expect(found).toMatchObject({ ok: false, detail: expect.stringMatching(new RegExp(`${why}|timeout`)) });
    expect(asked).toEqual(['/jwks']);
  });

  test('leaves out what is not for signatures, and what we can not verify with', async () => {
    const key = aKey('k1');
    const { publicKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const others = [
      { ...(aKey('enc').jwk as object), use: 'enc' },
      rsa.export({ format: 'jwk' }),
      { kty: 'oct', k: 'AAAA' },
      1,
      null,
    ];
    respond = (_, response) => response.end(JSON.stringify({ keys: [...others, key.jwk] }));
    const keySource = makeKeySource({ jwksUrls: [`${origin}/jwks`] });
    expect(await keySource.find([])).toEqual({ ok: true, keys: [key.jwk] });
  });

  test('is fetched by jwksUrl alone, once per process', async () => {
    const key = aKey('k1');
    serve(key);
    const options = { jwksUrl: `${origin}/shared`, nowSeconds: nowMs / 1000 };
    expect((await verify(signedBy(key), options)).ok).toBe(true);
    expect((await verify(signedBy(key), { ...options })).ok).toBe(true);
    expect(asked).toEqual(['/shared']);
  });

  test('is not asked for what is signed with a secret, or not signed', async () => {
    serve(aKey('k1'));
    const codeOf = aSource();
    const secrets = ['whsec_YSBzZWNyZXQgb2YgMzIgYnl0ZXMsIG5vdCBhIHJlYWw='];
    const given = { messageId: 'dlv_1', timestampSeconds: nowMs / 1000, body };
    const hmac = sign(given, { profile: 'standard-webhooks', secrets });
    expect(await codeOf({ headers: hmac, body })).toBe('profile_not_accepted');
    expect(await codeOf({ headers: {}, body })).toBe('missing_header');
    expect(asked).toEqual([]);
  });
});

describe('what a message says of its key', () => {
  test('never makes another URL be fetched: keyid, jku, x5u', async () => {
    const [trusted, attacker] = [aKey('k1'), aKey('k2')];
    serve(trusted);
    const codeOf = aSource();
    const forged = signedBy({ ...attacker, kid: `${origin}/evil/k2.pem` });
    const withJku = forged.headers.map(([name, value]): [string, string] => [
      name,
      name === 'signature-input' ? `${value};jku="${origin}/evil";x5u="${origin}/evil"` : value,
    ]);
    expect(await codeOf(forged)).toBe('unknown_key');
    expect(await codeOf({ ...forged, headers: withJku })).toBe('unknown_key');
    expect(new Set(asked)).toEqual(new Set(['/jwks']));
  });

  test('is followed below a prefix that the receiver allows, and nowhere else (MS-5)', async () => {
    const key = aKey('k1');
    respond = (request, response) =>
      request.url === '/keys/k1.pem' ? response.end(key.publicPem) : response.writeHead(404).end();
    const codeOf = aSource({ jwksUrls: [], keyUrlPrefixes: [`${origin}/keys/`] });
    expect(await codeOf(signedBy({ ...key, kid: `${origin}/keys/k1.pem` }))).toBe('ok');
    expect(await codeOf(signedBy({ ...key, kid: `${origin}/keys/k1.pem` }))).toBe('ok');
    for (const kid of [
      `${origin}/keys/../evil/k1.pem`,
      `${origin}/keys/%2e%2e/evil`,
      `${origin}/keys/a/b`,
      `${origin}/keys/k1.pem?x=1`,
      `${origin}/keys/`,
      `${origin}/other/k1.pem`,
      `${origin}@evil.example/keys/k1.pem`,
      'file:///etc/passwd',
    ]) {
      expect([kid, await codeOf(signedBy({ ...key, kid }))]).toEqual([kid, 'unknown_key']);
    }
    expect(asked).toEqual(['/keys/k1.pem']);
  });

  test('is fetched for a few keys only, however many are named', async () => {
    respond = (_, response) => response.writeHead(404).end();
    const key = aKey('k');
    const codeOf = aSource({ jwksUrls: [], keyUrlPrefixes: [`${origin}/keys/`] });
    for (let i = 0; i < 40; i++) await codeOf(signedBy({ ...key, kid: `${origin}/keys/k${i}` }));
    expect(asked).toHaveLength(32);
  });

  test('may come again when others were named too often: nobody can have a notification lost by that', async () => {
    const key = aKey('k');
    respond = ({ url }, response) =>
      url === '/keys/k.pem' ? response.end(key.publicPem) : response.writeHead(404).end();
    const codeOf = aSource({ jwksUrls: [], keyUrlPrefixes: [`${origin}/keys/`] });
    for (let i = 0; i < 32; i++) await codeOf(signedBy({ ...key, kid: `${origin}/keys/k${i}` }));
    expect(await codeOf(signedBy({ ...key, kid: `${origin}/keys/k.pem` }))).toBe('keys_unavailable');
    nowMs += 30_000;
    expect(await codeOf(signedBy({ ...key, kid: `${origin}/keys/k.pem` }))).toBe('ok');
  });
});

describe('a URL of keys', () => {
  test.each(['http://hooks.example/jwks', 'file:///jwks', 'jwks', 'ftp://127.0.0.1/'])('is not %s', (url) => {
    expect(() => makeKeySource({ jwksUrls: [url] })).toThrow(ReceiverMisconfigured);
    expect(() => makeKeySource({ keyUrlPrefixes: [url] })).toThrow(ReceiverMisconfigured);
  });

  test.each(['https://hooks.example/keys', 'https://hooks.example/keys/?a=/', 'https://hooks.example/a/../keys/'])(
    'is no prefix: %s',
    (prefix) => {
      expect(() => makeKeySource({ keyUrlPrefixes: [prefix] })).toThrow('ends with a slash');
    },
  );
});
