import { describe, expect, test } from '@jest/globals';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import { DEFAULT_CIRCUIT_POLICY } from '#core/lane/circuit-policy';
import { currentSpec } from '#core/registry/current-spec';
import type { StoredSpec, SubscriptionSpec } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { parseSubscriptionPatch } from './subscription-patch.ts';
import { subscriptionToResource } from './subscription-resource.ts';

const spec = aSpec({
  types: ['a'],
  source: '/s',
  sinkcredential: { credentialtype: 'PLAIN' },
  config: {
    maxEvents: 5,
    retry: { delaysSeconds: [1], whenExhausted: 'stop', deadlineSeconds: 60, jitter: 0, floorsSeconds: {} },
  },
});
const current = subscriptionToResource(aSubscription({ spec }));

function patched(patch: unknown): SubscriptionSpec | unknown[] {
  const parsed = parseSubscriptionPatch(current, patch);
  return parsed.ok ? parsed.value.spec : parsed.violations.map(({ pointer }) => pointer);
}

function credentialOf(patch: unknown): unknown {
  const parsed = parseSubscriptionPatch(current, patch);
  return parsed.ok ? parsed.value.credential : parsed.violations.map(({ pointer }) => pointer);
}

const { sinkcredential: _kept, ...unchanged } = spec;

describe('a patch of a subscription', () => {
  test('changes nothing when it names nothing', () => {
    expect(patched({})).toEqual(unchanged);
  });

  test('changes what it names, and gives what it removes its default (RFC 7396)', () => {
    expect(patched({ types: ['b', 'c'], source: null })).toEqual(aSpecWithout('source', { types: ['b', 'c'] }));
    expect(patched({ config: { maxEvents: null } })).not.toHaveProperty('config.maxEvents');
    expect(patched({ config: { retry: { jitter: 0.5 } } })).toMatchObject({
      config: { maxEvents: 5, retry: { delaysSeconds: [1], jitter: 0.5 } },
    });
    expect(patched({ config: { retry: null } })).toMatchObject({ config: { retry: { deadlineSeconds: 86_400 } } });
  });

  test('begins anew with settings and validation when the protocol is another', () => {
    const sink = 'nats://example.com:4222';
    expect(patched({ sink, protocol: 'NATS', protocolsettings: { subject: 'a.b' } })).toMatchObject({
      sink,
      protocolsettings: { subject: 'a.b' },
      config: { validation: { mode: 'none' }, maxEvents: 5 },
    });
    const batched = aSpec({ config: { batch: { maxEvents: 10, maxBytes: 4096, maxWaitMs: 5 } } });
    const moved = parseSubscriptionPatch(subscriptionToResource(aSubscription({ spec: batched })), {
      sink,
      protocol: 'NATS',
      protocolsettings: { subject: 'a.b' },
    });
    expect(moved.ok && moved.value.spec.config).not.toHaveProperty('batch');
    expect(moved.ok).toBe(true);
  });

  test('changes single delivery settings, and null gives each its default', () => {
    const engine = {
      rate: { requestsPerMinute: 60 },
      maxInFlight: 4,
      circuit: { ...DEFAULT_CIRCUIT_POLICY, consecutiveFailures: 3, windowSeconds: 10 },
      batch: { maxEvents: 10, maxBytes: 4096, maxWaitMs: 5 },
      deadLetterSink: 'https://example.com/dead',
      retry: {
        ...DEFAULT_RETRY_POLICY,
        maxAttempts: 3,
        floorsSeconds: { 429: 5 },
        outcomes: { 404: 'fail', 409: 'retry' },
      },
    } as const;
    const full = subscriptionToResource(aSubscription({ spec: aSpec({ config: engine }) }));
    const changed = (config: unknown) => {
      const parsed = parseSubscriptionPatch(full, { config });
      return parsed.ok ? parsed.value.spec.config : parsed.violations.map(({ pointer }) => pointer);
    };
    expect(changed({})).toEqual(aSpec({ config: engine }).config);
    expect(changed({ rate: { requestsPerMinute: 61 }, batch: { maxEvents: 11 } })).toMatchObject({
      rate: { requestsPerMinute: 61 },
      batch: { maxEvents: 11, maxBytes: 4096, maxWaitMs: 5 },
    });
    expect(changed({ circuit: { windowSeconds: null } })).toMatchObject({
      circuit: { consecutiveFailures: 3, windowSeconds: DEFAULT_CIRCUIT_POLICY.windowSeconds },
    });
    expect(changed({ retry: { outcomes: { 404: null }, maxAttempts: null, floorsSeconds: null } })).toMatchObject({
      retry: { ...DEFAULT_RETRY_POLICY, outcomes: { 409: 'retry' } },
    });
    expect(changed({ ordering: 'subscription' })).toEqual(['/config/batch']);
    expect(changed({ ordering: 'subscription', batch: null })).toMatchObject({ ordering: 'subscription' });
    expect(changed({ onDeadLetter: 'block' })).toEqual(['/config/onDeadLetter']);
    const nulls = Object.fromEntries(Object.keys(engine).map((name) => [name, null]));
    expect(changed(nulls)).toEqual(aSpec().config);
  });

  test('leaves a subscription of an older version as it is understood today', () => {
    const stored = (retry: object, more: object = {}): StoredSpec =>
      ({
        sink: 'https://example.com/e',
        protocol: 'HTTP',
        protocolsettings: { method: 'POST' },
        filters: [],
        config: {
          contentMode: 'structured',
          signature: { profile: 'standard-webhooks' },
          retry,
          validation: spec.config.validation,
          ...more,
        },
      }) as unknown as StoredSpec;
    const { floorsSeconds: _since, ...older } = DEFAULT_RETRY_POLICY;
    for (const one of [
      stored(older),
      stored(
        { ...older, delaysSeconds: [1], whenExhausted: 'stop' },
        { expiresAt: '2030-01-01T00:00:00Z', maxEvents: 5 },
      ),
    ]) {
      const understood = currentSpec(one);
      const parsed = parseSubscriptionPatch(subscriptionToResource(aSubscription({ spec: understood })), {});
      // As texts: the decider compares them so, and an unchanged subscription must not get a new revision.
      expect(JSON.stringify(parsed.ok && parsed.value.spec)).toBe(JSON.stringify(understood));
    }
  });

  test('keeps, removes or replaces the credential (SA-10)', () => {
    expect(credentialOf({ types: ['b'] })).toBeUndefined();
    expect(credentialOf({ sinkcredential: null })).toEqual({ kind: 'remove' });
    expect(credentialOf({ sinkCredential: { identifier: 'u', secret: 'p' } })).toEqual({
      kind: 'set',
      credential: { credentialtype: 'PLAIN', identifier: 'u', secret: 'p' },
    });
    expect(credentialOf({ sinkCredential: { secret: 'p' } })).toEqual(['/sinkCredential/identifier']);
    expect(credentialOf({ sinkCredential: { accessToken: '', credentialType: 'ACCESSTOKEN' } })).toEqual([
      '/sinkCredential/accessToken',
      '/sinkCredential/accessToken',
      '/sinkCredential/accesstokenexpiresutc',
    ]);
  });

  test('is refused with every problem and its pointer', () => {
    expect(patched({ types: [], sink: null, config: { foo: 1 } })).toEqual(['/sink', '/types', '/config/foo']);
    expect(patched([])).toEqual(['']);
    expect(patched(null)).toEqual(['']);
  });
});

function aSpecWithout(name: 'source', changes: object): object {
  const { [name]: _gone, ...rest } = unchanged;
  return { ...rest, ...changes };
}
