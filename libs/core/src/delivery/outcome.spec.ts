import { describe, expect, test } from '@jest/globals';
import { isOurFault, type ExchangeError } from './outcome.ts';

describe('isOurFault', () => {
  test.each<[ExchangeError, boolean]>([
    ['proxy', true],
    ['local_resources', true],
    ['connect_refused', false],
    ['connect_timeout', false],
    ['dns', false],
    ['timeout', false],
    ['address_refused', false],
  ])('of %s is %s', (error, expected) => {
    expect(isOurFault(error)).toBe(expected);
  });
});
