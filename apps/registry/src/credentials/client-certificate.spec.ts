import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { generate } from 'selfsigned';
import { makeTestAuthority, type KeyAndCertificate, type TestAuthority } from '#testkit/certificates';
import { checkClientCertificate, shownCertificate } from './client-certificate.ts';

const NOW = Date.now();
const DAY_MS = 86_400_000;

let authority: TestAuthority;
let pair: KeyAndCertificate;

beforeAll(async () => {
  authority = await makeTestAuthority();
  pair = await authority.issue({ purpose: 'client', hosts: ['client.example'] });
});

const check = ({ cert, key }: KeyAndCertificate, nowMs = NOW) =>
  checkClientCertificate({ certificate: cert, privatekey: key }, nowMs).map(({ pointer, detail }) => [pointer, detail]);

describe('a client certificate (SA-10)', () => {
  test('is taken alone, and with the chain up to its authority', () => {
    expect(check(pair)).toEqual([]);
    expect(check({ ...pair, cert: `${pair.cert}\n${authority.certPem}` })).toEqual([]);
  });

  test('is shown by its fingerprint and by when the first of the chain expires', () => {
    const chain = { certificate: `${pair.cert}\n${authority.certPem}`, privatekey: pair.key };
    const expiry = Math.min(
      ...[pair.cert, authority.certPem].map((pem) => Date.parse(new X509Certificate(pem).validTo)),
    );
    expect(shownCertificate(chain)).toEqual({
      credentialtype: 'CLIENTCERTIFICATE',
      certificatesha256: new X509Certificate(pair.cert).fingerprint256.replaceAll(':', '').toLowerCase(),
      certificateexpiresutc: new Date(expiry).toISOString(),
    });
  });

  test.each<[string, () => KeyAndCertificate | Promise<KeyAndCertificate>, string, RegExp]>([
    ['is none', () => ({ ...pair, cert: pair.cert.replace(/[A-Z]{3}/, 'AAA') }), 'certificate', /not an X\.509/],
    ['has no key', () => ({ ...pair, key: pair.key.replace(/[A-Z]{3}/, 'AAA') }), 'privatekey', /not a private key/],
    [
      'has the key of another',
      async () => ({ ...pair, key: (await authority.issue()).key }),
      'privatekey',
      /not the key of the first/,
    ],
    [
      'stands behind its authority',
      () => ({ ...pair, cert: `${authority.certPem}\n${pair.cert}` }),
      'privatekey',
      /Posthaste test authority/,
    ],
    [
      'is over',
      () => authority.issue({ purpose: 'client', notAfter: new Date(NOW - 1000) }),
      'certificate',
      /has expired/,
    ],
    [
      'is not valid yet',
      () =>
        authority.issue({ purpose: 'client', notBefore: new Date(NOW + DAY_MS), notAfter: new Date(NOW + 2 * DAY_MS) }),
      'certificate',
      /not valid before/,
    ],
    ['is for servers', () => authority.issue({ purpose: 'server' }), 'certificate', /lacks clientAuth/],
    [
      'is followed by a stranger',
      async () => ({ ...pair, cert: `${pair.cert}\n${(await makeTestAuthority()).certPem}` }),
      'certificate',
      /was not issued by the one that follows/,
    ],
  ])('that %s is refused, and the text says why', async (_what, make, member, why) => {
    const given = await make();
    const found = check(given);
    expect(found).toEqual([[`/sinkcredential/${member}`, expect.stringMatching(why)]]);
    for (const line of given.key.split('\n').filter((one) => one.length > 20 && !one.startsWith('-----')))
      expect(JSON.stringify(found)).not.toContain(line);
  });

  test.each([1024, 8192])(
    'with an RSA key of %d bits is refused: too short to be safe, or too slow to sign with',
    (bits) => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
      const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      expect(check({ ...pair, key })).toEqual([
        ['/sinkcredential/privatekey', expect.stringMatching(`has ${bits} bits; 2048 to 4096 are possible`)],
      ]);
    },
  );

  test.each(['secp256k1', 'sect571r1'])('with a key on %s is refused: TLS does not know it', (namedCurve) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(check({ ...pair, key })).toEqual([
      ['/sinkcredential/privatekey', expect.stringMatching(`TLS does not use the curve ${namedCurve}`)],
    ]);
  });

  test('is refused when its key has the right public half and signs wrongly', async () => {
    const whole = await generate([{ name: 'commonName', value: 'client' }], { keyType: 'rsa', keySize: 2048 });
    const jwk = createPrivateKey(whole.private).export({ format: 'jwk' });
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
    const forged = createPrivateKey({ key: { ...stranger, n: jwk.n ?? '', kty: 'RSA' }, format: 'jwk' });
    const key = forged.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(check({ cert: whole.cert, key }, Date.now() + 1000)).toEqual([
      ['/sinkcredential/privatekey', expect.stringMatching(/not the key of the first/)],
    ]);
    expect(check({ cert: whole.cert, key: whole.private }, Date.now() + 1000)).toEqual([]);
  });
});
