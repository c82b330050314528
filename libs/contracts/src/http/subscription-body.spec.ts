import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import { DEFAULT_VALIDATION, NO_VALIDATION } from '#core/registry/current-spec';
import { parseSubscriptionBody } from './subscription-body.ts';

interface RequestCase {
  name: string;
  body: unknown;
  status: number;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/subscriptions/request-cases.json', import.meta.url), 'utf8'),
) as { create: RequestCase[] };

const minimal = { sink: 'https://example.com/e', protocol: 'HTTP' };
const onNats = { sink: 'nats://example.com:4222', protocol: 'NATS', protocolsettings: { subject: 'orders.created' } };
const secret = `whsec_${'A'.repeat(32)}`;

function pointersOf(body: unknown): string[] {
  const parsed = parseSubscriptionBody(body);
  return parsed.ok ? [] : parsed.violations.map(({ pointer }) => pointer);
}

function detailsOf(body: unknown): string {
  const parsed = parseSubscriptionBody(body);
  return parsed.ok ? '' : parsed.violations.map(({ detail }) => detail).join('\n');
}

describe('a subscription body', () => {
  test('takes every default (SA-11)', () => {
    expect(parseSubscriptionBody(minimal)).toEqual({
      ok: true,
      value: {
        spec: {
          ...minimal,
          protocolsettings: { method: 'POST' },
          filters: [],
          config: {
            contentMode: 'structured',
            signature: { profile: 'standard-webhooks' },
            retry: DEFAULT_RETRY_POLICY,
            validation: DEFAULT_VALIDATION,
          },
        },
      },
    });
  });

  test('keeps the secret apart from the specification, which is stored', () => {
    const parsed = parseSubscriptionBody({ ...minimal, config: { signature: { secret } } });
    expect(parsed).toMatchObject({ ok: true, value: { secret } });
    expect(JSON.stringify(parsed.ok && parsed.value.spec)).not.toContain('whsec_');
  });

  test('takes a NATS sink, which is not validated (NB-5)', () => {
    const parsed = parseSubscriptionBody(onNats);
    expect(parsed).toMatchObject({ ok: true, value: { spec: { ...onNats, config: { validation: NO_VALIDATION } } } });
  });

  test('keeps a credential apart from the specification, by its older names too (SA-10, D14)', () => {
    const credential = {
      credentialtype: 'REFRESHTOKEN',
      accesstoken: 'a.b-c',
      accesstokenexpiresutc: '2030-01-01T00:00:00Z',
      accesstokentype: 'bearer',
      refreshtoken: 'r',
      refreshtokenendpoint: 'https://example.com/token',
    };
    const parsed = parseSubscriptionBody({ ...minimal, sinkcredential: credential });
    expect(parsed).toMatchObject({ ok: true, value: { credential: { kind: 'set', credential } } });
    expect(parsed.ok && parsed.value.spec).not.toHaveProperty('sinkcredential');
    const older = {
      credentialType: 'REFRESHTOKEN',
      accessToken: 'a.b-c',
      accessTokenExpiresUtc: '2030-01-01T00:00:00Z',
      accessTokenType: 'Bearer',
      refreshToken: 'r',
      refreshTokenEndpoint: 'https://example.com/token',
    };
    expect(parseSubscriptionBody({ ...minimal, sinkCredential: older })).toEqual(parsed);
    expect(parseSubscriptionBody({ ...minimal, sinkCredentials: older })).toEqual(parsed);
  });

  test('tells apart a credential to remove, to keep and not spoken of', () => {
    const requestOf = (sinkcredential: unknown) => {
      const parsed = parseSubscriptionBody({ ...minimal, sinkcredential });
      return parsed.ok ? parsed.value.credential : parsed;
    };
    expect(requestOf(null)).toEqual({ kind: 'remove' });
    expect(requestOf(undefined)).toBeUndefined();
    expect(requestOf({ credentialtype: 'PLAIN' })).toEqual({ kind: 'keep', credentialtype: 'PLAIN' });
  });

  test('takes headers of its own, and an Authorization when there is no credential (SA-9)', () => {
    const headers = { 'X-Team': 'a b', authorization: 'Bearer x' };
    const parsed = parseSubscriptionBody({ ...minimal, protocolSettings: { headers } });
    expect(parsed).toMatchObject({ ok: true, value: { spec: { protocolsettings: { method: 'POST', headers } } } });
  });

  test('ends own delays with the last one, unless told otherwise', () => {
    const policyOf = (retry: unknown) => {
      const parsed = parseSubscriptionBody({ ...minimal, config: { retry } });
      return parsed.ok ? parsed.value.spec.config.retry : parsed;
    };
    expect(policyOf({ delaysSeconds: [1, 2] })).toEqual({
      ...DEFAULT_RETRY_POLICY,
      delaysSeconds: [1, 2],
      whenExhausted: 'stop',
    });
    expect(policyOf({ delaysSeconds: [5], whenExhausted: 'repeat-last' })).toMatchObject({
      whenExhausted: 'repeat-last',
    });
    expect(policyOf({ jitter: 0 })).toEqual({ ...DEFAULT_RETRY_POLICY, jitter: 0 });
  });

  test.each(vectors.create)('answers $status to the vector "$name"', ({ body, status }) => {
    expect(parseSubscriptionBody(body).ok).toBe(status === 201);
  });

  test.each<[string, unknown, string[]]>([
    ['no object', [], ['']],
    ['nothing', null, ['']],
    ['an empty object', {}, ['/sink', '/protocol']],
    ['an unknown member', { ...minimal, sinc: 1 }, ['/sinc']],
    ['a relative sink', { ...minimal, sink: '/hooks' }, ['/sink']],
    ['a sink of another scheme', { ...minimal, sink: 'ftp://example.com' }, ['/sink']],
    ['a sink with a user', { ...minimal, sink: 'https://u:p@example.com' }, ['/sink']],
    ['a sink with a fragment', { ...minimal, sink: 'https://example.com/#x' }, ['/sink']],
    ['protocol in lower case (SA-8)', { ...minimal, protocol: 'http' }, ['/protocol']],
    ['no types (SA-4)', { ...minimal, types: [] }, ['/types']],
    ['an empty type and a number', { ...minimal, types: ['a', '', 3] }, ['/types/1', '/types/2']],
    ['an empty source (SA-3)', { ...minimal, source: '' }, ['/source']],
    ['a source that is no URI-reference', { ...minimal, source: 'a b' }, ['/source']],
    ['a dialect that is not supported', { ...minimal, filters: [{ regex: {} }] }, ['/filters/0/regex']],
    ['a filter on a bad name', { ...minimal, filters: [{ exact: { 'a/b~c': 'x' } }] }, ['/filters/0/exact/a~1b~0c']],
    ['filters that are no array', { ...minimal, filters: {} }, ['/filters']],
    ['an unknown config key (SA-5)', { ...minimal, config: { retries: 3 } }, ['/config/retries']],
    ['an empty config key (SA-5)', { ...minimal, config: { '': 3 } }, ['/config/']],
    ['an unknown content mode', { ...minimal, config: { contentMode: 'batch' } }, ['/config/contentMode']],
    ['an unknown profile', { ...minimal, config: { signature: { profile: 'x' } } }, ['/config/signature/profile']],
    [
      'a short secret (SW-3)',
      { ...minimal, config: { signature: { secret: 'whsec_AAAA' } } },
      ['/config/signature/secret'],
    ],
    [
      'a secret without signature',
      { ...minimal, config: { signature: { profile: 'none', secret } } },
      ['/config/signature/secret'],
    ],
    [
      'a retry policy out of range',
      {
        ...minimal,
        config: { retry: { delaysSeconds: [0, 90_000, 1.5], deadlineSeconds: 5, jitter: 1, whenExhausted: 'x' } },
      },
      [
        '/config/retry/delaysSeconds/0',
        '/config/retry/delaysSeconds/1',
        '/config/retry/delaysSeconds/2',
        '/config/retry/whenExhausted',
        '/config/retry/deadlineSeconds',
        '/config/retry/jitter',
      ],
    ],
    ['no delays', { ...minimal, config: { retry: { delaysSeconds: [] } } }, ['/config/retry/delaysSeconds']],
    [
      'another method than POST (WH-2, D1)',
      { ...minimal, protocolsettings: { method: 'PUT' } },
      ['/protocolsettings/method'],
    ],
    [
      'a setting of another protocol',
      { ...minimal, protocolsettings: { subject: 'a' } },
      ['/protocolsettings/subject'],
    ],
    [
      'headers that are ours, broken or there twice (SA-9)',
      {
        ...minimal,
        protocolsettings: {
          headers: {
            Host: 'x',
            'content-length': '1',
            'Signature-Input': 'x',
            'WebHook-Request-Origin': 'x',
            'webhook-id': 'x',
            'ce-id': 'x',
            'a b': 'x',
            'x-a': 'b\r\nx-c: d',
            'x-n': 5,
            'x-two': '1',
            'X-Two': '2',
            'x-ok': 'fine, too',
          },
        },
      },
      [
        'Host',
        'content-length',
        'Signature-Input',
        'WebHook-Request-Origin',
        'webhook-id',
        'ce-id',
        'a b',
        'x-a',
        'x-n',
        'x-two',
        'X-Two',
      ].map((name) => `/protocolsettings/headers/${name}`),
    ],
    [
      'an Authorization beside a credential (SA-9)',
      {
        ...minimal,
        protocolSettings: { headers: { authorization: 'x' } },
        sinkcredential: { credentialtype: 'PLAIN', identifier: 'u', secret: 'p' },
      },
      ['/protocolSettings/headers/authorization'],
    ],
    [
      'a NATS sink without subject (NB-5)',
      { sink: 'nats://example.com:4222', protocol: 'NATS' },
      ['/protocolsettings/subject'],
    ],
    [
      'a NATS sink that is more than a server, and a subject with a wildcard',
      { sink: 'nats://example.com/orders', protocol: 'NATS', protocolsettings: { subject: 'a.*' } },
      ['/sink', '/protocolsettings/subject'],
    ],
    [
      'a NATS sink that is to be validated',
      { ...onNats, config: { validation: { mode: 'required' } } },
      ['/config/validation/mode'],
    ],
    ['a credential that is no object', { ...minimal, sinkcredential: 'x' }, ['/sinkcredential']],
    [
      'a credential of an unknown type',
      { ...minimal, sinkcredential: { credentialtype: 'MAGIC' } },
      ['/sinkcredential/credentialtype'],
    ],
    [
      'a refresh token that lacks everything else (SA-10)',
      { ...minimal, sinkcredential: { credentialtype: 'REFRESHTOKEN', refreshtoken: 'r' } },
      ['accesstoken', 'accesstokenexpiresutc', 'refreshtokenendpoint'].map((name) => `/sinkcredential/${name}`),
    ],
    [
      'an access token that is none, and when',
      {
        ...minimal,
        sinkCredential: {
          credentialType: 'ACCESSTOKEN',
          accessToken: 'a b',
          accessTokenExpiresUtc: 'soon',
          accessTokenType: 'mac',
        },
      },
      ['accessToken', 'accessTokenExpiresUtc', 'accessTokenType'].map((name) => `/sinkCredential/${name}`),
    ],
    ['a member by both of its names', { ...minimal, sinkcredential: null, sinkCredential: null }, ['/sinkCredential']],
    [
      'a validation out of range',
      {
        ...minimal,
        config: { validation: { mode: 'strict', method: 'x', callback: 'x', requestedRate: 0, nonce: 1 } },
      },
      ['mode', 'method', 'callback', 'requestedRate', 'nonce'].map((name) => `/config/validation/${name}`),
    ],
    [
      'limits that are none',
      { ...minimal, config: { expiresAt: '2030-01-01', maxEvents: 0 } },
      ['/config/expiresAt', '/config/maxEvents'],
    ],
    [
      'several at once',
      { sink: 5, protocol: 'AMQP', types: [''], filters: [{ regex: 'x' }], config: { a: 1, b: 2 } },
      ['/sink', '/protocol', '/types/0', '/filters/0/regex', '/config/a', '/config/b'],
    ],
  ])('refuses %s and points at it', (_name, body, pointers) => {
    expect(pointersOf(body)).toEqual(pointers);
  });

  test('names what is known beside what is not', () => {
    expect(detailsOf({ ...minimal, config: { retries: 3 } })).toBe(
      'This member is not known; known: contentMode, signature, retry, validation, expiresAt, maxEvents.',
    );
    expect(detailsOf({ ...minimal, sinc: 1 })).toBe(
      'This member is not known; known: sink, protocol, protocolsettings, types, source, filters, sinkcredential, config.',
    );
    expect(detailsOf({ ...minimal, protocol: 'http' })).toContain(
      '"http" is not supported; supported: "HTTP" and "NATS"',
    );
  });

  test('never repeats a secret in what it says', () => {
    expect(detailsOf({ ...minimal, config: { signature: { secret: 'whsec_hunter2' } } })).not.toContain('hunter2');
    for (const member of ['accesstoken', 'refreshtoken', 'accesstokenexpiresutc', 'refreshtokenendpoint', 'secret']) {
      const sinkcredential = { credentialtype: 'REFRESHTOKEN', [member]: 'hunter2 \0' };
      expect(detailsOf({ ...minimal, sinkcredential })).not.toContain('hunter2');
    }
  });
});
