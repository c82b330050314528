import { expect, test } from '@jest/globals';
import type { Exchange } from '#core/delivery/outcome';
import { withoutSecret } from './without-secret.ts';

const answer = (text: string): Exchange => ({ kind: 'response', status: 200, body: { text, truncated: false } });

test.each([
  ['Bearer abc/def', '{"authorization":"Bearer abc/def"}', '{"authorization":"Bearer [secret]"}'],
  ['Bearer abc/def', '{"authorization":"Bearer abc\\/def"}', '{"authorization":"Bearer [secret]"}'],
  ['Basic dTpw', 'you sent dTpw', 'you sent [secret]'],
  ['key "with" quotes', '{"k":"key \\"with\\" quotes"}', '{"k":"[secret]"}'],
])('a credential %s that comes back is not kept (WH-8)', (header, text, kept) => {
  expect(withoutSecret(answer(text), header)).toEqual(answer(kept));
});

test('an answer without it stays as it is, and so does one to a request without', () => {
  const plain = answer('thanks');
  expect(withoutSecret(plain, 'Bearer abc')).toBe(plain);
  expect(withoutSecret(answer('Bearer'), undefined)).toEqual(answer('Bearer'));
});
