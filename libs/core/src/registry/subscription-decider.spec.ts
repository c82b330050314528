import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { aSpec } from '#testkit/a-subscription';
import { ANY_CONTEXT, specificationOf } from '#testkit/decider-specification';
import { DEFAULT_RETRY_POLICY } from '../delivery/retry-policy.ts';
import type { SubscriptionId, TenantId } from '../ids.ts';
import { DEFAULT_VALIDATION, NO_VALIDATION } from './current-spec.ts';
import { subscriptionDecider } from './subscription-decider.ts';
import { deliveryFateOf, isMatched, matchesUntilMs } from './subscription-state.ts';
import type { Subscription, SubscriptionCommand, SubscriptionEvent } from './subscription.ts';

const { given, fold } = specificationOf(subscriptionDecider);
const id = 'sub_01' as SubscriptionId;
const tenant = 'acme' as TenantId;
const { nowMs: atMs, by } = ANY_CONTEXT;
const told = { atMs, by };

const spec = aSpec({ sink: 'https://example.com/e' });
const moved = aSpec({ sink: 'https://example.org/e' });
const unsigned = aSpec({ sink: spec.sink, config: { signature: { profile: 'none' } } });
const askedSpec = aSpec({ sink: spec.sink, config: { validation: DEFAULT_VALIDATION } });
const requiring = aSpec({ sink: spec.sink, config: { validation: { ...DEFAULT_VALIDATION, mode: 'required' } } });
const deadlineAtMs = atMs + 300_000;

const created = { kind: 'SubscriptionCreated', id, tenant, spec, sealedSecret: 's1', ...told } as const;
const createdRequiring = { ...created, spec: requiring } as const;
const deleted = { kind: 'SubscriptionDeleted', ...told } as const;
const paused = { kind: 'SubscriptionPaused', ...told } as const;
const resumed = { kind: 'SubscriptionResumed', ...told } as const;
const disabled = { kind: 'SubscriptionDisabled', reason: 'the sink fails', ...told } as const;
const retired = { kind: 'SubscriptionRetired', reason: 'gone', ...told } as const;
const expired = { kind: 'SubscriptionExpired', reason: 'expires_at', ...told } as const;
const requested = { kind: 'ValidationRequested', codeHash: 'c1', deadlineAtMs, ...told } as const;
const answered = { kind: 'ValidationRecorded', via: 'options', ...told } as const;
const granted = { ...answered, result: 'granted', origin: 'posthaste.example', allowedRate: 120 } as const;
const replacedBy = (next: typeof spec) => ({ kind: 'SubscriptionReplaced', spec: next, ...told }) as const;

const state = (...events: SubscriptionEvent[]): Subscription['state'] | undefined => fold(events)?.state;
const validation = (...events: SubscriptionEvent[]): Subscription['validation'] | undefined => fold(events)?.validation;

describe('a credential that was renewed', () => {
  const withCredential = {
    ...created,
    spec: aSpec({ sink: spec.sink, sinkcredential: { credentialtype: 'REFRESHTOKEN' } }),
    sealedCredential: 'c1',
  } as const;
  const refresh = { kind: 'RefreshCredential', replaces: 'c1', sealedCredential: 'c2' } as const;
  const refreshed = { kind: 'CredentialRefreshed', sealedCredential: 'c2', ...told } as const;

  test('takes the place of the one that it was renewed from, once, and is no other revision (SA-10)', () => {
    given([withCredential]).when(refresh).then([refreshed]);
    given([withCredential, refreshed]).when(refresh).then([]);
    expect(fold([withCredential, refreshed])).toMatchObject({ sealedCredential: 'c2', revision: 1 });
    given([withCredential, paused]).when(refresh).then([refreshed]);
  });

  test('is not kept when the subscriber has given another one, or wants none', () => {
    const another = {
      kind: 'SubscriptionReplaced',
      spec: withCredential.spec,
      sealedCredential: 'c9',
      ...told,
    } as const;
    given([withCredential, another]).when(refresh).thenRefused('conflict');
    given([withCredential, replacedBy(spec)])
      .when(refresh)
      .thenRefused('conflict');
    given([withCredential, deleted]).when(refresh).thenRefused('not_found');
    given([withCredential, retired]).when(refresh).thenRefused('conflict');
  });
});

