import { describe, expect, test } from '@jest/globals';
import { welcomeOf, withoutCredentials } from './announce.ts';

test.each([
  ['nats://user:p%40ss@nats:4222', 'nats://nats:4222'],
  ['tls://token@a:4222,user:secret@b', 'tls://a:4222,b'],
  ['nats://user:p@ss@nats', 'nats://nats'],
  ['nats://nats:4222, nats://other', 'nats://nats:4222, nats://other'],
])('shows %s as %s', (servers, shown) => {
  expect(withoutCredentials(servers)).toBe(shown);
});

describe('the welcome', () => {
  const runtime = {
    pid: 1,
    httpUrl: 'http://127.0.0.1:8080',
    registryUrl: 'http://127.0.0.1:8080',
    inboxUrl: 'http://127.0.0.1:8080/inbox',
    natsUrl: 'nats://user:inner-password@127.0.0.1:4222',
    databaseUrl: 'postgresql://127.0.0.1/posthaste',
    adminToken: 'pha_of-the-operator',
    tenant: 'default',
    apiKey: 'phk_of-the-tenant',
  };
  const place = { inboxKey: 'k', dataDir: '/data' };
  const config = { POSTHASTE_HTTP_HOST: '127.0.0.1', POSTHASTE_DEPLOYMENT: '' };
  const more = { startedInMs: 1 };

  test('shows the admin token and the NATS credentials that were made here', () => {
    const text = welcomeOf(runtime, place, config, more);
    expect(text).toContain(runtime.adminToken);
    expect(text).toContain('inner-password');
  });

  test('does not show those that were configured: terminals are logged', () => {
    const given = { POSTHASTE_ADMIN_TOKEN: runtime.adminToken, POSTHASTE_NATS_URL: runtime.natsUrl };
    const text = welcomeOf(runtime, place, { ...config, ...given }, more);
    expect(text).not.toContain(runtime.adminToken);
    expect(text).not.toContain('inner-password');
    expect(text).toContain('POSTHASTE_ADMIN_TOKEN');
  });
});
