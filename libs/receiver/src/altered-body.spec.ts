import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { explainBody } from './altered-body.ts';

/** How many bytes are made and hashed for a body that nobody signed. */
function bytesTried(body: Uint8Array): number {
  let bytes = 0;
  explainBody(body, (candidate) => {
    bytes += candidate.length;
    return false;
  });
  return bytes;
}

/*
 * Whoever has no key can send a body and have it searched: it must cost him as much as us.
 */
describe('the search for what altered a body', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

  test.each([
    ['nested deeply', nested(2000)],
    ['nested deeply, often', `[${Array.from({ length: 8 }, () => nested(2000)).join()}]`],
    ['nested, and long', `${'['.repeat(100)}${'1,'.repeat(10_000)}1${']'.repeat(100)}`],
    ['nested deeply, behind brackets in strings', `["${']'.repeat(2000)}\\"]",${nested(2000)}]`],
    ['large', JSON.stringify({ text: 'x\r\n'.repeat(100_000) })],
  ])('makes little of a body that is %s', (_, text) => {
    expect(bytesTried(Buffer.from(text))).toBeLessThan(2 ** 20);
  });

  test('finds a batch that was indented', () => {
    const events = Array.from({ length: 100 }, (__, i) => ({ id: `[${i}]`, data: { a: [{ b: { c: ['{'] } }] } }));
    const compact = Buffer.from(JSON.stringify(events));
    const indented = JSON.stringify(events, undefined, 4);
    expect(explainBody(compact, (candidate) => Buffer.from(indented).equals(candidate))).toMatchObject({
      code: 'body_altered',
      detail: expect.stringContaining('indented by 4'),
    });
  });

  test('looks at each character once, whichever they are: else this takes minutes, which the runner ends', async () => {
    const latin = Buffer.from(`${'é'.repeat(30_000)}€`);
    for (let i = 0; i < 200; i++) {
      expect(bytesTried(latin)).toBeGreaterThan(0);
      await setImmediate();
    }
  });
});