describe('a subscription', () => {
  test('is created with its specification and sealed secret', () => {
    given([]).when({ kind: 'CreateSubscription', id, tenant, spec, sealedSecret: 's1' }).then([created]);
    expect(fold([created])).toEqual({
      id,
      tenant,
      spec,
      state: 'active',
      validation: { status: 'none', attempts: 0 },
      sealedSecret: 's1',
      revision: 1,
      createdAtMs: atMs,
      updatedAtMs: atMs,
    });
  });

  test('of the first version is an active one over HTTP that nobody asks', () => {
    const config = { contentMode: 'binary', signature: { profile: 'none' }, retry: DEFAULT_RETRY_POLICY } as const;
    const stored = { sink: spec.sink, protocol: 'HTTP', filters: [], config } as const;
    expect(fold([{ ...created, spec: stored }])).toMatchObject({
      spec: { protocolsettings: { method: 'POST' }, config: { ...config, validation: NO_VALIDATION } },
      state: 'active',
      validation: { status: 'none' },
    });
  });

  test('is not created twice', () => {
    given([created]).when({ kind: 'CreateSubscription', id, tenant, spec }).thenRefused('already_exists');
  });

  test('keeps its secret when a replacement brings none', () => {
    const replaced = replacedBy(moved);
    given([created]).when({ kind: 'ReplaceSubscription', spec: moved }).then([replaced]);
    expect(fold([created, { ...replaced, atMs: atMs + 5 }])).toMatchObject({
      spec: moved,
      sealedSecret: 's1',
      createdAtMs: atMs,
      updatedAtMs: atMs + 5,
    });
  });

  test('takes the new secret of a replacement, even when nothing else changes', () => {
    const replaced = { kind: 'SubscriptionReplaced', spec, sealedSecret: 's2', ...told } as const;
    given([created]).when({ kind: 'ReplaceSubscription', spec, sealedSecret: 's2' }).then([replaced]);
    expect(fold([created, replaced])?.sealedSecret).toBe('s2');
  });

  test('forgets its secret when it is no longer signed', () => {
    given([created])
      .when({ kind: 'ReplaceSubscription', spec: unsigned, sealedSecret: 's2' })
      .then([replacedBy(unsigned)]);
    expect(fold([created, replacedBy(unsigned)])).not.toHaveProperty('sealedSecret');
  });

  test('keeps its credential until a replacement has none (SA-10)', () => {
    const withCredential = aSpec({ sink: spec.sink, sinkcredential: { credentialtype: 'PLAIN' } });
    const past = [{ ...created, spec: withCredential, sealedCredential: 'k1' }] as const;
    expect(fold(past)?.sealedCredential).toBe('k1');
    const kept = { ...withCredential, sink: moved.sink };
    given(past)
      .when({ kind: 'ReplaceSubscription', spec: kept })
      .then([replacedBy(kept)]);
    expect(fold([...past, replacedBy(kept)])?.sealedCredential).toBe('k1');
    given(past)
      .when({ kind: 'ReplaceSubscription', spec, sealedCredential: 'k2' })
      .then([replacedBy(spec)]);
    expect(fold([...past, replacedBy(spec)])).not.toHaveProperty('sealedCredential');
  });

  test('stays as it is when a replacement changes nothing', () => {
    given([created]).when({ kind: 'ReplaceSubscription', spec }).thenNothing();
  });

  test('cannot be changed or deleted when it is not there, or no longer', () => {
    for (const past of [[], [created, deleted]]) {
      for (const command of ANY_COMMAND.filter(({ kind }) => kind !== 'CreateSubscription')) {
        given(past).when(command).thenRefused('not_found');
      }
    }
  });

  test('is deleted once, in any state', () => {
    for (const end of [[], [paused], [disabled], [retired], [expired]]) {
      given([created, ...end])
        .when({ kind: 'DeleteSubscription' })
        .then([deleted]);
    }
  });
});

