import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SIGNATURE_PROFILES, type SignatureProfile } from '#core/signature/signature-settings';
import { formatPublicKey } from '#core/signature/standard-webhooks-v1a';
import { formatSecret } from '#core/signature/signing-secret';
import { readWireRequest } from '#testkit/foreign-verifiers';
import { readSignatureVectors, requestOf } from '#testkit/signature-vectors';
import type { PublicKeyInput } from './public-key.ts';
import { sign, type SignSettings } from './sign.ts';
import { verifySignature, type SignatureOptions } from './verify-signature.ts';
import { verify } from './verify.ts';

const URL = 'https://sink.example/hooks?tenant=acme';
const NOW = 1_700_000_000;
const secret = formatSecret(new Uint8Array(32).fill(5));
const ed25519 = aKeyPair('ed25519');
const p256 = aKeyPair('ec');
const body = Buffer.from('{"specversion":"1.0","id":"é1","source":"/s","type":"a.b","data":{"m":1.10}}');

function aKeyPair(type: 'ed25519' | 'ec') {
  const { publicKey, privateKey } =
    type === 'ec' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
  const jwk = publicKey.export({ format: 'jwk' });
  return {
    jwk,
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    pem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  };
}

interface Case {
  readonly name: string;
  readonly settings: SignSettings;
  readonly options: SignatureOptions;
  /** Headers whose every bit matters. */
  readonly covered: readonly string[];
  /** What the tenant's headers begin with. */
  readonly label?: Pick<SignatureOptions, 'headerPrefix'>;
}

const whpk = formatPublicKey(Buffer.from(ed25519.jwk.x ?? '', 'base64url'));
const RFC9421_COVERED = ['content-digest', 'content-type', 'webhook-id', 'signature-input', 'signature'];
const USUAL: readonly Case[] = [
  {
    name: 'standard-webhooks',
    settings: { profile: 'standard-webhooks', secrets: [secret] },
    options: { secrets: [secret] },
    covered: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  },
  {
    name: 'standard-webhooks-v1a',
    settings: { profile: 'standard-webhooks-v1a', privateKeys: [ed25519.privateKey] },
    options: { publicKeys: [whpk] },
    covered: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  },
  {
    name: 'rfc9421 with ed25519',
    settings: { profile: 'rfc9421', privateKey: ed25519.privateKey, keyId: 'k1', expiresSeconds: 60 },
    options: { publicKeys: [{ ...ed25519.jwk, kid: 'k1' }] },
    covered: RFC9421_COVERED,
  },
  {
    name: 'rfc9421 with ecdsa-p256-sha256',
    settings: { profile: 'rfc9421', privateKey: p256.privateKey, keyId: 'k2' },
    options: { publicKeys: [{ keyId: 'k2', key: p256.pem }] },
    covered: RFC9421_COVERED,
  },
  {
    name: 'http-signatures-draft-05',
    settings: {
      profile: 'http-signatures-draft-05',
      privateKey: p256.privateKey,
      keyId: 'https://a.example/keys/k2.pem',
    },
    options: { publicKeys: [{ ...p256.jwk, kid: 'k2' }] },
    covered: ['date', 'content-type', 'digest', 'content-length', 'user-agent', 'signature-input', 'signature'],
  },
  {
    name: 'http-signatures-draft-05, verbatim',
    settings: { profile: 'http-signatures-draft-05', privateKey: p256.privateKey, keyId: 'k2', verbatim: true },
    options: { publicKeys: [p256.pem] },
    covered: ['date', 'content-type', 'digest', 'content-length', 'user-agent', 'signature-input', 'signature'],
  },
  {
    name: 'hmac-timestamp',
    settings: { profile: 'hmac-timestamp', secrets: [secret] },
    options: { secrets: [secret] },
    covered: ['x-webhook-signature'],
  },
];

const label = { headerPrefix: 'acme' };
const LABELLED = USUAL.filter(({ name }) => !/draft|p256/.test(name)).map((one): Case => ({
  name: `${one.name}, with a prefix`,
  settings: { ...one.settings, ...label },
  options: { ...one.options, ...label },
  covered: one.covered.map((name) => name.replace('webhook', 'acme')),
  label,
}));
const CASES = [...USUAL, ...LABELLED];

