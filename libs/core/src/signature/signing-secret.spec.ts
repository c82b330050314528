import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatSecret, parseSecret } from './signing-secret.ts';

const vectors = JSON.parse(readFileSync('test/vectors/standard-webhooks.json', 'utf8')) as {
  badSecrets: string[];
  symmetric: { secret: string; secretUnprefixed: string }[];
  unpaddedSecret: { padded: string; unpadded: string };
};

describe('parseSecret', () => {
  test.each(vectors.badSecrets)('rejects "%s" (SW-3)', (text) => {
    expect(parseSecret(text)).toMatchObject({ ok: false, rule: 'SW-3' });
  });

  test('reads a secret with and without padding to the same key (SW-3)', () => {
    const { padded, unpadded } = vectors.unpaddedSecret;
    expect(parseSecret(padded).ok).toBe(true);
    expect(parseSecret(unpadded)).toEqual(parseSecret(padded));
  });

  test('asks for the prefix, so that a password is not taken for base64 (SW-3)', () => {
    for (const { secret, secretUnprefixed } of vectors.symmetric) {
      expect(parseSecret(secret).ok).toBe(true);
      expect(parseSecret(secretUnprefixed)).toMatchObject({ ok: false, detail: expect.stringContaining('whsec_') });
    }
  });

  test('takes 24 to 64 bytes, and reads back what it wrote (SW-3)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (key) => {
        const parsed = parseSecret(formatSecret(key));
        expect(parsed.ok).toBe(key.length >= 24 && key.length <= 64);
        if (parsed.ok) expect(parsed.key).toEqual(key);
      }),
    );
  });

  test('never repeats the secret when it refuses it', () => {
    const parsed = parseSecret('whsec_not*base64*at*all');
    expect(JSON.stringify(parsed)).not.toContain('not*base64');
  });
});
