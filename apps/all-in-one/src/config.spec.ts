import { describe, expect, test } from '@jest/globals';
import { describeConfig, loadConfig } from '#platform/config';
import { configSchema } from './config.ts';

describe('the configuration of the all-in-one', () => {
  test('needs nothing', () => {
    expect(loadConfig(configSchema, {})).toMatchObject({
      POSTHASTE_HTTP_HOST: '127.0.0.1',
      POSTHASTE_HTTP_PORT: 8080,
      POSTHASTE_DATA_DIR: '.posthaste',
    });
  });

  test('is shown without secrets', () => {
    const secrets = {
      POSTHASTE_ADMIN_TOKEN: 'hidden-admin-token-1',
      POSTHASTE_MASTER_KEY: Buffer.alloc(32, 'hidden').toString('base64'),
      POSTHASTE_NATS_URL: 'nats://user:hidden@nats:4222',
      POSTHASTE_DATABASE_URL: 'postgresql://user:hidden@db/posthaste',
    };
    const shown = describeConfig(configSchema, loadConfig(configSchema, secrets));
    for (const name of Object.keys(secrets)) expect(shown[name]).toBe('[secret]');
    expect(JSON.stringify(shown)).not.toContain('hidden');
  });

  test('drops the slash at the end of the public URL', () => {
    const config = loadConfig(configSchema, { POSTHASTE_PUBLIC_URL: 'https://hooks.example.com/' });
    expect(config.POSTHASTE_PUBLIC_URL).toBe('https://hooks.example.com');
  });
});
