import { describe, expect, test } from '@jest/globals';
import { eventGridBody, readEventGridAnswer } from './event-grid.ts';
import type { HandshakeExchange } from './handshake-verdict.ts';

const callbackUrl = 'https://posthaste.example/validate/sub_1?code=c';
const challenge = { code: 'c', id: 'e1', topic: '/v1/subscriptions/sub_1', time: '2026-01-01T00:00:00Z', callbackUrl };

function answer(status: number, text?: string, truncated = false): HandshakeExchange {
  return { kind: 'response', status, headers: [], ...(text === undefined ? {} : { body: { text, truncated } }) };
}

describe('a validation in the manner of Event Grid', () => {
  test('is an array of one event with the code and the URL to open', () => {
    expect(JSON.parse(eventGridBody(challenge))).toEqual([
      {
        id: 'e1',
        topic: '/v1/subscriptions/sub_1',
        subject: '',
        data: { validationCode: 'c', validationUrl: callbackUrl },
        eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
        eventTime: '2026-01-01T00:00:00Z',
        metadataVersion: '1',
        dataVersion: '2',
      },
    ]);
  });

  test.each([
    ['granted', 200, '{"validationResponse":"c"}'],
    ['granted', 202, '{"validationResponse":"c","more":1}'],
    ['denied', 200, '{"validationResponse":"d"}'],
    ['pending', 200, '{}'],
    ['pending', 200, 'ok'],
    ['pending', 200, '["validationResponse"]'],
    ['pending', 204, undefined],
    ['unsupported', 400, '{"validationResponse":"c"}'],
    ['unsupported', 302, undefined],
    ['unsupported', 405, 'no'],
    ['unanswered', 503, '{"validationResponse":"c"}'],
  ] as const)('is %s by %i %s', (kind, status, text) => {
    expect(readEventGridAnswer(answer(status, text), challenge).kind).toBe(kind);
  });

  test('waits for nothing when no URL was offered', () => {
    expect(readEventGridAnswer(answer(200), { code: 'c' }).kind).toBe('unsupported');
  });

  test('does not guess at a body that was cut', () => {
    expect(readEventGridAnswer(answer(200, '{"validationResponse":"c"}', true), { code: 'c' }).kind).toBe(
      'unsupported',
    );
  });
});
