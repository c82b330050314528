import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ANY_CONTEXT, specificationOf } from '#testkit/decider-specification';
import { DEFAULT_RETRY_POLICY } from '../delivery/retry-policy.ts';
import type { SubscriptionId, TenantId } from '../ids.ts';
import { subscriptionDecider } from './subscription-decider.ts';
import type { SubscriptionCommand, SubscriptionEvent, SubscriptionSpec } from './subscription.ts';

const { given, fold } = specificationOf(subscriptionDecider);
const id = 'sub_01' as SubscriptionId;
const tenant = 'acme' as TenantId;
const { nowMs: atMs, by } = ANY_CONTEXT;

const spec: SubscriptionSpec = {
  sink: 'https://example.com/e',
  protocol: 'HTTP',
  filters: [],
  config: { contentMode: 'structured', signature: { profile: 'standard-webhooks' }, retry: DEFAULT_RETRY_POLICY },
};
const moved: SubscriptionSpec = { ...spec, sink: 'https://example.org/e' };
const unsigned: SubscriptionSpec = { ...spec, config: { ...spec.config, signature: { profile: 'none' } } };

const created = { kind: 'SubscriptionCreated', id, tenant, spec, sealedSecret: 's1', atMs, by } as const;
const deleted = { kind: 'SubscriptionDeleted', atMs, by } as const;

describe('a subscription', () => {
  test('is created with its specification and sealed secret', () => {
    given([]).when({ kind: 'CreateSubscription', id, tenant, spec, sealedSecret: 's1' }).then([created]);
    expect(fold([created])).toEqual({ id, tenant, spec, sealedSecret: 's1', createdAtMs: atMs, updatedAtMs: atMs });
  });

  test('is not created twice', () => {
    given([created]).when({ kind: 'CreateSubscription', id, tenant, spec }).thenRefused('already_exists');
  });

  test('keeps its secret when a replacement brings none', () => {
    const replaced = { kind: 'SubscriptionReplaced', spec: moved, atMs, by } as const;
    given([created]).when({ kind: 'ReplaceSubscription', spec: moved }).then([replaced]);
    expect(fold([created, { ...replaced, atMs: atMs + 5 }])).toEqual({
      id,
      tenant,
      spec: moved,
      sealedSecret: 's1',
      createdAtMs: atMs,
      updatedAtMs: atMs + 5,
    });
  });

  test('takes the new secret of a replacement, even when nothing else changes', () => {
    const replaced = { kind: 'SubscriptionReplaced', spec, sealedSecret: 's2', atMs, by } as const;
    given([created]).when({ kind: 'ReplaceSubscription', spec, sealedSecret: 's2' }).then([replaced]);
    expect(fold([created, replaced])?.sealedSecret).toBe('s2');
  });

  test('forgets its secret when it is no longer signed', () => {
    const replaced = { kind: 'SubscriptionReplaced', spec: unsigned, atMs, by } as const;
    given([created]).when({ kind: 'ReplaceSubscription', spec: unsigned, sealedSecret: 's2' }).then([replaced]);
    expect(fold([created, replaced])).not.toHaveProperty('sealedSecret');
  });

  test('stays as it is when a replacement changes nothing', () => {
    given([created]).when({ kind: 'ReplaceSubscription', spec }).thenNothing();
  });

  test('cannot be replaced or deleted when it is not there, or no longer', () => {
    given([]).when({ kind: 'ReplaceSubscription', spec }).thenRefused('not_found');
    given([]).when({ kind: 'DeleteSubscription' }).thenRefused('not_found');
    given([created, deleted]).when({ kind: 'ReplaceSubscription', spec }).thenRefused('not_found');
    given([created, deleted]).when({ kind: 'DeleteSubscription' }).thenRefused('not_found');
  });

  test('is deleted once', () => {
    given([created]).when({ kind: 'DeleteSubscription' }).then([deleted]);
  });

  test('never comes back by a late event after its deletion', () => {
    const late = fc.constantFrom<SubscriptionEvent>(
      { kind: 'SubscriptionReplaced', spec: moved, atMs, by },
      { kind: 'SubscriptionReplaced', spec, sealedSecret: 's3', atMs, by },
      deleted,
    );
    fc.assert(fc.property(fc.array(late), (events) => expect(fold([created, deleted, ...events])).toBeUndefined()));
  });

  test('has only states that its own decisions lead to', () => {
    const command = fc.constantFrom<SubscriptionCommand>(
      { kind: 'CreateSubscription', id, tenant, spec, sealedSecret: 's1' },
      { kind: 'ReplaceSubscription', spec: moved },
      { kind: 'ReplaceSubscription', spec: unsigned },
      { kind: 'ReplaceSubscription', spec, sealedSecret: 's4' },
      { kind: 'DeleteSubscription' },
    );
    fc.assert(
      fc.property(fc.array(command), (commands) => {
        const past: SubscriptionEvent[] = [];
        for (const each of commands) {
          const decision = subscriptionDecider.decide(each, fold(past), ANY_CONTEXT);
          if (decision.ok) past.push(...decision.events);
        }
        const state = fold(past);
        const last = past.at(-1);
        expect(state === undefined).toBe(last === undefined || last.kind === 'SubscriptionDeleted');
        if (state?.spec.config.signature.profile === 'none') expect(state.sealedSecret).toBeUndefined();
      }),
    );
  });
});
