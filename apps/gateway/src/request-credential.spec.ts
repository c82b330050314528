import { describe, expect, test } from '@jest/globals';
import { ProblemError } from '#platform/problem';
import { requestCredential } from './request-credential.ts';

describe('the credential of a request (WH-7)', () => {
  test('is the header, or the parameter of the query in its place', () => {
    const header = { authorization: 'Bearer a' };
    expect(requestCredential(header, {})).toEqual({ headers: header, isInUrl: false });
    expect(requestCredential({ 'x-a': 'b' }, { access_token: 't' })).toEqual({
      headers: { 'x-a': 'b', authorization: 'Bearer t' },
      isInUrl: true,
    });
    expect(requestCredential({}, undefined)).toEqual({ headers: {}, isInUrl: false });
  });

  test('is refused when there are several, without being repeated', () => {
    const several = [
      () => requestCredential({ authorization: 'Bearer a' }, { access_token: 'secret' }),
      () => requestCredential({}, { access_token: ['secret', 'b'] }),
    ];
    for (const ask of several) {
      expect(ask).toThrow(ProblemError);
      expect(ask).toThrow(/^(?!.*secret)/);
    }
  });
});