describe('the life of a subscription', () => {
  test('counts its revisions, and a sink that answers is none', () => {
    expect(fold([createdRequiring, paused, resumed])?.revision).toBe(3);
    expect(fold([createdRequiring, requested, granted])?.revision).toBe(1);
  });

  test('is paused and resumed; saying it twice causes nothing', () => {
    given([created]).when({ kind: 'PauseSubscription' }).then([paused]);
    given([created, paused]).when({ kind: 'PauseSubscription' }).thenNothing();
    given([created, paused]).when({ kind: 'ResumeSubscription' }).then([resumed]);
    given([created]).when({ kind: 'ResumeSubscription' }).thenNothing();
    expect(state(created, paused)).toBe('paused');
    expect(state(created, paused, resumed)).toBe('active');
  });

  test('tells why it is not active, and no longer when it is again', () => {
    expect(fold([created, { ...paused, reason: 'maintenance' }])?.stateReason).toBe('maintenance');
    expect(fold([created, disabled])?.stateReason).toBe('the sink fails');
    expect(fold([created, disabled, resumed])).not.toHaveProperty('stateReason');
  });

  test('is disabled from any state but the last ones, and then only resumed', () => {
    const disable = { kind: 'DisableSubscription', reason: 'the sink fails' } as const;
    given([created]).when(disable).then([disabled]);
    given([created, paused]).when(disable).then([disabled]);
    given([created, disabled]).when(disable).thenNothing();
    given([created, disabled]).when({ kind: 'PauseSubscription' }).thenRefused('conflict');
    given([created, disabled]).when({ kind: 'ResumeSubscription' }).then([resumed]);
  });

  test('ends retired or expired, where only a deletion is left', () => {
    given([created]).when({ kind: 'RetireSubscription', reason: 'gone' }).then([retired]);
    given([created, retired]).when({ kind: 'RetireSubscription', reason: 'again' }).thenNothing();
    given([created, expired]).when({ kind: 'ExpireSubscription', reason: 'max_events' }).thenNothing();
    for (const end of [retired, expired]) {
      given([created, end]).when({ kind: 'ResumeSubscription' }).thenRefused('conflict');
      given([created, end]).when({ kind: 'ReplaceSubscription', spec: moved }).thenRefused('conflict');
      given([created, end]).when({ kind: 'DisableSubscription', reason: '' }).thenRefused('conflict');
    }
  });

  test('expires at its time and not before, whoever watches the clock', () => {
    const ending = aSpec({ config: { expiresAt: '2023-11-14T22:13:20Z' } });
    const past = [{ ...created, spec: ending }] as const;
    const expire = { kind: 'ExpireSubscription', reason: 'expires_at' } as const;
    expect(matchesUntilMs(fold(past) as Subscription)).toBe(atMs);
    given(past)
      .when(expire, { nowMs: atMs - 1, by })
      .thenRefused('conflict');
    given(past).when(expire).then([expired]);
    given([created]).when(expire).thenRefused('conflict');
  });

  test('expires with its last event, unless the limit was moved since', () => {
    const limited = aSpec({ config: { maxEvents: 3 } });
    const past = [{ ...created, spec: limited }] as const;
    given(past)
      .when({ kind: 'ExpireSubscription', reason: 'max_events', maxEvents: 3 })
      .then([{ ...expired, reason: 'max_events' }]);
    expect(matchesUntilMs(fold(past) as Subscription)).toBe(Infinity);
    expect(matchesUntilMs(fold([...past, { ...expired, reason: 'max_events' }]) as Subscription)).toBe(atMs + 60_000);
    given(past).when({ kind: 'ExpireSubscription', reason: 'max_events', maxEvents: 2 }).thenRefused('conflict');
    given([created]).when({ kind: 'ExpireSubscription', reason: 'max_events' }).thenRefused('conflict');
  });

  test('matches events, and sends them, in these states only', () => {
    const of = (...events: SubscriptionEvent[]) => {
      const subscription = fold(events) as Subscription;
      return [subscription.state, isMatched(subscription), deliveryFateOf(subscription)];
    };
    expect(of(created)).toEqual(['active', true, 'attempt']);
    expect(of(createdRequiring)).toEqual(['pending', true, 'hold']);
    expect(of(created, paused)).toEqual(['paused', true, 'hold']);
    expect(of(created, disabled)).toEqual(['disabled', false, 'end']);
    expect(of(created, retired)).toEqual(['retired', false, 'end']);
    expect(of(created, expired)).toEqual(['expired', true, 'attempt']); // what was accepted before the end
    expect(of(createdRequiring, { ...expired, reason: 'validation_deadline' })).toEqual(['expired', false, 'end']);
  });
});

