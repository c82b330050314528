import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inboxPrefixOf } from './inbox.ts';

test('inboxes begin with the user, as deploy/nats/accounts.conf has them', () => {
  expect(inboxPrefixOf('gateway')).toBe('_INBOX_gateway');
});

test('any user gives one token of a subject', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (user) => /^_INBOX_[A-Za-z0-9_-]*$/.test(inboxPrefixOf(user))),
  );
  expect(inboxPrefixOf('a.b*c >d')).toBe('_INBOX_a_b_c__d');
});
