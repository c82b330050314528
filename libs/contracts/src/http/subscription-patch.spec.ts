import { describe, expect, test } from '@jest/globals';
import type { SubscriptionSpec } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { parseSubscriptionPatch } from './subscription-patch.ts';
import { subscriptionToResource } from './subscription-resource.ts';

const spec = aSpec({
  types: ['a'],
  source: '/s',
  sinkcredential: { credentialtype: 'PLAIN' },
  config: { maxEvents: 5, retry: { delaysSeconds: [1], whenExhausted: 'stop', deadlineSeconds: 60, jitter: 0 } },
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