describe('the validation of a subscription', () => {
  test('is waited for when it is required, and sent without when it is optional', () => {
    const due = { status: 'requested', attempts: 0, requestedAtMs: atMs, deadlineAtMs };
    expect(fold([createdRequiring])).toMatchObject({ state: 'pending', validation: due });
    expect(fold([{ ...created, spec: askedSpec }])).toMatchObject({ state: 'active', validation: due });
    expect(fold([created])).toMatchObject({ state: 'active', validation: { status: 'none' } });
  });

  test('makes it active by a grant, which keeps its origin and rate (WH-12)', () => {
    const request = { kind: 'RequestValidation', codeHash: 'c1', deadlineAtMs } as const;
    given([createdRequiring]).when(request).then([requested]);
    given([createdRequiring, requested])
      .when({
        kind: 'RecordValidation',
        result: 'granted',
        via: 'options',
        origin: 'posthaste.example',
        allowedRate: 120,
      })
      .then([granted]);
    expect(fold([createdRequiring, requested, granted])).toMatchObject({
      state: 'active',
      validation: {
        status: 'granted',
        attempts: 1,
        codeHash: 'c1',
        grantedOrigin: 'posthaste.example',
        allowedRatePerMinute: 120,
        grantedAtMs: atMs,
        via: 'options',
      },
    });
  });

  test('stays pending by any other answer (WH-13)', () => {
    for (const result of ['denied', 'pending', 'unsupported'] as const) {
      const events = [createdRequiring, requested, { ...answered, result }] as const;
      expect([state(...events), validation(...events)?.status]).toEqual(['pending', result]);
    }
  });

  test('expires it when the deadline passes without consent (WH-16)', () => {
    const expire = { kind: 'ExpireSubscription', reason: 'validation_deadline' } as const;
    given([createdRequiring, requested]).when(expire).thenRefused('conflict');
    given([createdRequiring, requested])
      .when(expire, { nowMs: deadlineAtMs, by })
      .then([{ ...expired, reason: 'validation_deadline', atMs: deadlineAtMs }]);
    given([createdRequiring, requested, granted]).when(expire, { nowMs: deadlineAtMs, by }).thenRefused('conflict');
  });

  test('begins anew with another sink, without the grant (SA-7)', () => {
    const movedRequiring = { ...requiring, sink: moved.sink };
    const past = [createdRequiring, requested, granted] as const;
    expect(state(...past)).toBe('active');
    expect(fold([...past, replacedBy(movedRequiring)])).toMatchObject({
      state: 'pending',
      validation: { status: 'requested', attempts: 0 },
    });
    expect(validation(...past, replacedBy(movedRequiring))).not.toHaveProperty('grantedOrigin');
    const sameSink = { ...requiring, types: ['a'] };
    expect(validation(...past, replacedBy(sameSink))?.status).toBe('granted');
  });

  test('begins when it becomes required, and ends when it is not wanted any more', () => {
    const past = [{ ...created, spec: askedSpec }, requested, { ...answered, result: 'unsupported' }] as const;
    expect(fold([...past, replacedBy(requiring)])).toMatchObject({
      state: 'pending',
      validation: { status: 'requested' },
    });
    expect(fold([createdRequiring, replacedBy(spec)])).toMatchObject({
      state: 'active',
      validation: { status: 'none' },
    });
  });

  test('is asked for again when it is resumed without consent', () => {
    const late = { ...resumed, atMs: atMs + 1_000_000 };
    expect(fold([createdRequiring, requested, paused, late])).toMatchObject({
      state: 'pending',
      validation: { status: 'requested', deadlineAtMs: late.atMs + 300_000 },
    });
    expect(state(createdRequiring, requested, granted, paused, resumed)).toBe('active');
  });

  test('keeps a grant while it is asked again, and drops it only when it is denied', () => {
    const again = { ...requested, codeHash: 'c2' };
    const past = [createdRequiring, requested, granted, again] as const;
    expect(fold([...past])).toMatchObject({ state: 'active', validation: { status: 'granted', attempts: 2 } });
    expect(validation(...past, { ...answered, result: 'unsupported' })?.status).toBe('granted');
    expect(fold([...past, { ...answered, result: 'denied', atMs: atMs + 9 }])).toMatchObject({
      state: 'pending',
      validation: { status: 'denied', deadlineAtMs: deadlineAtMs + 9 },
    });
  });

  test('takes no answer to a request that was not made, or is not the last one', () => {
    const record = { kind: 'RecordValidation', result: 'granted', via: 'callback', codeHash: 'c1' } as const;
    given([createdRequiring]).when(record).thenRefused('conflict');
    given([createdRequiring, requested, { ...requested, codeHash: 'c2' }])
      .when(record)
      .thenRefused('conflict');
    given([created]).when({ kind: 'RequestValidation', codeHash: 'c1', deadlineAtMs }).thenRefused('conflict');
  });
});

