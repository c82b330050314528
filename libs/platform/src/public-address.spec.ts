import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { loadConfig, publicVariables } from './config.ts';
import { callbackUrlOf, originOf } from './public-address.ts';

const load = (env: Record<string, string>) => loadConfig(z.object(publicVariables), env);

describe('the public address', () => {
  test('is named after the URL, unless it has a name', () => {
    expect(originOf(load({}))).toBe('posthaste.local');
    expect(originOf(load({ POSTHASTE_PUBLIC_URL: 'https://hooks.example.com:8443/base/' }))).toBe('hooks.example.com');
    expect(originOf(load({ POSTHASTE_PUBLIC_URL: 'https://a.example', POSTHASTE_ORIGIN: 'b.example' }))).toBe(
      'b.example',
    );
  });

  test.each(['http://127.0.0.1:8080', 'http://[::1]:8080', 'http://localhost:8080'])('takes no name from %s', (url) => {
    expect(originOf(load({ POSTHASTE_PUBLIC_URL: url }))).toBe('posthaste.local');
  });

  test('is where a sink confirms, if it is known at all', () => {
    const config = load({ POSTHASTE_PUBLIC_URL: 'https://a.example/base/' });
    expect(callbackUrlOf(config, 'sub_1', 'c')).toBe('https://a.example/base/validate/sub_1?code=c');
    expect(callbackUrlOf(load({}), 'sub_1', 'c')).toBeUndefined();
  });

  test.each(['https://a.example', 'a b', 'a..b', 'x'.repeat(64)])('refuses %j as a DNS name', (name) => {
    expect(() => load({ POSTHASTE_ORIGIN: name })).toThrow('must be a DNS name');
  });
});
