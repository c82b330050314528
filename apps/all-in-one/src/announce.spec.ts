import { expect, test } from '@jest/globals';
import { withoutCredentials } from './announce.ts';

test.each([
  ['nats://user:p%40ss@nats:4222', 'nats://nats:4222'],
  ['tls://token@a:4222,user:secret@b', 'tls://a:4222,b'],
  ['nats://user:p@ss@nats', 'nats://nats'],
  ['nats://nats:4222, nats://other', 'nats://nats:4222, nats://other'],
])('shows %s as %s', (servers, shown) => {
  expect(withoutCredentials(servers)).toBe(shown);
});
