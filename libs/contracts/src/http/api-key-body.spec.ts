import { describe, expect, test } from '@jest/globals';
import { apiKeyBody } from './api-key-body.ts';
import { tenantBody } from './tenant-body.ts';
import { parseBody } from './violations.ts';

describe('an API key body', () => {
  test('counts a repeated scope once', () => {
    expect(parseBody(apiKeyBody, { scopes: ['read', 'publish', 'read'] })).toEqual({
      ok: true,
      value: { scopes: ['publish', 'read'] },
    });
  });

  test('may have an end and a rate', () => {
    const body = { scopes: ['admin'], expiresAt: '2030-01-01T00:00:00+01:00', requestsPerMinute: 600 };
    expect(parseBody(apiKeyBody, body)).toEqual({
      ok: true,
      value: { scopes: ['admin'], expiresAtMs: Date.UTC(2029, 11, 31, 23), requestsPerMinute: 600 },
    });
  });

  test.each<[unknown, string[]]>([
    [{ scopes: ['read'], expiresAt: '2030-01-01', requestsPerMinute: 0 }, ['/expiresAt', '/requestsPerMinute']],
    [{}, ['/scopes']],
    [{ scopes: [] }, ['/scopes']],
    [{ scopes: 'read' }, ['/scopes']],
    [{ scopes: ['read', 'write'] }, ['/scopes/1']],
    [{ scopes: ['read'], name: '', key: 'x' }, ['/name', '/key']],
    [{ scopes: ['read'], name: 'a\nb' }, ['/name']],
  ])('refuses %j and points at %j', (body, pointers) => {
    const parsed = parseBody(apiKeyBody, body);
    expect(parsed.ok ? [] : parsed.violations.map(({ pointer }) => pointer)).toEqual(pointers);
  });
});

describe('a tenant body', () => {
  test('may be empty', () => expect(parseBody(tenantBody, {}).ok).toBe(true));
  test('refuses a name that is no text', () => expect(parseBody(tenantBody, { name: 5 }).ok).toBe(false));
});
