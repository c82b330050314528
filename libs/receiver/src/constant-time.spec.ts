import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';

const ROOT = 'libs/receiver/src';

const sources = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.spec.ts'))
  .map((path) => ({ path, text: readFileSync(`${ROOT}/${path}`, 'utf8') }));

/** A comparison whose time tells how far two values agree, of what a secret or a body was made into. */
const LEAKY =
  /(?:\b(?:expected|hmac|digest|secret|signature|mac)\b\s*[!=]==?(?!=)(?!\s*undefined))|(?:\.equals\(|Buffer\.compare\(|\.indexOf\(expected|includes\(expected)/;

describe('what is made with a secret', () => {
  test('is compared in constant time, in one place', () => {
    const comparing = sources.filter(({ text }) => /timingSafeEqual/.test(text)).map(({ path }) => path);
    expect(comparing).toEqual(['constant-time.ts']);
  });

  test('is compared there wherever a MAC or digest is made to verify', () => {
    const hashing = sources.filter(({ path, text }) => /\b(createHmac|hash)\(/.test(text) && path !== 'sign.ts');
    expect(hashing.map(({ path }) => path).toSorted()).toEqual([
      'profiles/content.ts',
      'profiles/hmac-timestamp.ts',
      'profiles/standard-webhooks.ts',
    ]);
    for (const { text } of hashing) expect(text).toMatch(/equalInConstantTime\(/);
  });

  test.each(sources)('is never compared otherwise: $path', ({ text }) => {
    expect(text.split('\n').filter((line) => LEAKY.test(line))).toEqual([]);
  });

  test.each(['if (hmac === given)', 'return expected.equals(given);', 'signature == other'])(
    'would be found here: %s',
    (line) => {
      expect(line).toMatch(LEAKY);
    },
  );
});
