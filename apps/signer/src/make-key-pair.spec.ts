import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { isSigningKeyId } from '#core/ids';
import { KEY_ALGORITHMS } from '#core/signature/rfc9421';
import { makeKeyPair, thumbprint } from './make-key-pair.ts';

describe('makeKeyPair', () => {
  test.each(KEY_ALGORITHMS)('makes a new pair for %s, with nothing private in its public half', (algorithm) => {
    const { id, publicJwk, privateKey } = makeKeyPair(algorithm);
    const opened = createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' });
    const { d, ...members } = opened.export({ format: 'jwk' });
    expect(d).toBeDefined();
    expect(publicJwk).toEqual(members);
    expect(createPublicKey(opened).equals(createPublicKey({ key: publicJwk, format: 'jwk' }))).toBe(true);
    expect(isSigningKeyId(id)).toBe(true);
    expect(makeKeyPair(algorithm).id).not.toBe(id);
  });

  test('names it by its thumbprint: the example of RFC 8037, and the members of an EC key in their order (MS-5)', () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' } as const;
    expect(thumbprint(jwk)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k');
    const hashed = createHash('sha256').update('{"crv":"P-256","kty":"EC","x":"a","y":"b"}').digest('base64url');
    expect(thumbprint({ kty: 'EC', y: 'b', x: 'a', crv: 'P-256' })).toBe(hashed);
  });
});
