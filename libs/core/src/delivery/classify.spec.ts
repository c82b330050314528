import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { classify } from './classify.ts';
import type { ExchangeError, Outcome } from './outcome.ts';

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
  ])('takes the error %s for %s', (error, expected) => {
    expect(classify({ kind: 'error', error, message: 'x' })).toBe(expected);
  });
});
