import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { readSignatureVectors } from '#testkit/signature-vectors';
import { contentDigest, digest, parseContentDigest, parseDigest } from './content-digest.ts';

const { digests } = readSignatureVectors<{ digests: { body: string; 'sha-256': string; 'sha-512'?: string }[] }>(
  'rfc9421.json',
);

describe('the digest of a body', () => {
  test.each(digests)('is that of RFC 9530 and of the older form: $body (DG-1 … DG-3)', ({ body, ...expected }) => {
    const sha256 = createHash('sha256').update(body).digest();
    expect(contentDigest(sha256.toString('base64'))).toBe(`sha-256=:${expected['sha-256']}:`);
    expect(digest(sha256.toString('base64'))).toBe(`SHA-256=${expected['sha-256']}`);
    expect(parseContentDigest(contentDigest(expected['sha-256']))?.get('sha-256')).toEqual(new Uint8Array(sha256));
    expect(parseDigest(digest(expected['sha-256']))?.get('sha-256')).toEqual(new Uint8Array(sha256));
  });

  const [{ 'sha-256': sha256, 'sha-512': sha512 } = { 'sha-256': '', 'sha-512': '' }] = digests;

  test('is found among others; those that are broken or unknown do not count (DG-1)', () => {
    const both = parseContentDigest(`md5=:AAAA:, sha-512=:${sha512}:, sha-256=:${sha256}:`);
    expect([...(both?.keys() ?? [])]).toEqual(['sha-512', 'sha-256']);
    const older = parseDigest(`md5=AAAA,sha-512=${sha512}, SHA-256=${sha256}`);
    expect([...(older?.keys() ?? [])]).toEqual(['sha-512', 'sha-256']);
  });

  test.each([`sha-256=${sha256}`, 'sha-256=:AAAA:', 'sha-256', 'sha-256=(:AAAA:)', ':AAAA:'])(
    'is not read from "%s"',
    (value) => {
      expect(parseContentDigest(value)).toBeUndefined();
    },
  );

  test.each(['SHA-256', 'SHA-256=AAAA', 'SHA-256=*', `SHA-256=${sha256}=`, ''])(
    'is not read from "%s" either',
    (value) => {
      expect(parseDigest(value)).toBeUndefined();
    },
  );
});
