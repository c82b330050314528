import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { CLASSIFICATIONS, classify } from './classify.ts';
import type { ExchangeError, Outcome } from './outcome.ts';
import type { OutcomeOverride } from './retry-policy.ts';

const vectors = JSON.parse(readFileSync('test/vectors/webhook-handshake-and-delivery.json', 'utf8')) as {
  delivery: { status: number; outcome: string }[];
};

const MEANING: [RegExp, Outcome][] = [
  [/^success/, 'delivered'],
  [/^retired/, 'gone'],
  [/^failure, retry/, 'retryable'],
  [/^failure, permanent/, 'permanent'],
];

describe('classify', () => {
  test.each(vectors.delivery)('gives $status the outcome "$outcome" (specs section 4)', ({ status, outcome }) => {
    const expected = MEANING.find(([pattern]) => pattern.test(outcome))?.[1];
    expect(classify({ kind: 'response', status })).toBe(expected);
  });

  test.each<[number, string | undefined, Outcome]>([
    [200, undefined, 'delivered'],
    [202, undefined, 'delivered'],
    [226, undefined, 'delivered'],
    [300, undefined, 'permanent'],
    [304, undefined, 'permanent'],
    [307, '5', 'permanent'],
    [401, undefined, 'permanent'],
    [404, undefined, 'retryable'],
    [408, undefined, 'retryable'],
    [410, '60', 'gone'],
    [413, '60', 'permanent'],
    [422, undefined, 'permanent'],
    [425, undefined, 'retryable'],
    [429, undefined, 'throttled'],
    [429, '60', 'throttled'],
    [451, undefined, 'permanent'],
    [500, undefined, 'retryable'],
    [500, '60', 'retryable'],
    [501, undefined, 'retryable'],
    [503, undefined, 'retryable'],
    [503, '120', 'throttled'],
    [503, 'Wed, 21 Oct 2015 07:28:00 GMT', 'throttled'],
    [503, 'soon', 'retryable'],
    [599, undefined, 'retryable'],
    [101, undefined, 'retryable'],
    [666, undefined, 'retryable'],
  ])('takes %d with Retry-After %s for %s (D7, D8, D9)', (status, retryAfter, expected) => {
    expect(classify({ kind: 'response', status, ...(retryAfter === undefined ? {} : { retryAfter }) })).toBe(expected);
  });

  test.each<[ExchangeError, Outcome]>([
    ['dns', 'retryable'],
    ['address_refused', 'retryable'],
    ['scheme_refused', 'permanent'],
    ['connect_refused', 'retryable'],
    ['connect_timeout', 'retryable'],
    ['connect_failed', 'retryable'],
    ['tls', 'retryable'],
    ['timeout', 'retryable'],
    ['reset', 'retryable'],
    ['protocol', 'retryable'],
    ['proxy', 'retryable'],
    ['local_resources', 'retryable'],
  ])('takes the error %s for %s', (error, expected) => {
    expect(classify({ kind: 'error', error, message: 'x' })).toBe(expected);
  });
});

describe('the table of statuses', () => {
  test('is the one that docs/retries.md shows, each row with its reason', () => {
    const rows = [
      ...readFileSync('docs/retries.md', 'utf8').matchAll(/^\| `(\dxx|\d{3})` +\| `(\w+)` +\| (.+?) +\|$/gm),
    ];
    const shown = rows.map(([, status = '', outcome = '', why = '']) => [status, { outcome, why }]);
    expect(Object.fromEntries(shown)).toEqual(CLASSIFICATIONS);
    expect(shown).toHaveLength(Object.keys(CLASSIFICATIONS).length);
  });
});

describe('an override of a subscription', () => {
  const classified = (status: number, overrides: Record<string, OutcomeOverride>, retryAfter?: string) =>
    classify({ kind: 'response', status, ...(retryAfter === undefined ? {} : { retryAfter }) }, overrides);

  test('is taken in place of the table (D8)', () => {
    expect(classified(404, { 404: 'fail' })).toBe('permanent');
    expect(classified(409, { 409: 'retry' })).toBe('retryable');
    expect(classified(307, { '3xx': 'retry' })).toBe('retryable');
    expect(classified(500, { 404: 'fail' })).toBe('retryable');
  });

  test('of a status goes before that of its hundred', () => {
    const overrides = { '4xx': 'retry', 422: 'fail' } as const;
    expect(classified(400, overrides)).toBe('retryable');
    expect(classified(422, overrides)).toBe('permanent');
    expect(classified(503, overrides)).toBe('retryable');
  });

  test('of a hundred does not mean 410 and 429, which speak for the whole sink (WH-5, D9)', () => {
    expect(classified(410, { '4xx': 'retry' })).toBe('gone');
    expect(classified(410, { 410: 'retry' })).toBe('retryable');
    expect(classified(410, { 410: 'fail' })).toBe('permanent');
    expect(classified(429, { '4xx': 'fail' })).toBe('throttled');
    expect(classified(429, { 429: 'fail' })).toBe('throttled');
  });

  test('leaves a sink the pause that it asks for, unless the delivery ends (WH-5)', () => {
    expect(classified(503, { '5xx': 'retry' }, '60')).toBe('throttled');
    expect(classified(503, { 503: 'fail' }, '60')).toBe('permanent');
  });

  test('never makes a failure of a success, nor of what is no status', () => {
    expect(classified(200, { '3xx': 'fail', '4xx': 'fail', '5xx': 'fail' })).toBe('delivered');
    expect(classify({ kind: 'error', error: 'timeout', message: 'x' }, { '5xx': 'fail' })).toBe('retryable');
    expect(classified(666, { '5xx': 'fail' })).toBe('retryable');
  });
});
