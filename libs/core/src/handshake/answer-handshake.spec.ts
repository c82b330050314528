import { describe, expect, test } from '@jest/globals';
import { answerHandshake, type HandshakeRequest, type TargetPolicy } from './answer-handshake.ts';
import { handshakeHeaders } from './handshake-headers.ts';
import { readOptionsAnswer } from './read-options-answer.ts';

const everybody: TargetPolicy = { origins: ['*'] };
const answered = (request: HandshakeRequest, policy: TargetPolicy) =>
  Object.fromEntries(answerHandshake(request, policy));

describe('a target that is asked (WH-18)', () => {
  test('names the origin that asked, and a rate', () => {
    expect(answered({ origin: 'a.example' }, everybody)).toEqual({
      'webhook-allowed-origin': 'a.example',
      'webhook-allowed-rate': '*',
    });
  });

  test('lets only those on its list, whole names in any letter case (WH-14)', () => {
    const policy = { origins: ['Events.Example.com'] };
    expect(answered({ origin: 'events.example.COM' }, policy)).toHaveProperty('webhook-allowed-origin');
    for (const origin of ['example.com', 'events.example.com.evil.tld', 'xevents.example.com', '*']) {
      expect(answered({ origin }, policy)).toEqual({});
    }
    expect(answered({ origin: 'a.example' }, { origins: [] })).toEqual({});
  });

  test.each([undefined, '', 'a b', 'a\r\nb: c', 'a,b', 'https://a.example'])('says nothing to %j', (origin) => {
    expect(answered({ origin }, everybody)).toEqual({});
  });

  test.each([
    ['100', 60, '60'],
    ['30', 60, '30'],
    [undefined, 60, '60'],
    ['*', 60, '60'],
    ['0', 60, '60'],
    ['100', undefined, '*'],
  ])('allows of %s requests per minute, with a limit of %s, %s', (rate, ratePerMinute, expected) => {
    const policy = { origins: ['*'], ...(ratePerMinute === undefined ? {} : { ratePerMinute }) };
    expect(answered({ origin: 'a.example', rate }, policy)['webhook-allowed-rate']).toBe(expected);
  });

  test('is understood by our own sender', () => {
    const offer = { origin: 'a.example', requestedRatePerMinute: 90 };
    const request = new Map(handshakeHeaders(offer));
    const headers = answerHandshake(
      { origin: request.get('webhook-request-origin'), rate: request.get('webhook-request-rate') },
      { origins: ['a.example'], ratePerMinute: 60 },
    );
    expect(readOptionsAnswer({ kind: 'response', status: 200, headers }, offer)).toEqual({
      kind: 'granted',
      origin: 'a.example',
      allowedRate: 60,
    });
  });
});