function signed(settings: SignSettings, timestampSeconds = NOW) {
  const headers: [string, string][] = [['content-type', 'application/cloudevents+json; charset=UTF-8']];
  return {
    url: URL,
    headers: [...headers, ...sign({ messageId: 'dlv_1', timestampSeconds, body, url: URL, headers }, settings)],
    body,
  };
}

const codeOf = (...given: Parameters<typeof verifySignature>): string => {
  const result = verifySignature(...given);
  return result.ok ? 'ok' : result.code;
};

function withHeader(notification: ReturnType<typeof signed>, name: string, change: (value: string) => string) {
  const headers = notification.headers.map(([other, value]): [string, string] => [
    other,
    other === name ? change(value) : value,
  ]);
  return { ...notification, headers };
}

describe.each(CASES)('$name', ({ settings, options, covered, label: labelled = {} }) => {
  const given = { ...options, nowSeconds: NOW };

  test('is verified when sign() made it, and the event read', async () => {
    expect(await verify(signed(settings), given)).toMatchObject({
      ok: true,
      profile: settings.profile,
      timestampSeconds: NOW,
      events: [{ id: 'é1' }],
    });
  });

  test('is refused after any change of one bit of the body (SW-2, DG-1, DG-2)', () => {
    const notification = signed(settings);
    fc.assert(
      fc.property(fc.nat({ max: body.length * 8 - 1 }), (bit) => {
        const altered = body.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
        expect(verifySignature({ ...notification, body: altered }, given).ok).toBe(false);
      }),
    );
  });

  test.each(covered)('is refused after a change of any one bit of %s (MS-7)', (name) => {
    const notification = signed(settings);
    const value = notification.headers.find(([other]) => other === name)?.[1] ?? '';
    expect(value).not.toBe('');
    const accepted = Array.from({ length: value.length * 8 }, (_, bit) => bit).filter((bit) => {
      const at = bit >> 3;
      const char = String.fromCharCode(value.charCodeAt(at) ^ (1 << (bit & 7)));
      const altered = withHeader(notification, name, (old) => old.slice(0, at) + char + old.slice(at + 1));
      return verifySignature(altered, given).ok;
    });
    expect(accepted).toEqual([]);
  });

  test.each(covered)('is refused without %s', (name) => {
    const notification = signed(settings);
    const headers = notification.headers.filter(([other]) => other !== name);
    expect(codeOf({ ...notification, headers }, given)).not.toBe('ok');
  });

  // Of dictionaries the last of two counts (RFC 8941), and these say the same.
  test.each(covered.filter((name) => !/^signature(-input)?$/.test(name)))(
    'is refused when %s is there twice',
    (name) => {
      const notification = signed(settings);
      const twice = [...notification.headers, ...notification.headers.filter(([other]) => other === name)];
      expect(codeOf({ ...notification, headers: twice }, given)).not.toBe('ok');
    },
  );

  test.each([
    [-301, 'timestamp_too_new', -301],
    [-300, 'ok', undefined],
    [0, 'ok', undefined],
    [300, 'ok', undefined],
    [301, 'timestamp_too_old', 301],
    [86_400 * 365, 'timestamp_too_old', 86_400 * 365],
  ])('received %d s after it was signed: %s (SW-5)', (ageSeconds, code, skewSeconds) => {
    const unlimited = settings.profile === 'rfc9421' ? { ...settings, expiresSeconds: 1e9 } : settings;
    const result = verifySignature(signed(unlimited), { ...given, nowSeconds: NOW + ageSeconds });
    expect(result.ok ? 'ok' : result.code).toBe(code);
    expect(result.ok ? undefined : result.skewSeconds).toBe(skewSeconds);
  });

  test('takes a tolerance of its own', () => {
    const late = { ...given, nowSeconds: NOW + 10 };
    expect(codeOf(signed(settings), { ...late, toleranceSeconds: 9 })).toBe('timestamp_too_old');
    expect(codeOf(signed(settings), { ...late, toleranceSeconds: 10 })).toBe('ok');
  });

  test('is not accepted where there are keys for the other kind only: no downgrade', () => {
    const isSecret = 'secrets' in settings;
    const others: SignatureOptions = isSecret ? { publicKeys: [whpk, p256.pem] } : { secrets: [secret] };
    expect(verifySignature(signed(settings), { ...others, ...labelled, nowSeconds: NOW })).toMatchObject({
      code: 'profile_not_accepted',
      detail: expect.stringContaining(settings.profile),
    });
  });

  test('is not accepted when profiles says another', () => {
    const profiles = SIGNATURE_PROFILES.filter((profile) => profile !== settings.profile);
    expect(codeOf(signed(settings), { ...given, profiles })).toBe('profile_not_accepted');
  });

  test('is refused with the key of somebody else', () => {
    const stranger = aKeyPair('ed25519');
    const other: SignatureOptions =
      'secrets' in settings
        ? { secrets: [formatSecret(new Uint8Array(32).fill(9))] }
        : { publicKeys: [stranger.pem, aKeyPair('ec').pem] };
    expect(codeOf(signed(settings), { ...other, ...labelled, nowSeconds: NOW })).toBe('signature_mismatch');
  });
});

