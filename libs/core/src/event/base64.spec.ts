import { Buffer } from 'node:buffer';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeBase64, encodeBase64 } from './base64.ts';

describe('base64', () => {
  test('encodes as Node does and decodes it back (RFC 4648)', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const text = Buffer.from(encodeBase64(bytes)).toString('latin1');
        expect(text).toBe(Buffer.from(bytes).toString('base64'));
        expect(decodeBase64(text)).toEqual(bytes);
      }),
    );
  });

  test.each([
    ['white space', 'TWE=\n'],
    ['white space inside', 'TW E'],
    ['no padding', 'TWE'],
    ['padding alone', '===='],
    ['padding inside', 'TWE=TWFu'],
    ['three paddings', 'T==='],
    ['the URL alphabet', '-_-_'],
    ['unused bits that are not zero', 'TWF='],
    ['unused bits that are not zero, one byte', 'TR=='],
    ['another character', 'TW*u'],
    ['a character beyond ASCII', 'TWFé'],
    ['a character beyond Latin-1', 'TWF€TWFu'],
  ])('refuses %s (JF-4)', (_what, text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  test('accepts only text that encoding gives back', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9+/=]{0,12}$/), (text) => {
        const bytes = decodeBase64(text);
        expect(bytes === undefined || Buffer.from(encodeBase64(bytes)).toString('latin1') === text).toBe(true);
      }),
    );
  });
});
