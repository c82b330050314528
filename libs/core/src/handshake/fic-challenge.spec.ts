import { describe, expect, test } from '@jest/globals';
import { ficChallengeUrl, readFicAnswer } from './fic-challenge.ts';
import type { HandshakeExchange } from './handshake-verdict.ts';

function answer(status: number, text: string): HandshakeExchange {
  return { kind: 'response', status, headers: [], body: { text, truncated: false } };
}

describe('a challenge in the manner of Fatture in Cloud', () => {
  test('goes behind the query that the sink has', () => {
    expect(ficChallengeUrl('https://a.example/h', 'c')).toBe('https://a.example/h?x-fic-verification-challenge=c');
    expect(ficChallengeUrl('https://a.example/h?k=1', 'c')).toBe(
      'https://a.example/h?k=1&x-fic-verification-challenge=c',
    );
  });

  test.each([
    ['granted', 200, '{"verification":"c"}'],
    ['denied', 200, '{"verification":"d"}'],
    ['unsupported', 200, 'c'],
    ['unsupported', 404, '{"verification":"c"}'],
    ['unanswered', 500, ''],
  ] as const)('is %s by %i %s', (kind, status, text) => {
    expect(readFicAnswer(answer(status, text), 'c').kind).toBe(kind);
  });
});
