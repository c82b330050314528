import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  booleanVariable,
  ConfigError,
  describeConfig,
  integerVariable,
  listVariable,
  loadConfig,
  secret,
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