describe('a request with several signatures', () => {
  const hmac = signed({ profile: 'standard-webhooks', secrets: [secret] });
  const rfc9421: SignSettings = { profile: 'rfc9421', privateKey: ed25519.privateKey, keyId: 'k1' };
  const both = {
    ...hmac,
    headers: [
      ...hmac.headers,
      ...signed(rfc9421).headers.filter(([name]) => !/^(webhook-id|content-type)$/.test(name)),
    ],
  };
  const given = { secrets: [secret], publicKeys: [{ ...ed25519.jwk, kid: 'k1' }], nowSeconds: NOW };

  test('is decided by the strongest that is accepted', () => {
    expect(verifySignature(both, given)).toMatchObject({ ok: true, profile: 'rfc9421' });
    expect(verifySignature(both, { secrets: [secret], nowSeconds: NOW })).toMatchObject({
      profile: 'standard-webhooks',
    });
  });

  test('is not saved by a weaker one', () => {
    const broken = withHeader(both, 'signature', () => `sig1=:${Buffer.alloc(64, 1).toString('base64')}:`);
    expect(codeOf(broken, { secrets: [secret], nowSeconds: NOW })).toBe('ok');
    expect(codeOf(broken, given)).toBe('signature_mismatch');
  });
});

describe('the algorithm that a message names (MS-7)', () => {
  const keys: Record<string, PublicKeyInput> = { ed25519: ed25519.pem, p256: p256.pem };
  const SIGNERS = { ed25519: ed25519.privateKey, p256: p256.privateKey };

  test.each([
    ['ed25519', 'ed25519', 'ed25519', 'ok'],
    ['p256', 'p256', 'ecdsa-p256-sha256', 'ok'],
    ['ed25519', 'ed25519', 'ecdsa-p256-sha256', 'algorithm_mismatch'],
    ['p256', 'p256', 'ed25519', 'algorithm_mismatch'],
    ['ed25519', 'p256', 'ed25519', 'algorithm_mismatch'],
    ['p256', 'ed25519', 'ecdsa-p256-sha256', 'algorithm_mismatch'],
    ['ed25519', 'ed25519', 'hmac-sha256', 'unsupported_algorithm'],
    ['p256', 'p256', 'hmac-sha256', 'unsupported_algorithm'],
    ['p256', 'p256', 'none', 'unsupported_algorithm'],
    ['p256', 'p256', '', 'unsupported_algorithm'],
    ['p256', 'p256', 'rsa-v1_5-sha256', 'unsupported_algorithm'],
    ['ed25519', 'ed25519', 'ED25519', 'unsupported_algorithm'],
  ] as const)('signed with %s, verified with %s, alg="%s": %s', (signer, verifier, alg, code) => {
    const notification = signed({ profile: 'rfc9421', privateKey: SIGNERS[signer], keyId: 'k' });
    const renamed = withHeader(notification, 'signature-input', (value) =>
      value.replace(/;alg="[^"]*"/, `;alg="${alg}"`),
    );
    expect(codeOf(renamed, { publicKeys: [keys[verifier] ?? ''], nowSeconds: NOW })).toBe(code);
  });

  test('never makes a public key a secret', () => {
    const asSecret = formatSecret(Buffer.from(ed25519.jwk.x ?? '', 'base64url'));
    const forged = signed({ profile: 'standard-webhooks', secrets: [asSecret] });
    expect(codeOf(forged, { publicKeys: [whpk], nowSeconds: NOW })).toBe('profile_not_accepted');
    const asV1a = withHeader(forged, 'webhook-signature', (value) => value.replace('v1,', 'v1a,'));
    expect(codeOf(asV1a, { publicKeys: [whpk], nowSeconds: NOW })).toBe('signature_mismatch');
  });

  test('of draft-05 is ECDSA alone', () => {
    const notification = signed({ profile: 'http-signatures-draft-05', privateKey: p256.privateKey, keyId: 'k' });
    expect(codeOf(notification, { publicKeys: [ed25519.pem], nowSeconds: NOW })).toBe('algorithm_mismatch');
    const renamed = withHeader(notification, 'signature-input', (value) =>
      value.replace('ecdsa-p256-sha256', 'ed25519'),
    );
    expect(codeOf(renamed, { publicKeys: [p256.pem], nowSeconds: NOW })).toBe('unsupported_algorithm');
  });
});

