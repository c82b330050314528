import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SigningKeyId, SubscriptionId } from '../ids.ts';
import { basic, fixedHeader } from './credential-header.ts';
import { isFresh, jwtClaims, jwtSigningInput } from './jwt.ts';

const subject = { issuer: 'https://hooks.example', subscription: 'sub_1' as SubscriptionId };
const decoded = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString()) as unknown;

test('a token is for one sink, names its subscription, and lives an hour at most (WH-9)', () => {
  const claims = jwtClaims({ ...subject, sink: 'https://sink.example/ü?a=1' }, 1_800_000_000_999);
  expect(claims).toEqual({
    iss: 'https://hooks.example',
    aud: ['https://sink.example/ü?a=1'],
    sub: 'sub_1',
    iat: 1_800_000_000,
    exp: 1_800_003_600,
  });
  const [header, payload] = jwtSigningInput(claims, 'kid' as SigningKeyId).split('.');
  expect(decoded(header)).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'kid' });
  expect(decoded(payload)).toEqual(claims);
});

test('what is signed is what RFC 7515 says, of any sink', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = createPublicKey({ key: publicKey.export({ format: 'jwk' }), format: 'jwk' });
  fc.assert(
    fc.property(fc.webUrl({ withQueryParameters: true }), (sink) => {
      const input = jwtSigningInput(jwtClaims({ ...subject, sink }, 0), 'k' as SigningKeyId);
      expect(input).toMatch(/^[\w-]+\.[\w-]+$/);
      const signature = sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      expect(verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
      expect(decoded(input.split('.')[1])).toMatchObject({ aud: [sink] });
    }),
    { numRuns: 30 },
  );
});

test('a token is used for half of its life, and not when it is of the future', () => {
  const nowMs = 1_800_000_000_000;
  expect([0, 1799, 1800].map((age) => isFresh({ iat: nowMs / 1000 - age }, nowMs))).toEqual([true, true, false]);
  expect(isFresh({ iat: nowMs / 1000 + 5 }, nowMs)).toBe(false);
});

test('Basic is UTF-8 (RFC 7617 section 2.1)', () => {
  expect(basic('test', '123£')).toBe('Basic dGVzdDoxMjPCow==');
  expect(fixedHeader({ credentialtype: 'APIKEY', header: 'X-Key', value: 'v' })).toEqual(['X-Key', 'v']);
});
