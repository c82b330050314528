import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  adminTokenVariable,
  egressVariables,
  booleanVariable,
  busVariables,
  ConfigError,
  describeConfig,
  integerVariable,
  listVariable,
  loadConfig,
  secret,
  sinkVariables,
  storeVariables,
} from './config.ts';

const schema = z.object({
  PORT: integerVariable(0, 65_535).default(8080),
  TOKEN: secret(z.string().min(16, 'must have at least 16 characters')),
  ALLOW: listVariable.default([]),
  PLAIN: booleanVariable.default(false),
  URL: z.string().default('nats://user:hush@127.0.0.1:4222'),
});

describe('the configuration of a service', () => {
  test('it takes defaults for what is unset or empty', () => {
    const config = loadConfig(schema, { TOKEN: 'a token of 16 ch', PORT: '' });
    expect(config).toMatchObject({ PORT: 8080, ALLOW: [], PLAIN: false });
  });

  test('it reads numbers, lists and booleans as they are written in an environment', () => {
    const config = loadConfig(schema, {
      TOKEN: 'a token of 16 ch',
      PORT: '0',
      ALLOW: ' 10.0.0.0/8, ::1/128 ,',
      PLAIN: 'true',
    });
    expect(config).toMatchObject({ PORT: 0, ALLOW: ['10.0.0.0/8', '::1/128'], PLAIN: true });
  });

  test('it names every problem at once', () => {
    const load = (): unknown => loadConfig(schema, { PORT: '99999', PLAIN: 'perhaps' });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(/PORT: .*\n.*TOKEN: is required\n.*PLAIN: /s);
  });

  test('it is printed without secrets, and without the credentials in a URL', () => {
    const config = loadConfig(schema, { TOKEN: 'a token of 16 ch' });
    const printed = JSON.stringify(describeConfig(schema, config));
    expect(printed).toContain('"PORT":"8080"');
    expect(printed).not.toContain('a token of 16 ch');
    expect(printed).not.toContain('hush');
  });
});

describe('the variables that services share', () => {
  const shared = z.object({
    ...busVariables,
    ...storeVariables,
    ...sinkVariables,
    ...egressVariables,
    POSTHASTE_ADMIN_TOKEN: adminTokenVariable.optional(),
  });
  const problems = (env: Record<string, string>): readonly string[] => {
    try {
      loadConfig(shared, env);
      return [];
    } catch (error) {
      return error instanceof ConfigError ? error.problems : [String(error)];
    }
  };

  test('they are all checked when they are read, and every problem is told', () => {
    const told = problems({
      POSTHASTE_SINK_ALLOW: '10.0.0.0/8, 10.0.0.0/33, example.com',
      POSTHASTE_DEPLOYMENT: '-blue',
      POSTHASTE_STREAM_REPLICAS: '2',
      POSTHASTE_NATS_URL: 'http://127.0.0.1:4222',
      POSTHASTE_DATABASE_URL: 'mysql://user:hush@127.0.0.1/x',
    });
    expect(told.map((line) => line.slice(0, line.indexOf(':'))).toSorted((a, b) => a.localeCompare(b))).toEqual([
      'POSTHASTE_DATABASE_URL',
      'POSTHASTE_DEPLOYMENT',
      'POSTHASTE_NATS_URL',
      'POSTHASTE_SINK_ALLOW',
      'POSTHASTE_SINK_ALLOW',
      'POSTHASTE_STREAM_REPLICAS',
    ]);
    expect(told.join()).toContain('"10.0.0.0/33"');
    expect(told.join()).not.toContain('hush');
  });

  test.each([
    ['POSTHASTE_ADMIN_TOKEN', 'pha_~!"#$%&=+/.-_0'],
    ['POSTHASTE_SINK_ALLOW', '127.0.0.0/8,::1/128, ::ffff:10.0.0.0/104 ,192.0.2.1,fd00::/8'],
    ['POSTHASTE_DEPLOYMENT', '2-blue'],
    ['POSTHASTE_STREAM_REPLICAS', '3'],
    ['POSTHASTE_NATS_URL', 'nats://user:p%40ss@a.example:4222, tls://token@[::1]:4222/,localhost:4222,c.example'],
    ['POSTHASTE_DATABASE_URL', 'postgres://user:hush@a.example:5432/posthaste?sslmode=require'],
    ['POSTHASTE_DATABASE_URL', 'postgresql:///posthaste?host=/run/postgresql'],
    ['POSTHASTE_SINK_PROXY_URL', 'http://user:p%40ss@proxy.example:3128'],
    ['POSTHASTE_SINK_PROXY_URL', 'https://[fd00::1]:443/'],
    [
      'POSTHASTE_SINK_NO_PROXY',
      '*, a.example, .b.example, *.c.example:8443, 10.0.0.0/8, fd00::/8, ::1, [::1]:8443, localhost',
    ],
  ])('%s takes %s', (name, value) => {
    expect(problems({ [name]: value })).toEqual([]);
  });

  test.each([
    ['POSTHASTE_ADMIN_TOKEN', 'fifteen-letters'],
    ['POSTHASTE_ADMIN_TOKEN', 'correct horse battery staple'],
    ['POSTHASTE_ADMIN_TOKEN', 'a-line-break-of-a-file\n'],
    ['POSTHASTE_ADMIN_TOKEN', 'ein-schlüssel-des-betreibers'],
    ['POSTHASTE_SINK_ALLOW', '10.0.0.0/'],
    ['POSTHASTE_SINK_ALLOW', 'fe80::1%eth0/64'],
    ['POSTHASTE_SINK_ALLOW', '::/129'],
    ['POSTHASTE_SINK_ALLOW', '10.0.0.0/8/8'],
    ['POSTHASTE_DEPLOYMENT', 'retry'],
    ['POSTHASTE_DEPLOYMENT', 'Blue'],
    ['POSTHASTE_STREAM_REPLICAS', 'three'],
    ['POSTHASTE_NATS_URL', 'nats://'],
    ['POSTHASTE_NATS_URL', 'nats://a:4222,,nats://b:4222'],
    ['POSTHASTE_NATS_URL', 'wss://a.example'],
    ['POSTHASTE_NATS_URL', 'a.example:99999'],
    ['POSTHASTE_DATABASE_URL', '127.0.0.1:5432'],
    ['POSTHASTE_SINK_PROXY_URL', 'proxy.example:3128'],
    ['POSTHASTE_SINK_PROXY_URL', 'socks5://user:hush@proxy.example'],
    ['POSTHASTE_SINK_PROXY_URL', 'http://proxy.example/path'],
    ['POSTHASTE_SINK_NO_PROXY', 'a.example, https://b.example'],
    ['POSTHASTE_SINK_NO_PROXY', '10.0.0.0/33'],
    ['POSTHASTE_SINK_NO_PROXY', 'a*.example'],
    ['POSTHASTE_SINK_SOCKETS', '0'],
  ])('%s refuses %s', (name, value) => {
    expect(problems({ [name]: value })).toHaveLength(1);
  });
});
