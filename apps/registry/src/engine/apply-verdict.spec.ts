import { describe, expect, test } from '@jest/globals';
import type { SubscriptionVerdict } from '#contracts/bus/facts';
import type { SubscriptionId, TenantId } from '#core/ids';
import { subscriptionDecider } from '#core/registry/subscription-decider';
import type { Subscription, SubscriptionCommand, SubscriptionEvent } from '#core/registry/subscription';
import { aSpec } from '#testkit/a-subscription';
import { NOON } from '#testkit/facts';
import type { ExecuteCommand } from '../execute-command.ts';
import { DELIVERY_ACTOR, makeApplyVerdict, reasonOf } from './apply-verdict.ts';

const tenant = 'acme' as TenantId;
const subscription = 'sub_00000000000000000000000001' as SubscriptionId;

const gone: SubscriptionVerdict = {
  kind: 'verdict',
  tenant,
  subscription,
  revision: 1,
  verdict: 'disable',
  reason: 'gone',
  detail: 'the sink answered 410 Gone',
  atMs: NOON,
};
const failing: SubscriptionVerdict = {
  ...gone,
  reason: 'failing_since',
  detail: 'the sink has failed for 5 d without a single success',
};
const blocked: SubscriptionVerdict = {
  ...gone,
  verdict: 'pause',
  reason: 'ordering_blocked',
  detail: 'a delivery was given up',
};

/** The use case on one subscription of revision 1, whose events are kept in an array. */
function aRegistry() {
  const events: SubscriptionEvent[] = [];
  const state = (): Subscription | undefined =>
    events.reduce<Subscription | undefined>((before, event) => subscriptionDecider.evolve(before, event), undefined);

  function decide(command: SubscriptionCommand, by = 'test') {
    const decision = subscriptionDecider.decide(command, state(), { nowMs: NOON, by });
    if (decision.ok) events.push(...decision.events);
    return decision;
  }

  const execute: ExecuteCommand = async (aggregate, { by }, commandFor) => {
    const before = aggregate.read();
    const command = await commandFor(before);
    if (command === undefined) return { kind: 'done', before, after: before };
    const decision = decide(command as SubscriptionCommand, by);
    if (!decision.ok) return { kind: 'refused', refusal: decision.refusal };
    return { kind: 'done', before, after: aggregate.read() };
  };
  decide({ kind: 'CreateSubscription', id: subscription, tenant, spec: aSpec() });
  const registryState = { tenant: () => undefined, apiKey: () => undefined, subscription: state };
  return { events, state, decide, applyVerdict: makeApplyVerdict({ state: registryState, execute }) };
}

describe('a verdict', () => {
  test('disables the subscription and says why, for people and for programs (D9)', async () => {
    const { applyVerdict, state, events } = aRegistry();
    expect(await applyVerdict(gone)).toBe('applied');
    expect(state()).toMatchObject({
      state: 'disabled',
      stateReason: 'The sink answered 410 Gone at 2026-11-22T12:00:00.000Z.',
      revision: 2,
    });
    expect(events.at(-1)).toMatchObject({ cause: 'gone', by: DELIVERY_ACTOR });
  });

  test('pauses one whose order is blocked', async () => {
    const { applyVerdict, state, events } = aRegistry();
    expect(await applyVerdict(blocked)).toBe('applied');
    expect(state()).toMatchObject({ state: 'paused', stateReason: 'A delivery was given up.' });
    expect(events.at(-1)).toMatchObject({ kind: 'SubscriptionPaused', cause: 'ordering_blocked' });
  });

  test('changes something once, however often it comes', async () => {
    const { applyVerdict, events } = aRegistry();
    const results = [await applyVerdict(failing), await applyVerdict(failing), await applyVerdict(gone)];
    expect([results, events.length]).toEqual([['applied', 'stale', 'stale'], 2]);
  });

  test.each<[string, readonly SubscriptionCommand[]]>([
    ['changed', [{ kind: 'ReplaceSubscription', spec: aSpec({ sink: 'https://other.example/' }) }]],
    ['paused and resumed', [{ kind: 'PauseSubscription' }, { kind: 'ResumeSubscription' }]],
    ['disabled and resumed', [{ kind: 'DisableSubscription', reason: 'r' }, { kind: 'ResumeSubscription' }]],
    ['deleted', [{ kind: 'DeleteSubscription' }]],
  ])('is void when the subscription was %s since', async (_how, commands) => {
    const { applyVerdict, decide, state, events } = aRegistry();
    for (const command of commands) expect(decide(command).ok).toBe(true);
    const before = [state(), events.length];
    for (const verdict of [gone, failing, blocked]) expect(await applyVerdict(verdict)).toBe('stale');
    expect([state(), events.length]).toEqual(before);
  });

  test('about the subscription as it was resumed holds again', async () => {
    const { applyVerdict, decide, state } = aRegistry();
    await applyVerdict(gone);
    decide({ kind: 'ResumeSubscription' });
    expect(state()).toMatchObject({ state: 'active', revision: 3 });
    expect(await applyVerdict({ ...gone, revision: 3 })).toBe('applied');
  });

  test('does not hold up the others when the state does not allow it', async () => {
    const { applyVerdict, decide, state } = aRegistry();
    decide({ kind: 'RetireSubscription', reason: 'r' });
    expect(await applyVerdict({ ...gone, revision: 2 })).toBe('refused');
    expect(state()?.state).toBe('retired');
  });
});

test.each([
  [gone, 'The sink answered 410 Gone at 2026-11-22T12:00:00.000Z.'],
  [failing, 'The sink has failed for 5 d without a single success.'],
  [{ ...failing, detail: 'It is a sentence.' }, 'It is a sentence.'],
])('the reason reads as a sentence', (verdict, sentence) => {
  expect(reasonOf(verdict)).toBe(sentence);
});
