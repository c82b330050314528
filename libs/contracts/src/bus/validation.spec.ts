import { describe, expect, test } from '@jest/globals';
import type { SubscriptionId, TenantId } from '#core/ids';
import {
  answerMessageId,
  decodeValidationAsk,
  decodeValidationTold,
  encodeValidation,
  UnreadableValidation,
  type ValidationAsk,
  type ValidationTold,
} from './validation.ts';

const names = { tenant: 'acme' as TenantId, subscription: 'sub_1' as SubscriptionId };
const ask: ValidationAsk = { ...names, code: 'c', deadlineAtMs: 5, ask: 1 };
const told: ValidationTold = { ...names, kind: 'answer', codeHash: 'ab', result: 'granted', via: 'options' };

describe('messages about validations', () => {
  test('come back as they were', () => {
    expect(decodeValidationAsk(encodeValidation(ask))).toEqual(ask);
    expect(decodeValidationTold(encodeValidation(told))).toEqual(told);
  });

  test.each(['', 'null', '7', '[]', '{"tenant":"acme"}', '\xff'])('are refused when they are none: %j', (text) => {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    expect(() => decodeValidationAsk(bytes)).toThrow(UnreadableValidation);
    expect(() => decodeValidationTold(bytes)).toThrow(UnreadableValidation);
  });

  test('have one deduplication id per request and way of answering', () => {
    expect(answerMessageId({ codeHash: 'ab', via: 'fic' })).toBe(answerMessageId({ codeHash: 'ab', via: 'options' }));
    expect(answerMessageId({ codeHash: 'ab', via: 'callback' })).not.toBe(answerMessageId(told as never));
  });
});
