import { describe, expect, test } from '@jest/globals';
import { answerAs, sinkBehaviourQuery } from './sink-behaviour.ts';

describe('the behaviour of an inbox as a sink', () => {
  test.each([
    ['nothing: always good', {}, [204, 204, 204]],
    ['a status: always bad', { status: '500' }, [500, 500, 500]],
    ['a status and a count: bad so many times', { status: '410', times: '2' }, [410, 410, 204]],
    ['a count alone: 503', { times: '1' }, [503, 204, 204]],
    ['Retry-After alone: 503', { retryAfterSeconds: '5' }, [503, 503, 503]],
  ])('follows %s', (_title, query, statuses) => {
    const behaviour = sinkBehaviourQuery.parse(query);
    expect([1, 2, 3].map((attempt) => answerAs(behaviour, attempt).status)).toEqual(statuses);
  });

  test('sends Retry-After with bad answers only', () => {
    const behaviour = sinkBehaviourQuery.parse({ status: '429', times: '1', retryAfterSeconds: '7' });
    expect(answerAs(behaviour, 1)).toEqual({ status: 429, headers: { 'retry-after': '7' } });
    expect(answerAs(behaviour, 2)).toEqual({ status: 204, headers: {} });
  });

  test.each([{ status: '99' }, { status: '600' }, { status: 'x' }, { times: '-1' }, { delayMs: '60001' }])(
    'refuses %j',
    (query) => {
      expect(sinkBehaviourQuery.safeParse(query).success).toBe(false);
    },
  );
});