describe('what a signature of RFC 9421 is for', () => {
  const options = { publicKeys: [ed25519.pem], nowSeconds: NOW };
  const settings = { profile: 'rfc9421', privateKey: ed25519.privateKey, keyId: 'k' } as const;

  test('is told by its tag', () => {
    const other = signed({ ...settings, tag: 'somebody-else' });
    expect(verifySignature(other, options)).toMatchObject({
      code: 'tag_mismatch',
      detail: expect.stringContaining('somebody-else'),
    });
    expect(codeOf(other, { ...options, tag: 'somebody-else' })).toBe('ok');
    expect(codeOf(other, { ...options, tag: false })).toBe('ok');
  });

  test('ends when it expires', () => {
    const short = signed({ ...settings, expiresSeconds: 10 });
    expect(codeOf(short, { ...options, nowSeconds: NOW + 10 })).toBe('ok');
    expect(codeOf(short, { ...options, nowSeconds: NOW + 11 })).toBe('signature_expired');
  });

  test('is this URL and method alone', () => {
    const notification = signed(settings);
    expect(codeOf({ ...notification, url: URL.replace('acme', 'bcme') }, options)).toBe('signature_mismatch');
    expect(codeOf({ ...notification, method: 'PUT' }, options)).toBe('signature_mismatch');
    const { url: _, ...withoutUrl } = notification;
    expect(codeOf(withoutUrl, options)).toBe('url_required');
    expect(() => verifySignature({ ...notification, url: '/hooks' }, options)).toThrow('absolute');
  });

  test('covers what it has to, or nothing is believed (MS-8)', () => {
    const some = signed({ ...settings, components: ['@method', 'content-digest'] });
    expect(verifySignature(some, options)).toMatchObject({
      code: 'component_not_signed',
      detail: expect.stringContaining('@target-uri, content-type, webhook-id'),
    });
    const result = verifySignature(some, { ...options, requiredComponents: ['@method'] });
    expect(result).toMatchObject({ ok: true, signedFields: ['content-digest'] });
    expect(result.ok && result.messageId).toBeUndefined();
    const noDigest = signed({ ...settings, components: ['@method'] });
    expect(codeOf(noDigest, { ...options, requiredComponents: [] })).toBe('component_not_signed');
  });

  test('has every ce- header in it, also one that was added on the way', () => {
    const headers = {
      'ce-id': '1',
      'ce-specversion': '1.0',
      'ce-source': '/s',
      'ce-type': 'a.b',
      'content-type': 'text/plain',
    };
    const fields = sign({ messageId: 'dlv_1', timestampSeconds: NOW, body, url: URL, headers }, settings);
    const binary = { url: URL, headers: [...Object.entries(headers), ...fields], body };
    expect(codeOf(binary, options)).toBe('ok');
    expect(codeOf({ ...binary, headers: [...binary.headers, ['Ce-Subject', 'x']] }, options)).toBe(
      'component_not_signed',
    );
  });

  test('is not the body itself but its digest, and which of them is wrong is said (DG-1)', () => {
    const notification = signed(settings);
    const altered = Buffer.from(body.toString().replace('1.10', '1.11'));
    expect(codeOf({ ...notification, body: altered }, options)).toBe('digest_mismatch');
    expect(codeOf({ ...notification, body: Buffer.concat([body, Buffer.from('\n')]) }, options)).toBe('body_altered');
    const other = withHeader(notification, 'content-digest', (value) => value.replace('sha-256', 'md5'));
    expect(codeOf(other, options)).toBe('signature_mismatch');
  });

  test('is of a key that is trusted', () => {
    const publicKeys = [{ ...ed25519.jwk, kid: 'other' } as PublicKeyInput];
    expect(codeOf(signed(settings), { ...options, publicKeys })).toBe('unknown_key');
  });
});