const ANY_COMMAND: readonly SubscriptionCommand[] = [
  { kind: 'CreateSubscription', id, tenant, spec, sealedSecret: 's1' },
  { kind: 'CreateSubscription', id, tenant, spec: requiring },
  { kind: 'ReplaceSubscription', spec: moved },
  { kind: 'ReplaceSubscription', spec: unsigned },
  { kind: 'ReplaceSubscription', spec: requiring },
  { kind: 'ReplaceSubscription', spec, sealedSecret: 's4' },
  { kind: 'PauseSubscription' },
  { kind: 'ResumeSubscription' },
  { kind: 'DisableSubscription', reason: 'the sink fails' },
  { kind: 'RetireSubscription', reason: 'gone' },
  { kind: 'ExpireSubscription', reason: 'validation_deadline' },
  { kind: 'RequestValidation', codeHash: 'c1', deadlineAtMs: atMs },
  { kind: 'RecordValidation', result: 'granted', via: 'options' },
  { kind: 'RecordValidation', result: 'denied', via: 'options' },
  { kind: 'DeleteSubscription' },
];

describe('any history of a subscription', () => {
  const decisions = (commands: readonly SubscriptionCommand[]): SubscriptionEvent[] => {
    const past: SubscriptionEvent[] = [];
    for (const each of commands) {
      const decision = subscriptionDecider.decide(each, fold(past), ANY_CONTEXT);
      if (decision.ok) past.push(...decision.events);
    }
    return past;
  };

  test('never brings it back after its deletion', () => {
    const late = fc.constantFrom<SubscriptionEvent>(replacedBy(moved), resumed, requested, granted, expired, deleted);
    fc.assert(fc.property(fc.array(late), (events) => expect(fold([created, deleted, ...events])).toBeUndefined()));
  });

  test('leads to states that make sense', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ANY_COMMAND), { maxLength: 30 }), (commands) => {
        const past = decisions(commands);
        const now = fold(past);
        const last = past.at(-1);
        expect(now === undefined).toBe(last === undefined || last.kind === 'SubscriptionDeleted');
        if (now === undefined) return;
        const { mode } = now.spec.config.validation;
        if (now.spec.config.signature.profile === 'none') expect(now.sealedSecret).toBeUndefined();
        if (mode === 'required' && now.state === 'active') expect(now.validation.status).toBe('granted');
        if (mode !== 'required') expect(now.state).not.toBe('pending');
        expect(mode === 'none').toBe(now.validation.status === 'none');
      }),
      { numRuns: 1000 },
    );
  });

  test('is one event or none for each command', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...ANY_COMMAND), { maxLength: 20 }), (commands) => {
        const past = fold(decisions(commands));
        for (const command of ANY_COMMAND) {
          const decision = subscriptionDecider.decide(command, past, ANY_CONTEXT);
          if (decision.ok) expect(decision.events.length).toBeLessThanOrEqual(1);
        }
      }),
    );
  });
});

