import { describe, expect, test } from '@jest/globals';
import type { ValidationAnswer } from '#contracts/bus/validation';
import { DEFAULT_VALIDATION } from '#core/registry/current-spec';
import type { Subscription, Validation } from '#core/registry/subscription';
import { constantTimeEqual, sha256Hex } from '#platform/digest';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeConfirmValidation, type ConfirmPorts, type ConfirmRequest } from './confirm-validation.ts';

const CODE = 'c'.repeat(32);
const NOW = 1_000_000;

function asked(validation: Partial<Validation> = {}, traits: Partial<Subscription> = {}): Subscription {
  const spec = aSpec({ config: { validation: { ...DEFAULT_VALIDATION, requestedRate: 120 } } });
  return aSubscription({
    spec,
    validation: {
      status: 'pending',
      attempts: 1,
      codeHash: sha256Hex(CODE),
      deadlineAtMs: NOW + 1,
      ...validation,
    },
    ...traits,
  });
}

async function confirm(
  subscription: Subscription | undefined,
  request: Partial<ConfirmRequest> = {},
  ports: Partial<ConfirmPorts> = {},
) {
  const told: ValidationAnswer[] = [];
  const confirmValidation = makeConfirmValidation(
    {
      subscriptionById: (id) => (subscription?.id === id ? subscription : undefined),
      catchUp: () => Promise.resolve(),
      tell(answer) {
        told.push(answer);
        return Promise.resolve();
      },
      sha256Hex,
      isEqual: constantTimeEqual,
      now: () => NOW,
      ...ports,
    },
    { origin: 'posthaste.example' },
  );
  const { id } = asked();
  const confirmation = await confirmValidation({ subscription: id, code: CODE, allowedRate: undefined, ...request });
  return { kind: confirmation.kind, told };
}

describe('a callback (WH-15)', () => {
  test('grants with the right code, at the rate that was asked for', async () => {
    const { kind, told } = await confirm(asked());
    expect(kind).toBe('confirmed');
    expect(told).toEqual([
      {
        kind: 'answer',
        tenant: 'acme',
        subscription: asked().id,
        codeHash: sha256Hex(CODE),
        result: 'granted',
        via: 'callback',
        origin: 'posthaste.example',
        allowedRate: 120,
      },
    ]);
  });

  test.each([
    ['7', 7],
    ['*', '*'],
  ] as const)('grants at the rate that it names: %s', async (allowedRate, expected) => {
    const { told } = await confirm(asked(), { allowedRate });
    expect(told).toMatchObject([{ allowedRate: expected }]);
  });

  test('grants nothing with a rate that is none', async () => {
    expect(await confirm(asked(), { allowedRate: '0' })).toEqual({ kind: 'invalid_rate', told: [] });
  });

  test('is answered alike when it was granted before, and changes nothing', async () => {
    const granted = asked({ status: 'granted', deadlineAtMs: NOW - 1 });
    expect(await confirm(granted, { allowedRate: '0' })).toEqual({ kind: 'confirmed', told: [] });
  });

  test.each([
    ['without a code', asked(), { code: undefined }],
    ['with another code', asked(), { code: 'd'.repeat(32) }],
    ['with what is no code', asked(), { code: 'x' }],
    ['for what is no subscription', asked(), { subscription: '../x' }],
    ['for a subscription that is not there', undefined, {}],
    ['after the deadline', asked({ deadlineAtMs: NOW }), {}],
    ['when another request has replaced it', asked({ codeHash: sha256Hex('d'.repeat(32)) }), {}],
    ['when the sink was never asked', aSubscription(), {}],
    ['when the subscription has expired', asked({}, { state: 'expired' }), {}],
    ['when the subscription is retired', asked({ status: 'granted' }, { state: 'retired' }), {}],
  ] as const)('is not found %s', async (_when, subscription, request) => {
    expect(await confirm(subscription, request)).toEqual({ kind: 'not_found', told: [] });
  });

  test('finds a request that was made a moment ago elsewhere', async () => {
    let isCaughtUp = false;
    const { kind } = await confirm(
      undefined,
      {},
      {
        catchUp() {
          isCaughtUp = true;
          return Promise.resolve();
        },
        subscriptionById: () => (isCaughtUp ? asked() : undefined),
      },
    );
    expect(kind).toBe('confirmed');
  });

  test('is not confirmed before the grant is stored', async () => {
    const failing = confirm(asked(), {}, { tell: () => Promise.reject(new Error('no leader')) });
    await expect(failing).rejects.toThrow('no leader');
  });
});
