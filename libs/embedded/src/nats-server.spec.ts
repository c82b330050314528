import { describe, expect, test } from '@jest/globals';
import { isAtLeast, locateNatsServer, natsServerConfig, NatsServerNotFound, parseVersion } from './nats-server.ts';

describe('locateNatsServer', () => {
  test('refuses a POSTHASTE_NATS_SERVER that does not run, instead of looking elsewhere', async () => {
    await expect(locateNatsServer({ POSTHASTE_NATS_SERVER: '/nowhere/nats-server' })).rejects.toThrow(
      NatsServerNotFound,
    );
  });

  test('says every way to get one when there is none', async () => {
    const nothing = locateNatsServer({ PATH: '/nowhere', XDG_CACHE_HOME: '/nowhere' }, { install: false });
    await expect(nothing).rejects.toThrow(/PATH[^]*POSTHASTE_NATS_SERVER[^]*go install[^]*POSTHASTE_NATS_URL/);
  });
});

test('parseVersion reads what nats-server prints', () => {
  expect(parseVersion('nats-server: v2.15.1\n')).toBe('2.15.1');
  expect(parseVersion('nats-server: v2.15.0-dev')).toBe('2.15.0');
  expect(parseVersion('bash: not found')).toBeUndefined();
});

test.each([
  ['2.14.0', true],
  ['2.15.1', true],
  ['3.0.0', true],
  ['2.9.10', false],
  ['2.13.99', false],
])('isAtLeast takes %s for new enough: %s', (version, expected) => {
  expect(isAtLeast(version, '2.14.0')).toBe(expected);
});

test('natsServerConfig quotes what comes from outside', () => {
  const config = natsServerConfig(
    { binary: 'x', storeDir: '/data/a "b"', port: 4222, credentials: { user: 'u', password: 'p"}\n' } },
    'me',
  );
  expect(config).toContain(String.raw`store_dir: "/data/a \"b\""`);
  expect(config).toContain(String.raw`authorization { user: "u", password: "p\"}\n" }`);
});
