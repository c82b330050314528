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

  test.each<[unknown, string[]]>([
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