describe('a public key', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;

  test.each([
    ['text', 'not a key', 'This is none'],
    ['a private key', p256.privateKey, 'A private key was given'],
    ['RSA', rsa.export({ format: 'pem', type: 'spki' }).toString(), 'ed25519 or P-256'],
    ['another curve', p384.export({ format: 'jwk' }), 'ed25519 or P-256'],
    ['a private JWK', { ...ed25519.jwk, d: 'AAAA' }, 'no private part'],
    ['a shared secret', { kty: 'oct', k: 'AAAA' }, 'no private part'],
    ['a JWK that is none', { kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }, 'can not be read'],
  ])('is refused at once when it is %s', (_, key, why) => {
    const notification = signed({ profile: 'standard-webhooks-v1a', privateKeys: [ed25519.privateKey] });
    expect(() => verifySignature(notification, { publicKeys: [key as PublicKeyInput], nowSeconds: NOW })).toThrow(why);
  });
});

interface Captured {
  readonly name: string;
  readonly profile: SignatureProfile;
  readonly atSeconds: number;
  readonly publicKey?: JsonWebKey;
  readonly secrets?: readonly string[];
  readonly request: string;
}

describe('deliveries as sinks got them', () => {
  const { captures } = JSON.parse(readFileSync('test/vectors/captured-deliveries.json', 'utf8')) as {
    captures: readonly Captured[];
  };

  test.each(captures)(
    'are verified: $name',
    async ({ profile, atSeconds: nowSeconds, publicKey, secrets, request }) => {
      const { method, target, headers, body: received } = readWireRequest(Buffer.from(request));
      const notification = { method, url: `http://${headers['host'] ?? ''}${target}`, headers, body: received };
      const trusted = publicKey ? { publicKeys: [publicKey as PublicKeyInput] } : { secrets: secrets ?? [] };
      const options = profile === 'none' ? { acceptUnsigned: true } : { ...trusted, nowSeconds };
      expect(await verify(notification, options)).toMatchObject({
        ok: true,
        profile,
        events: [{ type: 'com.voxie.contact.created', subject: 'café' }],
      });
      for (const one of secrets ?? []) {
        expect((await verify(notification, { secrets: [one], nowSeconds })).ok).toBe(true);
      }
    },
  );
});

