import { describe, expect, test } from '@jest/globals';
import type { ValidationAnswer, ValidationAsk } from '#contracts/bus/validation';
import type { HandshakeVerdict } from '#core/handshake/handshake-verdict';
import type { Validation } from '#core/registry/subscription';
import { aSubscription } from '#testkit/a-subscription';
import { requestOriginHeaders } from './request-origin.ts';
import { makeValidateSink, type ValidatePorts } from './validate-sink.ts';

const NOW = 1_000_000;
const hash = (code: string) => `hash of ${code}`;
const requested: Validation = { status: 'requested', attempts: 1, codeHash: hash('c') };
const subscription = aSubscription({ validation: requested });
const ask: ValidationAsk = {
  tenant: subscription.tenant,
  subscription: subscription.id,
  code: 'c',
  deadlineAtMs: NOW + 300_000,
  ask: 1,
};

async function validate(verdict: HandshakeVerdict, ports: Partial<ValidatePorts> = {}, given = ask) {
  const told: ValidationAnswer[] = [];
  const again: { ask: ValidationAsk; atMs: number }[] = [];
  const codes: string[] = [];
  const validateSink = makeValidateSink({
    findSubscription: () => Promise.resolve(subscription),
    askSink(_subscription, code) {
      codes.push(code);
      return Promise.resolve({ via: 'options', verdict });
    },
    tell(answer) {
      told.push(answer);
      return Promise.resolve();
    },
    askAgain(next, atMs) {
      again.push({ ask: next, atMs });
      return Promise.resolve();
    },
    sha256Hex: hash,
    now: () => NOW,
    ...ports,
  });
  return { result: await validateSink(given), told, again, codes };
}

const names = { kind: 'answer', tenant: ask.tenant, subscription: ask.subscription, codeHash: hash('c') } as const;

describe('one ask', () => {
  test.each([
    [
      { kind: 'granted', origin: 'o', allowedRate: 100 },
      { result: 'granted', origin: 'o', allowedRate: 100 },
    ],
    [
      { kind: 'granted', origin: '*' },
      { result: 'granted', origin: '*' },
    ],
    [
      { kind: 'denied', detail: 'd' },
      { result: 'denied', detail: 'd' },
    ],
    [
      { kind: 'pending', detail: 'd' },
      { result: 'pending', detail: 'd' },
    ],
    [
      { kind: 'unsupported', detail: 'd' },
      { result: 'unsupported', detail: 'd' },
    ],
  ] as const)('tells the registry what the sink said: %j', async (verdict, answer) => {
    const { result, told, again, codes } = await validate(verdict);
    expect(result).toBe(verdict.kind);
    expect(told).toEqual([{ ...names, via: 'options', ...answer }]);
    expect([again, codes]).toEqual([[], ['c']]);
  });

  test('is put again when it got no answer, with growing waits (WH-13)', async () => {
    const nothing = { kind: 'unanswered', detail: 'reset' } as const;
    const first = await validate(nothing);
    expect([first.told, first.again]).toEqual([[], [{ ask: { ...ask, ask: 2 }, atMs: NOW + 2_000 }]]);
    const third = await validate(nothing, {}, { ...ask, ask: 3 });
    expect(third.again).toEqual([{ ask: { ...ask, ask: 4 }, atMs: NOW + 15_000 }]);
  });

  test('waits as long as the sink wishes (WH-5)', async () => {
    const { again } = await validate({ kind: 'unanswered', detail: '429', retryAfter: '60' });
    expect(again[0]?.atMs).toBe(NOW + 60_000);
  });

  test('ends as unsupported when the deadline comes before the next one (WH-16)', async () => {
    const nothing = { kind: 'unanswered', detail: 'The sink answered 503.' } as const;
    const { told, again } = await validate(nothing, {}, { ...ask, deadlineAtMs: NOW + 1_000 });
    expect(again).toEqual([]);
    expect(told).toMatchObject([{ result: 'unsupported', detail: expect.stringContaining('The sink answered 503.') }]);
  });

  test.each([
    ['the subscription is deleted', { findSubscription: () => Promise.resolve(undefined) }, ask],
    [
      'a later request has replaced this one',
      { findSubscription: () => Promise.resolve(aSubscription({ validation: { ...requested, codeHash: 'other' } })) },
      ask,
    ],
    ['the deadline is over', {}, { ...ask, deadlineAtMs: NOW }],
  ] as const)('asks nobody when %s', async (_when, ports, given) => {
    const { result, told, again, codes } = await validate({ kind: 'granted', origin: '*' }, ports, given);
    expect([result, told, again, codes]).toEqual(['stale', [], [], []]);
  });
});

describe('the origin on notifications (WH-4)', () => {
  test.each([
    ['none before a consent', requested, undefined],
    ['none after a denial', { ...requested, status: 'denied' }, undefined],
    [
      'the one that was granted, whatever ours is now',
      { ...requested, status: 'granted', grantedOrigin: 'old' },
      'old',
    ],
    ['ours when every origin was granted', { ...requested, status: 'granted', grantedOrigin: '*' }, 'own'],
    ['ours when the grant named none', { ...requested, status: 'granted' }, 'own'],
  ] as const)('is %s', (_which, validation: Validation, expected) => {
    const headers = requestOriginHeaders(validation, 'own');
    expect(headers).toEqual(expected === undefined ? [] : [['webhook-request-origin', expected]]);
  });
});
