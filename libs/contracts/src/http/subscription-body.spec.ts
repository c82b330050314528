import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import { DEFAULT_CIRCUIT_POLICY } from '#core/lane/circuit-policy';
import { DEFAULT_VALIDATION, ENGINE_DEFAULTS, NO_VALIDATION } from '#core/registry/current-spec';
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

function configOf(config: unknown): unknown {
  const parsed = parseSubscriptionBody({ ...minimal, config });
  return parsed.ok ? parsed.value.spec.config : parsed;
}

function retryOf(retry: unknown): unknown {
  const parsed = parseSubscriptionBody({ ...minimal, config: { retry } });
  return parsed.ok ? parsed.value.spec.config.retry : parsed;
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
            ...ENGINE_DEFAULTS,
            authorization: 'jwt', // WH-9
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

  test('ends own delays with the last one and gives them no floors, unless told otherwise', () => {
    const own = { ...DEFAULT_RETRY_POLICY, delaysSeconds: [1, 2], whenExhausted: 'stop', floorsSeconds: {} };
    expect(retryOf({ delaysSeconds: [1, 2] })).toEqual(own);
    expect(retryOf({ delaysSeconds: [1, 2], floorsSeconds: { 503: 5 } })).toEqual({
      ...own,
      floorsSeconds: { 503: 5 },
    });
    expect(retryOf({ delaysSeconds: [5], whenExhausted: 'repeat-last' })).toMatchObject({
      whenExhausted: 'repeat-last',
    });
    expect(retryOf({ jitter: 0 })).toEqual({ ...DEFAULT_RETRY_POLICY, jitter: 0 });
    expect(retryOf({ floorsSeconds: {} })).toEqual({ ...DEFAULT_RETRY_POLICY, floorsSeconds: {} });
  });

  test('takes the default delays for the default schedule, even when they are spelled out', () => {
    expect(retryOf({ delaysSeconds: DEFAULT_RETRY_POLICY.delaysSeconds })).toEqual(DEFAULT_RETRY_POLICY);
  });

  test('takes limits, floors and outcomes by status and by hundred (D8)', () => {
    const wanted = {
      maxAttempts: 4,
      floorsSeconds: { 408: 10, '5xx': 86_400 },
      outcomes: { 307: 'retry', 404: 'fail', 409: 'retry', 410: 'fail', '5xx': 'fail' },
    };
    expect(retryOf(wanted)).toEqual({ ...DEFAULT_RETRY_POLICY, ...wanted });
    expect(retryOf({ outcomes: {} })).toEqual(DEFAULT_RETRY_POLICY);
  });

  test('takes how fast, how many at once, in which order and in how large parts', () => {
    const wanted = {
      rate: { requestsPerMinute: 60 },
      maxInFlight: 256,
      ordering: 'subscription',
      onDeadLetter: 'block',
      deadLetterSink: 'https://example.com/dead',
    };
    expect(configOf(wanted)).toMatchObject(wanted);
    const batch = { maxEvents: 1000, maxBytes: 1_048_576, maxWaitMs: 0 };
    expect(configOf({ batch })).toMatchObject({ batch });
    expect(configOf({ batch: {} })).toMatchObject({ batch: { maxEvents: 100, maxBytes: 262_144, maxWaitMs: 1000 } });
    expect(configOf({ ordering: 'partitionkey', onDeadLetter: 'block' })).not.toHaveProperty('batch');
  });

  test('completes a circuit of which only a part is given', () => {
    expect(configOf({ circuit: { consecutiveFailures: 3, failureRatio: 1 } })).toMatchObject({
      circuit: { ...DEFAULT_CIRCUIT_POLICY, consecutiveFailures: 3, failureRatio: 1 },
    });
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
    [
      'statuses that are none, or not to be changed',
      {
        ...minimal,
        config: {
          retry: {
            maxAttempts: 1001,
            floorsSeconds: { 200: 5, 600: 5, '1xx': 5, 404: 0 },
            outcomes: { 200: 'fail', '2xx': 'fail', 429: 'fail', '40x': 'fail', 404: 'later', '6/~': 'fail' },
          },
        },
      },
      [
        '/config/retry/maxAttempts',
        '/config/retry/floorsSeconds/200',
        '/config/retry/floorsSeconds/404',
        '/config/retry/floorsSeconds/600',
        '/config/retry/floorsSeconds/1xx',
        '/config/retry/outcomes/200',
        '/config/retry/outcomes/404',
        '/config/retry/outcomes/429',
        '/config/retry/outcomes/2xx',
        '/config/retry/outcomes/40x',
        '/config/retry/outcomes/6~1~0',
      ],
    ],
    [
      'floors and outcomes that are no objects',
      { ...minimal, config: { retry: { floorsSeconds: [30], outcomes: 'fail' } } },
      ['/config/retry/floorsSeconds', '/config/retry/outcomes'],
    ],
    [
      'delivery settings out of range',
      {
        ...minimal,
        config: {
          rate: { requestsPerMinute: 0 },
          maxInFlight: 257,
          ordering: 'key',
          onDeadLetter: 'stop',
          deadLetterSink: 'mailto:a@example.com',
        },
      },
      ['rate/requestsPerMinute', 'maxInFlight', 'ordering', 'onDeadLetter', 'deadLetterSink'].map(
        (name) => `/config/${name}`,
      ),
    ],
    ['a rate without a number', { ...minimal, config: { rate: {} } }, ['/config/rate/requestsPerMinute']],
    ['a rate that is none', { ...minimal, config: { rate: 60 } }, ['/config/rate']],
    [
      'a circuit out of range, and members it does not have',
      {
        ...minimal,
        config: {
          circuit: {
            consecutiveFailures: 0,
            failureRatio: 0.01,
            windowSeconds: 9,
            minimumRequests: 100_001,
            firstProbeSeconds: 1801,
            longestProbeSeconds: 3601,
            disableAfterSeconds: 3599,
            threshold: 5,
          },
        },
      },
      [
        'consecutiveFailures',
        'failureRatio',
        'windowSeconds',
        'minimumRequests',
        'firstProbeSeconds',
        'longestProbeSeconds',
        'disableAfterSeconds',
        'threshold',
      ].map((name) => `/config/circuit/${name}`),
    ],
    [
      'a first probe that is later than the longest wait, the default one included',
      { ...minimal, config: { circuit: { longestProbeSeconds: 5 } } },
      ['/config/circuit/firstProbeSeconds'],
    ],
    [
      'a batch out of range',
      { ...minimal, config: { batch: { maxEvents: 1001, maxBytes: 1023, maxWaitMs: 60_001, max: 1 } } },
      ['maxEvents', 'maxBytes', 'maxWaitMs', 'max'].map((name) => `/config/batch/${name}`),
    ],
    ['a batch in binary mode', { ...minimal, config: { contentMode: 'binary', batch: {} } }, ['/config/batch']],
    ['a batch of several keys', { ...minimal, config: { ordering: 'partitionkey', batch: {} } }, ['/config/batch']],
    ['a batch in order', { ...minimal, config: { ordering: 'subscription', batch: {} } }, ['/config/batch']],
    ['a batch for NATS', { ...onNats, config: { batch: {} } }, ['/config/batch']],
    ['to block where there is no order', { ...minimal, config: { onDeadLetter: 'block' } }, ['/config/onDeadLetter']],
    [
      'a dead letter sink with a user or a fragment',
      { ...onNats, config: { deadLetterSink: 'https://u:p@example.com/' } },
      ['/config/deadLetterSink'],
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
      'This member is not known; known: contentMode, signature, retry, validation, authorization, expiresAt, ' +
        'maxEvents, rate, maxInFlight, ordering, onDeadLetter, circuit, batch, deadLetterSink.',
    );
    expect(detailsOf({ ...minimal, sinc: 1 })).toBe(
      'This member is not known; known: sink, protocol, protocolsettings, types, source, filters, sinkcredential, config.',
    );
    expect(detailsOf({ ...minimal, protocol: 'http' })).toContain(
      '"http" is not supported; supported: "HTTP" and "NATS"',
    );
  });

  test('says how to mend what does not go together', () => {
    expect(detailsOf({ ...minimal, config: { onDeadLetter: 'block' } })).toContain('set "ordering"');
    expect(detailsOf({ ...minimal, config: { contentMode: 'binary', batch: {} } })).toContain(
      'set "contentMode" to "structured"',
    );
    expect(detailsOf({ ...minimal, config: { ordering: 'partitionkey', batch: {} } })).toContain('set "ordering" to');
    expect(detailsOf({ ...minimal, config: { retry: { outcomes: { 429: 'fail' } } } })).toContain('pause');
    expect(detailsOf({ ...minimal, config: { retry: { outcomes: { 204: 'fail' } } } })).toContain('from 300 to 599');
    expect(detailsOf({ ...minimal, config: { retry: { floorsSeconds: [30] } } })).toContain('{"503": 60}');
    const many = Object.fromEntries(Array.from({ length: 51 }, (_, i) => [430 + i, 'fail']));
    expect(detailsOf({ ...minimal, config: { retry: { outcomes: many } } })).toContain('at most 50');
  });

  test('never repeats a secret in what it says', () => {
    expect(detailsOf({ ...minimal, config: { signature: { secret: 'whsec_hunter2' } } })).not.toContain('hunter2');
    for (const member of ['accesstoken', 'refreshtoken', 'accesstokenexpiresutc', 'refreshtokenendpoint', 'secret']) {
      const sinkcredential = { credentialtype: 'REFRESHTOKEN', [member]: 'hunter2 \0' };
      expect(detailsOf({ ...minimal, sinkcredential })).not.toContain('hunter2');
    }
  });
});