describe('vectors', () => {
  interface V1aVector {
    readonly secretKey64: string;
    readonly secretKeySeed32: string;
    readonly publicKey: string;
    readonly id: string;
    readonly timestamp: number;
    readonly payload: string;
    readonly signature: string;
  }
  const { asymmetric } = JSON.parse(readFileSync('test/vectors/standard-webhooks.json', 'utf8')) as {
    asymmetric: V1aVector[];
  };

  test.each(asymmetric)('of v1a are verified, and made again with either form of the key (SW-3)', (vector) => {
    const bytes = Buffer.from(vector.payload);
    const headers = {
      'webhook-id': vector.id,
      'webhook-timestamp': String(vector.timestamp),
      'webhook-signature': vector.signature,
    };
    const options = { publicKeys: [vector.publicKey], nowSeconds: vector.timestamp };
    expect(codeOf({ headers, body: bytes }, options)).toBe('ok');
    const notification = { messageId: vector.id, timestampSeconds: vector.timestamp, body: bytes };
    for (const key of [vector.secretKey64, vector.secretKeySeed32]) {
      const made = sign(notification, { profile: 'standard-webhooks-v1a', privateKeys: [key] });
      expect(Object.fromEntries(made)).toEqual(headers);
    }
  });

  const rfc9421 = readSignatureVectors('rfc9421.json');

  test.each(rfc9421.vectors.find(({ id }) => id === 'B.4')?.messages ?? [])(
    'of RFC 9421 B.4, $name: valid is $expectValid (MS-10)',
    ({ expectValid, ...message }) => {
      const head = requestOf(message);
      const key = rfc9421.keys['test-key-ed25519'];
      const publicKeys = key !== undefined && 'publicKeyPem' in key ? [key.publicKeyPem] : [];
      const notification = { ...head, body: new Uint8Array() };
      const options = { publicKeys, tag: false, requiredComponents: ['@method'], nowSeconds: 1618884473 } as const;
      expect(verifySignature(notification, options).ok).toBe(expectValid);
    },
  );

  test.each(
    rfc9421.vectors.filter(({ message, algorithm }) => message === 'test-request' && !/ed25519|ecdsa/.test(algorithm)),
  )(
    'of RFC 9421 $id are refused: $algorithm is not supported',
    ({ message = '', label, signatureInput, signature }) => {
      const head = requestOf(rfc9421.messages[message] ?? { startLine: '', headers: [] });
      const headers = [
        ...head.headers,
        ['Signature-Input', signatureInput ?? ''],
        ['Signature', `${label}=:${signature}:`],
      ] as const;
      const options = {
        publicKeys: [ed25519.pem, p256.pem],
        tag: false,
        requiredComponents: [],
        nowSeconds: 1618884473,
      } as const;
      expect(codeOf({ ...head, headers, body: new Uint8Array() }, options)).toMatch(/_mismatch|unsupported/);
    },
  );

  interface DraftRequest {
    readonly name: string;
    readonly request: { readonly startLine: string; readonly headers: [string, string][]; readonly body: string };
    readonly signatureInput: string;
    readonly keyid: string;
    readonly key: string;
    readonly signatureRaw: string;
  }
  const draft05 = readSignatureVectors<{ voxieProfile: DraftRequest[] }>('http-signatures-draft05.json');

  test.each(draft05.voxieProfile)('of draft-05 are verified: $name (MS-1, MS-2)', async (vector) => {
    const { body: text, ...message } = vector.request;
    const headers: [string, string][] = [
      ...message.headers,
      ['Signature-Input', vector.signatureInput],
      ['Signature', `sig1=:${vector.signatureRaw}:`],
    ];
    const key = draft05.keys[vector.key];
    const publicKeys =
      key !== undefined && 'publicKeyPem' in key ? [{ keyId: vector.keyid, key: key.publicKeyPem }] : [];
    const notification = { ...requestOf(message), headers, body: Buffer.from(text) };
    const nowSeconds = Date.parse('2021-08-03T15:21:35Z') / 1000;
    expect(await verify(notification, { publicKeys, nowSeconds })).toMatchObject({
      ok: true,
      profile: 'http-signatures-draft-05',
      keyId: vector.keyid,
      timestampSeconds: nowSeconds,
    });
    expect(
      await verify({ ...notification, url: 'https://example.com/other' }, { publicKeys, nowSeconds }),
    ).toMatchObject({
      code: 'signature_mismatch',
    });
  });
});
