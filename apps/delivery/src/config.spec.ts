import { describe, expect, test } from '@jest/globals';
import { ConfigError, loadConfig } from '#platform/config';
import { configSchema } from './config.ts';

describe('POSTHASTE_USER_AGENT', () => {
  const load = (text: string) => loadConfig(configSchema, { POSTHASTE_USER_AGENT: text }).POSTHASTE_USER_AGENT;

  test.each(['Acme', 'Acme-Hooks/1.0 (+https://acme.example/hooks)'])('may be %s', (text) => {
    expect(load(text)).toBe(text);
  });

  test('is unset by default', () => {
    expect(load('')).toBeUndefined();
  });

  test.each([
    ['can not be sent', 'Acme/1.0\r\nX-Injected: 1'],
    ['is outside of ASCII', 'Äcme/1.0'],
    ['begins with a comment', '(Acme)'],
    ['has more than 200 characters', `Acme/1.0 (${'x'.repeat(200)})`],
  ])('is refused at the start when it %s, with the form that it has to have (RFC 9110 10.1.5)', (_, text) => {
    expect(() => load(text)).toThrow(ConfigError);
    expect(() => load(text)).toThrow(/POSTHASTE_USER_AGENT: must be .* such as Acme-Hooks\/1\.0/);
  });
});