describe('the secrets of a subscription', () => {
  const rotate = (sealedSecret: string, graceUntilMs: number) =>
    ({ kind: 'SecretRotated', sealedSecret, graceUntilMs, ...told }) as const;
  const secrets = (...events: SubscriptionEvent[]) => {
    const { sealedSecret, previousSecrets } = fold(events) ?? {};
    return { sealedSecret, previous: previousSecrets?.map(({ sealed }) => sealed) };
  };

  test('are rotated, and the one before signs on until its grace is over (SW-4)', () => {
    given([created])
      .when({ kind: 'RotateSecret', sealedSecret: 's2', graceUntilMs: atMs + 1 })
      .then([rotate('s2', atMs + 1)]);
    expect(fold([created, rotate('s2', atMs + 1)])).toMatchObject({
      sealedSecret: 's2',
      previousSecrets: [{ sealed: 's1', graceUntilMs: atMs + 1 }],
      revision: 2,
    });
  });

  test('overlap when they are rotated again, up to three; without grace none of the earlier signs', () => {
    const thrice = [rotate('s2', atMs + 9), rotate('s3', atMs + 5), rotate('s4', atMs + 9), rotate('s5', atMs + 9)];
    expect(secrets(created, ...thrice)).toEqual({ sealedSecret: 's5', previous: ['s4', 's3', 's2'] });
    expect(secrets(created, ...thrice, rotate('s6', atMs))).toEqual({ sealedSecret: 's6', previous: undefined });
    const later = { ...rotate('s3', atMs + 90), atMs: atMs + 9 };
    expect(secrets(created, rotate('s2', atMs + 9), later)).toEqual({ sealedSecret: 's3', previous: ['s2'] });
  });

  test('of the past are forgotten with another secret or with a profile that has none; other changes keep them', () => {
    const rotated = rotate('s2', atMs + 9);
    expect(secrets(created, rotated, replacedBy(moved))).toEqual({ sealedSecret: 's2', previous: ['s1'] });
    expect(secrets(created, rotated, { ...replacedBy(moved), sealedSecret: 's3' })).toMatchObject({
      previous: undefined,
    });
    const keyed = aSpec({ config: { signature: { profile: 'standard-webhooks-v1a' } } });
    for (const other of [unsigned, keyed]) {
      expect(secrets(created, rotated, replacedBy(other))).toEqual({ sealedSecret: undefined, previous: undefined });
    }
  });

  test('can not be rotated where there are none', () => {
    given([{ ...created, spec: unsigned }])
      .when({ kind: 'RotateSecret', sealedSecret: 's2', graceUntilMs: atMs })
      .thenRefused('conflict');
    given([created, retired])
      .when({ kind: 'RotateSecret', sealedSecret: 's2', graceUntilMs: atMs })
      .thenRefused('conflict');
  });

  test('are sealed anew without a new revision, even at the end', () => {
    const resealed1 = { kind: 'SecretsResealed', ...told } as const;
    const previousSecrets = [{ sealed: 'r1', graceUntilMs: atMs + 9 }];
    const resealed = { kind: 'SecretsResealed', sealedSecret: 'r2', previousSecrets, ...told } as const;
    const rotated = rotate('s2', atMs + 9);
    given([created, rotated]).when({ kind: 'ResealSecrets', sealedSecret: 'r2', previousSecrets }).then([resealed]);
    expect(fold([created, rotated, resealed])).toMatchObject({ sealedSecret: 'r2', previousSecrets, revision: 2 });
    given([created, retired])
      .when({ kind: 'ResealSecrets', sealedSecret: 'r1' })
      .then([{ ...resealed1, sealedSecret: 'r1' }]);
  });
});
