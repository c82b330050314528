import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { foldFacts } from './fold-facts.ts';
import { anAttempt, aMatched, aRedelivered, sequencedFacts } from '#testkit/facts';
import { UnstorableRow } from './store-errors.ts';

describe('foldFacts', () => {
  test('gives the same rows for any order and any repetition of the facts', () => {
    fc.assert(
      fc.property(sequencedFacts, fc.infiniteStream(fc.nat()), (facts, random) => {
        const [...numbers] = random.take(2 * facts.length);
        const shuffled = [...facts, ...facts]
          .map((fact, i) => ({ fact, key: numbers[i] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ fact }) => fact);
        expect(foldFacts(shuffled)).toEqual(foldFacts(facts));
      }),
    );
  });

  test('lets an attempt stand when the matcher is heard later', () => {
    const { deliveries } = foldFacts([
      { seq: 1, fact: anAttempt({ attempt: 1, next: { kind: 'delivered' } }) },
      { seq: 2, fact: aMatched() },
    ]);
    expect(deliveries).toMatchObject([{ state: 'delivered', step: 2 }]);
  });

  test('is pending again after a redelivery, until the attempt that it asked for', () => {
    const died = { seq: 1, fact: anAttempt({ attempt: 1, next: { kind: 'dead', reason: 'gone' } }) };
    const redelivered = { seq: 2, fact: aRedelivered({ attempt: 2 }) };
    const delivered = { seq: 3, fact: anAttempt({ attempt: 2, next: { kind: 'delivered' } }) };
    expect(foldFacts([redelivered, died]).deliveries).toMatchObject([{ state: 'pending', reason: null }]);
    expect(foldFacts([delivered, redelivered, died]).deliveries).toMatchObject([{ state: 'delivered' }]);
  });

  test('takes the later word when one attempt was told twice with different results', () => {
    const first = { seq: 7, fact: anAttempt({ attempt: 1, next: { kind: 'delivered' } }) };
    const again = { seq: 8, fact: anAttempt({ attempt: 1, next: { kind: 'retry', atMs: 1_800_000_000_000 } }) };
    expect(foldFacts([again, first]).deliveries).toMatchObject([{ state: 'retrying' }]);
    expect(foldFacts([again, first]).attempts).toMatchObject([{ next: 'retry', fact_seq: 8 }]);
  });

  test('makes texts fit for Postgres: no NUL, no lone surrogate', () => {
    const fact = anAttempt({ request: { outcome: 'retryable', status: 500, responseBody: 'a\0b\ud800c' } });
    expect(foldFacts([{ seq: 1, fact }]).attempts).toMatchObject([{ response_body: 'a\u2400b\ufffdc' }]);
  });

  test.each([Number.NaN, -1, 1e20, undefined])('refuses a fact that says it happened at %p', (acceptedAtMs) => {
    const fact = { ...aMatched(), acceptedAtMs: acceptedAtMs as number };
    expect(() => foldFacts([{ seq: 1, fact }])).toThrow(UnstorableRow);
  });
});
