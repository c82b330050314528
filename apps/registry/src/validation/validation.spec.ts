import { describe, expect, test } from '@jest/globals';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { ValidationAnswer, ValidationAsk, ValidationDeadline } from '#contracts/bus/validation';
import type { SubscriptionId, TenantId } from '#core/ids';
import { DEFAULT_VALIDATION } from '#core/registry/current-spec';
import { subscriptionDecider } from '#core/registry/subscription-decider';
import type {
  Subscription,
  SubscriptionCommand,
  SubscriptionEvent,
  ValidationPolicy,
} from '#core/registry/subscription';
import { aSpec } from '#testkit/a-subscription';
import type { ExecuteCommand } from '../execute-command.ts';
import { makeReactToChange } from './react-to-change.ts';
import { makeRecordTold } from './record-told.ts';
import { makeRequestValidation } from './request-validation.ts';
import { makeSweepValidations } from './sweep-validations.ts';
import { makeVerifySubscription } from './verify-subscription.ts';

const tenant = 'acme' as TenantId;
const id = 'sub_00000000000000000000000001' as SubscriptionId;
const MINUTE_MS = 60_000;

/** The room on one subscription, whose events are kept in an array, with a clock that is set. */
function aRoom(policy: Partial<ValidationPolicy> = {}) {
  const events: SubscriptionEvent[] = [];
  const asks: ValidationAsk[] = [];
  const deadlines: { deadline: ValidationDeadline; atMs: number }[] = [];
  const clock = { nowMs: 1_000_000 };
  let codes = 0;
  const state = (): Subscription | undefined =>
    events.reduce<Subscription | undefined>((before, event) => subscriptionDecider.evolve(before, event), undefined);

  function decide(command: SubscriptionCommand, by = 'test') {
    const decision = subscriptionDecider.decide(command, state(), { nowMs: clock.nowMs, by });
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
  const registryState = { tenant: () => undefined, apiKey: () => undefined, subscription: state };
  const requestValidation = makeRequestValidation({
    state: registryState,
    execute,
    scheduleDeadline(deadline, atMs) {
      deadlines.push({ deadline, atMs });
      return Promise.resolve();
    },
    publishAsk(ask) {
      asks.push(ask);
      return Promise.resolve();
    },
    newCode: () => `code-${++codes}`,
    sha256Hex: (text) => `hash(${text})`,
    now: () => clock.nowMs,
  });
  const recordTold = makeRecordTold({
    state: registryState,
    execute,
    unsupportedRate: () => 10,
    now: () => clock.nowMs,
  });
  const reactToChange = makeReactToChange({
    requestValidation,
    findSubscription: () => Promise.resolve(state()),
  });
  const sweep = makeSweepValidations({
    subscriptions: () => [state()].filter((one) => one !== undefined),
    requestValidation,
    recordTold,
    now: () => clock.nowMs,
  });
  const create = (): void => {
    const spec = aSpec({ config: { validation: { ...DEFAULT_VALIDATION, ...policy } } });
    decide({ kind: 'CreateSubscription', id, tenant, spec });
  };
  /** An event, by default the last, as REGISTRY would bring it. */
  const react = async ({ seq = events.length, isRepeated = false } = {}): Promise<void> => {
    const event = events[seq - 1];
    if (event === undefined) throw new Error('nothing has happened');
    const record: RegistryRecord = { aggregate: 'subscription', id, tenant, event };
    await reactToChange({ record, seq, isRepeated });
  };
  const answer = (result: ValidationAnswer['result'], more: Partial<ValidationAnswer> = {}) =>
    recordTold({
      kind: 'answer',
      tenant,
      subscription: id,
      codeHash: `hash(code-${codes})`,
      result,
      via: 'options',
      ...more,
    });
  const deadline = () => recordTold({ kind: 'deadline', tenant, subscription: id, codeHash: `hash(code-${codes})` });
  const verify = makeVerifySubscription({ requestValidation, now: () => clock.nowMs });
  return {
    events,
    asks,
    deadlines,
    clock,
    state,
    decide,
    create,
    react,
    answer,
    deadline,
    sweep,
    kinds: () => events.map(({ kind }) => kind),
    verify: () => verify(tenant, id, { by: 'key_1' }),
  };
}

describe('a new subscription', () => {
  test('has its sink asked: recorded first, then sent, with a timer', async () => {
    const room = aRoom({ deadlineSeconds: 60 });
    room.create();
    await room.react();
    const deadlineAtMs = room.clock.nowMs + MINUTE_MS;
    expect(room.events.at(-1)).toMatchObject({ kind: 'ValidationRequested', codeHash: 'hash(code-1)', deadlineAtMs });
    expect(room.asks).toEqual([{ tenant, subscription: id, code: 'code-1', deadlineAtMs, ask: 1 }]);
    expect(room.deadlines).toMatchObject([{ atMs: deadlineAtMs, deadline: { codeHash: 'hash(code-1)' } }]);
  });

  test('is asked once, unless a process may have died before it sent the question', async () => {
    const room = aRoom();
    room.create();
    await room.react();
    await room.react({ seq: 1 });
    expect(room.asks.map(({ code }) => code)).toEqual(['code-1']);
    await room.react({ seq: 1, isRepeated: true });
    expect(room.asks.map(({ code }) => code)).toEqual(['code-1', 'code-2']);
    await room.answer('denied', { detail: 'other' });
    await room.react({ seq: 1, isRepeated: true });
    expect(room.asks).toHaveLength(2);
  });

  test('is not asked when consent is of no interest', async () => {
    const room = aRoom({ mode: 'none' });
    room.create();
    await room.react();
    expect([room.kinds(), room.asks]).toEqual([['SubscriptionCreated'], []]);
  });

  test('is asked anew when its sink changes, and when it is resumed without consent (SA-7)', async () => {
    const room = aRoom({ mode: 'required' });
    room.create();
    await room.react();
    await room.answer('granted', { origin: '*' });
    expect(room.state()?.state).toBe('active');
    const spec = aSpec({
      sink: 'https://other.example/',
      config: { validation: { ...DEFAULT_VALIDATION, mode: 'required' } },
    });
    room.decide({ kind: 'ReplaceSubscription', spec });
    expect(room.state()).toMatchObject({ state: 'pending', validation: { status: 'requested' } });
    await room.react();
    expect(room.asks.map(({ code }) => code)).toEqual(['code-1', 'code-2']);
    await room.answer('unsupported', { detail: 'd' });
    room.decide({ kind: 'PauseSubscription' });
    room.decide({ kind: 'ResumeSubscription' });
    await room.react();
    expect(room.asks).toHaveLength(3);
  });
});

describe('an answer', () => {
  test('is recorded with origin, rate and way', async () => {
    const room = aRoom({ mode: 'required' });
    room.create();
    await room.react();
    expect(room.state()?.state).toBe('pending');
    expect(await room.answer('granted', { origin: 'o.example', allowedRate: 60 })).toEqual({ kind: 'recorded' });
    expect(room.state()).toMatchObject({
      state: 'active',
      validation: { status: 'granted', grantedOrigin: 'o.example', allowedRatePerMinute: 60, via: 'options' },
    });
  });

  test('to a request that was replaced, or of a subscription that is gone, is of no use', async () => {
    const room = aRoom();
    room.create();
    await room.react();
    expect(await room.answer('granted', { codeHash: 'hash(code-0)' })).toEqual({ kind: 'stale' });
    room.decide({ kind: 'DeleteSubscription' });
    expect(await room.answer('granted')).toEqual({ kind: 'stale' });
    expect(await room.deadline()).toEqual({ kind: 'stale' });
  });

  test.each(['pending', 'denied', 'unsupported'] as const)(
    'of %s does not undo the callback that came while the sink was answering (WH-15)',
    async (late) => {
      const room = aRoom({ mode: 'required' });
      room.create();
      await room.react();
      await room.answer('granted', { via: 'callback', origin: 'o.example' });
      await room.answer(late, { detail: 'late' });
      expect(room.state()).toMatchObject({ state: 'active', validation: { status: 'granted', via: 'callback' } });
    },
  );

  test('without a handshake leaves an optional one the rate that its tenant lets it have (WH-10)', async () => {
    const room = aRoom({ mode: 'optional' });
    room.create();
    await room.react();
    await room.answer('unsupported', { detail: '405' });
    expect(room.state()).toMatchObject({
      state: 'active',
      validation: { status: 'unsupported', allowedRatePerMinute: 10, detail: '405' },
    });
  });

  test('that withdraws a consent ends it', async () => {
    const room = aRoom({ mode: 'required' });
    room.create();
    await room.react();
    await room.answer('granted', { origin: '*' });
    room.clock.nowMs += 10_000;
    await room.verify();
    expect(room.state()).toMatchObject({ state: 'active', validation: { status: 'granted' } });
    await room.answer('denied', { detail: 'other' });
    expect(room.state()).toMatchObject({ state: 'pending', validation: { status: 'denied' } });
  });
});

describe('the deadline (WH-16)', () => {
  test('ends a subscription that waits for consent', async () => {
    const room = aRoom({ mode: 'required', deadlineSeconds: 60 });
    room.create();
    await room.react();
    room.clock.nowMs += MINUTE_MS - 1;
    expect(await room.deadline()).toEqual({ kind: 'early', waitMs: 1 });
    room.clock.nowMs += 1;
    expect(await room.deadline()).toEqual({ kind: 'recorded' });
    expect(room.state()).toMatchObject({ state: 'expired', stateReason: 'validation_deadline' });
    await room.react();
    expect(await room.deadline()).toEqual({ kind: 'stale' });
    expect(room.kinds().filter((kind) => kind === 'SubscriptionExpired')).toHaveLength(1);
  });

  test('only closes the question for one that does not wait', async () => {
    const room = aRoom({ deadlineSeconds: 60 });
    room.create();
    await room.react();
    await room.answer('pending', { detail: 'no headers' });
    room.clock.nowMs += MINUTE_MS;
    await room.deadline();
    expect(room.state()).toMatchObject({
      state: 'active',
      validation: { status: 'unsupported', allowedRatePerMinute: 10, detail: 'No consent came before the deadline.' },
    });
  });

  test('has the last word: a sink that answers after it that it will think about it opens nothing', async () => {
    const room = aRoom({ deadlineSeconds: 60 });
    room.create();
    await room.react();
    room.clock.nowMs += MINUTE_MS;
    await room.deadline();
    const closed = room.state();
    await room.answer('pending', { detail: 'late' });
    expect(room.state()).toEqual(closed);
    await room.answer('granted', { origin: '*' });
    expect(room.state()).toMatchObject({ validation: { status: 'granted' } });
  });

  test.each(['granted', 'denied', 'unsupported'] as const)('changes nothing after the answer %s', async (result) => {
    const room = aRoom({ deadlineSeconds: 60 });
    room.create();
    await room.react();
    await room.answer(result, { detail: 'd' });
    const before = room.state();
    room.clock.nowMs += MINUTE_MS;
    expect(await room.deadline()).toEqual({ kind: 'stale' });
    expect(room.state()).toEqual(before);
  });
});

describe('a sink asked on demand', () => {
  test('is asked at most every few seconds', async () => {
    const room = aRoom();
    room.create();
    await room.react();
    expect(await room.verify()).toEqual({ kind: 'too_soon', waitMs: 5000 });
    room.clock.nowMs += 5000;
    expect(await room.verify()).toMatchObject({ kind: 'requested', subscription: { validation: { attempts: 2 } } });
    expect(room.events.at(-1)).toMatchObject({ kind: 'ValidationRequested', by: 'key_1' });
  });

  test.each([
    ['consent is of no interest', { mode: 'none' } as const, () => undefined, 'conflict'],
    ['it has expired', { mode: 'required', deadlineSeconds: 60 } as const, 'expire', 'conflict'],
  ])('is refused when %s', async (_when, policy, what, code) => {
    const room = aRoom(policy);
    room.create();
    await room.react();
    if (what === 'expire') {
      room.clock.nowMs += MINUTE_MS;
      await room.deadline();
    }
    expect(await room.verify()).toMatchObject({ kind: 'refused', refusal: { code } });
  });

  test('is not found when it is not there', async () => {
    expect(await aRoom().verify()).toMatchObject({ kind: 'refused', refusal: { code: 'not_found' } });
  });
});

describe('looking through all of them', () => {
  test('asks again when a consent is old, once, and the consent holds meanwhile (WH-17)', async () => {
    const room = aRoom({ mode: 'required', revalidateSeconds: 3600 });
    room.create();
    await room.react();
    await room.answer('granted', { origin: '*' });
    await room.sweep();
    expect(room.asks).toHaveLength(1);
    room.clock.nowMs += 60 * MINUTE_MS;
    await room.sweep();
    await room.sweep();
    expect(room.asks).toHaveLength(2);
    expect(room.state()).toMatchObject({ state: 'active', validation: { status: 'granted' } });
    await room.answer('unsupported', { detail: 'a proxy' });
    expect(room.state()).toMatchObject({ state: 'active', validation: { status: 'granted' } });
  });

  test('asks for what a lost process should have asked, and draws the conclusions that it should have drawn', async () => {
    const room = aRoom({ mode: 'required', deadlineSeconds: 60 });
    room.create();
    room.clock.nowMs += 30_000;
    await room.sweep();
    expect(room.asks).toHaveLength(1);
    room.clock.nowMs += 2 * MINUTE_MS;
    await room.sweep();
    expect(room.state()?.state).toBe('expired');
  });
});
