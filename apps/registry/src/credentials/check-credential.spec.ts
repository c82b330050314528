import { describe, expect, test } from '@jest/globals';
import type { SubscriptionRequest } from '#contracts/http/subscription-body';
import { CREDENTIAL_TYPES, type ShownCredential } from '#core/registry/subscription';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { checkCredential } from './check-credential.ts';

const sink = 'https://sink.example/hooks';

function check(sinkcredential: ShownCredential, wanted: Pick<SubscriptionRequest, 'credential'> & { sink: string }) {
  const { sink: to, ...request } = wanted;
  return checkCredential(
    { ...request, spec: aSpec({ sink: to }) },
    aSubscription({ spec: aSpec({ sink, sinkcredential }) }),
  );
}

describe('a credential that a change does not give anew (SA-10)', () => {
  test.each(CREDENTIAL_TYPES)('stays with the origin that it was given for, be it of the type %s', (credentialtype) => {
    const moved = 'https://sink.example:444/hooks';
    const detail =
      'The credential was given for https://sink.example, not for https://sink.example:444: give it again, or null to remove it.';
    const refusal = { rule: 'SA-10', pointer: '/sinkcredential', detail };
    const kept = { kind: 'keep', credentialtype } as const;
    expect(check({ credentialtype }, { sink: moved })).toEqual([refusal]);
    expect(check({ credentialtype }, { sink: moved, credential: kept })).toEqual([refusal]);
    expect(check({ credentialtype }, { sink: moved, credential: { kind: 'remove' } })).toEqual([]);
    expect(check({ credentialtype }, { sink: `${sink}/other?a=b`, credential: kept })).toEqual([]);
  });

  test('does not go to a NATS server of the same name', () => {
    expect(check({ credentialtype: 'PLAIN' }, { sink: 'nats://sink.example:443' })).toHaveLength(1);
  });
});
