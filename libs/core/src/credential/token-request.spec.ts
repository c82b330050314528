import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ClientCredentials, RefreshTokenCredential } from './sink-credential.ts';
import { carriedToken, readTokenAnswer, refreshed, tokenRequestOf } from './token-request.ts';

const NOW = Date.parse('2026-11-22T12:00:00Z');
const refresh: RefreshTokenCredential = {
  credentialtype: 'REFRESHTOKEN',
  accesstoken: 'old',
  accesstokenexpiresutc: '2026-11-22T11:00:00Z',
  accesstokentype: 'bearer',
  refreshtoken: 'r1 /+',
  refreshtokenendpoint: 'https://as.example/token',
};
const client: ClientCredentials = {
  credentialtype: 'CLIENTCREDENTIALS',
  tokenendpoint: 'https://as.example/token',
  clientid: 'id:1',
  clientsecret: 'p w',
};

const asked = (credential: RefreshTokenCredential | ClientCredentials) => {
  const { headers, body } = tokenRequestOf(credential);
  return {
    authorization: new Map(headers).get('authorization'),
    form: new URLSearchParams(Buffer.from(body).toString()),
  };
};

describe('a token request', () => {
  test('refreshes (RFC 6749 section 6), as nobody, as a public client, or as one with a secret', () => {
    expect(tokenRequestOf(refresh)).toMatchObject({ method: 'POST', url: 'https://as.example/token' });
    expect(Object.fromEntries(asked(refresh).form)).toEqual({ grant_type: 'refresh_token', refresh_token: 'r1 /+' });
    expect(asked(refresh).authorization).toBeUndefined();
    expect(asked({ ...refresh, clientid: 'c' }).form.get('client_id')).toBe('c');
    const confidential = asked({ ...refresh, clientid: 'c', clientsecret: 's' });
    expect(confidential.form.has('client_id')).toBe(false);
    expect(confidential.authorization).toBe(`Basic ${btoa('c:s')}`);
  });

  test('asks by client credentials (section 4.4.2), encoded before Basic (section 2.3.1)', () => {
    expect(asked(client).authorization).toBe(`Basic ${btoa('id%3A1:p+w')}`);
    const { form } = asked({ ...client, scopes: 'a b', audience: 'https://sink.example' });
    expect(Object.fromEntries(form)).toEqual({
      grant_type: 'client_credentials',
      scope: 'a b',
      audience: 'https://sink.example',
    });
  });

  test('carries any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (refreshtoken) => {
        expect(asked({ ...refresh, refreshtoken }).form.get('refresh_token')).toBe(refreshtoken);
      }),
    );
  });
});

describe('its answer', () => {
  const read = (status: number, body: unknown) =>
    readTokenAnswer(status, typeof body === 'string' ? body : JSON.stringify(body), NOW);

  test('is a token and until when it is good, counted from the question', () => {
    const body = { access_token: 'abc', token_type: 'Bearer', expires_in: 600, refresh_token: 'r2' };
    const token = { token: 'abc', obtainedAtMs: NOW, expiresAtMs: NOW + 600_000 };
    expect(read(200, body)).toEqual({ kind: 'token', token, refreshtoken: 'r2' });
    expect(read(200, { access_token: 'abc', expires_in: '600' })).toEqual({ kind: 'token', token });
    expect(read(200, { access_token: 'abc' })).toMatchObject({ token: { expiresAtMs: NOW + 3_600_000 } });
  });

  test.each<[number, unknown, string]>([
    [400, { error: 'invalid_grant' }, 'refused'],
    [401, { error: 'invalid_client' }, 'refused'],
    [403, { error: 'unauthorized_client' }, 'refused'],
    [200, { error: 'bad_refresh_token' }, 'refused'], // as of servers that do not know of 400
    [200, { error: 'temporarily_unavailable' }, 'failed'],
    [200, { error: 'invalid_grant', access_token: '' }, 'failed'],
    [400, { error: 'temporarily_unavailable' }, 'failed'],
    [401, 'who are you?', 'failed'],
    [404, { error: 'invalid_grant' }, 'failed'],
    [429, {}, 'failed'],
    [302, '', 'failed'],
    [500, { error: 'server_error' }, 'failed'],
    [200, 'no json', 'failed'],
    [200, [], 'failed'],
    [200, {}, 'failed'],
    [200, { access_token: 'two words' }, 'failed'],
    [200, { access_token: 'a\r\nb' }, 'failed'],
    [200, { access_token: 'a', token_type: 'mac' }, 'failed'],
    [200, { access_token: 'a', expires_in: 0 }, 'failed'],
    [200, { access_token: 'a', expires_in: 'soon' }, 'failed'],
  ])('%d with %j is %s', (status, body, kind) => {
    expect(read(status, body).kind).toBe(kind);
  });

  test('is never repeated but for its code, and never throws', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 599 }), fc.string({ minLength: 41 }), (status, secret) => {
        for (const body of [
          secret,
          JSON.stringify({ error: secret, error_description: secret, access_token: ` ${secret}` }),
        ]) {
          expect(JSON.stringify(readTokenAnswer(status, body, NOW))).not.toContain(JSON.stringify(secret).slice(1, -1));
        }
      }),
    );
  });

  test('replaces the token of the credential, and its refresh token when there is another', () => {
    const token = { token: 'new', obtainedAtMs: NOW, expiresAtMs: NOW + 1000 };
    const rotated = refreshed(refresh, { token, refreshtoken: 'r2' }, '2026-11-22T12:00:01Z');
    expect(rotated).toMatchObject({
      accesstoken: 'new',
      refreshtoken: 'r2',
      refreshtokenendpoint: refresh.refreshtokenendpoint,
    });
    expect(carriedToken(rotated)).toEqual(token);
    expect(refreshed(refresh, { token }, '').refreshtoken).toBe('r1 /+');
  });
});
