import { describe, expect, test } from '@jest/globals';
import type { ApiKeyId, TenantId } from '#core/ids';
import type { ApiKey } from '#core/registry/api-key';
import { callerOf, makeApiKeyFinder, makeAuthenticate, requireAdmin, requireScope } from './authenticate.ts';
import { sha256Hex } from './digest.ts';
import { ProblemError, type Problem } from './problem.ts';

const adminToken = 'an-admin-token-of-the-operator';
const keyText = `phk_${'a'.repeat(43)}`;
const key: ApiKey = {
  id: 'key_01' as ApiKeyId,
  tenant: 'acme' as TenantId,
  hash: sha256Hex(keyText),
  name: 'ci',
  scopes: ['publish'],
  createdAtMs: 0,
};

let nowMs = 1_000_000;
const now = () => nowMs;

const authenticate = makeAuthenticate({
  adminToken,
  guessesPerMinute: 20,
  now,
  findApiKey: (hash) => Promise.resolve(hash === key.hash ? key : undefined),
  hasTenant: (tenant) => Promise.resolve(tenant === 'acme'),
});

async function problemOf(work: () => unknown): Promise<Problem> {
  try {
    await work();
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  throw new Error('nothing was refused');
}

const bearer = (token: string, tenant?: string) => ({
  authorization: `Bearer ${token}`,
  ...(tenant === undefined ? {} : { 'posthaste-tenant': tenant }),
});

describe('authenticate', () => {
  test('knows an API key by its hash', async () => {
    expect(await authenticate(bearer(keyText))).toEqual({
      by: 'key_01',
      isAdmin: false,
      tenant: 'acme',
      scopes: ['publish'],
    });
  });

  test('takes the scheme in any letter case and the key with its own tenant named', async () => {
    const principal = await authenticate({ authorization: `bearer ${keyText}`, 'posthaste-tenant': 'acme' });
    expect(principal.tenant).toBe('acme');
  });

  test('lets the admin act for the tenant that it names, with every scope', async () => {
    const principal = await authenticate(bearer(adminToken, 'acme'));
    expect(principal).toMatchObject({ by: 'admin', isAdmin: true, tenant: 'acme' });
    expect(requireScope(principal, 'manage')).toBe('acme');
  });

  test('says who commands and from where, as far as that is known', async () => {
    expect(callerOf(await authenticate(bearer(keyText), '192.0.2.1'))).toEqual({ by: 'key_01', from: '192.0.2.1' });
    expect(callerOf(await authenticate(bearer(adminToken), '192.0.2.1'))).toEqual({ by: 'admin', from: '192.0.2.1' });
    expect(callerOf(await authenticate(bearer(keyText)))).toEqual({ by: 'key_01' });
  });

  test.each([
    ['no header', {}],
    ['Basic', { authorization: 'Basic dTpw' }],
    ['two tokens', { authorization: 'Bearer a b' }],
  ])('answers 401 with a challenge to %s', async (_name, headers) => {
    const problem = await problemOf(() => authenticate(headers));
    expect(problem).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Bearer realm="posthaste"' } });
  });

  test.each([`phk_${'b'.repeat(43)}`, 'phk_short', `${adminToken}x`])(
    'answers 401 to the unknown token %s',
    async (token) => {
      const problem = await problemOf(() => authenticate(bearer(token)));
      expect(problem).toMatchObject({ status: 401, code: 'invalid-credential' });
      expect(problem.headers?.['www-authenticate']).toContain('error="invalid_token"');
      expect(problem.detail).not.toContain(token);
    },
  );

  test('answers 403 when a key names another tenant', async () => {
    expect(await problemOf(() => authenticate(bearer(keyText, 'other')))).toMatchObject({ status: 403 });
  });

  test('answers 400 for a malformed tenant and 404 for an unknown one', async () => {
    expect(await problemOf(() => authenticate(bearer(adminToken, 'A B')))).toMatchObject({ status: 400 });
    expect(await problemOf(() => authenticate(bearer(adminToken, 'other')))).toMatchObject({ status: 404 });
  });

  test('answers 503 with Retry-After when keys cannot be looked up, never 401', async () => {
    const away = makeAuthenticate({
      adminToken,
      guessesPerMinute: 20,
      now,
      findApiKey: () => Promise.reject(new Error('away')),
    });
    const problem = await problemOf(() => away(bearer(keyText)));
    expect(problem).toMatchObject({ status: 503, headers: { 'retry-after': expect.any(String) } });
  });
});

describe('keys with terms', () => {
  const withTerms = (terms: Partial<ApiKey>) =>
    makeAuthenticate({
      adminToken,
      guessesPerMinute: 20,
      now,
      findApiKey: () => Promise.resolve({ ...key, ...terms }),
    });

  test('a key works until the instant at which it expires, and is then told so', async () => {
    const expiring = withTerms({ expiresAtMs: nowMs + 1_000 });
    await expiring(bearer(keyText));
    nowMs += 1_000;
    const problem = await problemOf(() => expiring(bearer(keyText)));
    expect(problem).toMatchObject({ status: 401, code: 'credential-expired' });
    expect(problem.headers?.['www-authenticate']).toContain('invalid_token');
  });

  test('a key over its rate is told when to come again, and gets through then', async () => {
    const limited = withTerms({ requestsPerMinute: 30 });
    await limited(bearer(keyText));
    const problem = await problemOf(() => limited(bearer(keyText)));
    expect(problem).toMatchObject({ status: 429, code: 'key-rate-exceeded', headers: { 'retry-after': '2' } });
    nowMs += 2_000;
    await limited(bearer(keyText));
  });

  test('its use is told with the address, a refused one is not', async () => {
    const uses: unknown[] = [];
    const told = makeAuthenticate({
      adminToken,
      guessesPerMinute: 20,
      now,
      findApiKey: () => Promise.resolve({ ...key, requestsPerMinute: 1 }),
      onKeyUsed: ({ id }, address) => uses.push([id, address]),
    });
    await told(bearer(keyText), '192.0.2.1');
    await problemOf(() => told(bearer(keyText), '192.0.2.2'));
    expect(uses).toEqual([['key_01', '192.0.2.1']]);
  });

  test('the scope admin is every scope within the tenant', async () => {
    expect(requireScope(await withTerms({ scopes: ['admin'] })(bearer(keyText)), 'manage')).toBe('acme');
  });
});

describe('guessing', () => {
  const guess = (address: string) => problemOf(() => authenticate(bearer('no-such-token-of-anybody'), address));

  test('an address that goes on guessing is no longer listened to, not even with the right token, until the window is over', async () => {
    for (let i = 0; i < 20; i++) expect(await guess('192.0.2.7')).toMatchObject({ status: 401 });
    expect(await guess('192.0.2.7')).toMatchObject({ status: 429, code: 'too-many-guesses' });
    expect(await problemOf(() => authenticate(bearer(adminToken), '192.0.2.7'))).toMatchObject({ status: 429 });
    nowMs += 60_000;
    expect((await authenticate(bearer(adminToken), '192.0.2.7')).isAdmin).toBe(true);
  });

  test('keys that are known go on working from there, and other addresses are not concerned', async () => {
    for (let i = 0; i < 21; i++) await guess('192.0.2.8');
    expect((await authenticate(bearer(keyText), '192.0.2.8')).by).toBe('key_01');
    expect((await authenticate(bearer(adminToken), '192.0.2.9')).isAdmin).toBe(true);
  });
});

describe('requireScope', () => {
  test('names the missing scope', async () => {
    const principal = await authenticate(bearer(keyText));
    const problem = await problemOf(() => requireScope(principal, 'read', 'manage'));
    expect(problem).toMatchObject({ status: 403, detail: expect.stringContaining('read or manage') });
    expect(requireScope(principal, 'publish')).toBe('acme');
  });

  test('asks an admin for the tenant', async () => {
    const principal = await authenticate(bearer(adminToken));
    expect(await problemOf(() => requireScope(principal, 'read'))).toMatchObject({
      status: 400,
      code: 'tenant-required',
    });
  });
});

test('requireAdmin refuses API keys', async () => {
  const principal = await authenticate(bearer(keyText));
  expect(await problemOf(() => requireAdmin(principal))).toMatchObject({ status: 403 });
});

describe('the API key finder', () => {
  test('catches up once on a miss, and not on a hit', async () => {
    let known = false;
    let catchUps = 0;
    const find = makeApiKeyFinder({
      apiKeyByHash: () => (known ? key : undefined),
      catchUp: () => {
        catchUps++;
        known = true;
        return Promise.resolve();
      },
    });
    expect(await find(key.hash)).toBe(key);
    expect(await find(key.hash)).toBe(key);
    expect(catchUps).toBe(1);
  });
});
