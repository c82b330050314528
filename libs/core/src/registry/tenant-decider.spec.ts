import { describe, expect, test } from '@jest/globals';
import { ANY_CONTEXT, specificationOf } from '#testkit/decider-specification';
import type { TenantId } from '../ids.ts';
import { tenantDecider } from './tenant-decider.ts';
import { DEFAULT_TENANT_POLICY, policyOf, unsupportedRateOf, type TenantPolicy } from './tenant.ts';

const { given, fold } = specificationOf(tenantDecider);
const id = 'acme' as TenantId;
const { nowMs: atMs, by } = ANY_CONTEXT;
const created = { kind: 'TenantCreated', id, name: 'Acme', atMs, by } as const;

describe('a tenant', () => {
  test('is created by the first put', () => {
    given([]).when({ kind: 'PutTenant', id, name: 'Acme' }).then([created]);
  });

  test('is renamed by a put with another name', () => {
    given([created])
      .when({ kind: 'PutTenant', id, name: 'Acme Ltd' })
      .then([{ kind: 'TenantRenamed', name: 'Acme Ltd', atMs, by }]);
  });

  test('stays as it is when the put changes nothing', () => {
    given([created]).when({ kind: 'PutTenant', id, name: 'Acme' }).thenNothing();
    given([created, { kind: 'TenantRenamed', name: 'B', atMs, by }])
      .when({ kind: 'PutTenant', id, name: 'B' })
      .thenNothing();
  });

  const policy: TenantPolicy = { unsupportedSinks: 'low', publishOrigins: ['a.example'], publishRatePerMinute: 60 };
  const changed = { kind: 'TenantChanged', name: 'B', policy, atMs, by } as const;

  test('changes its policy, and its name with it, in one event', () => {
    given([created]).when({ kind: 'PutTenant', id, name: 'B', policy }).then([changed]);
    expect(fold([created, changed])).toMatchObject({ name: 'B', policy });
    given([created, changed]).when({ kind: 'PutTenant', id, name: 'B', policy }).thenNothing();
  });

  test('keeps its policy when a put brings none, and has the default one before', () => {
    given([created, changed]).when({ kind: 'PutTenant', id, name: 'B' }).thenNothing();
    given([created]).when({ kind: 'PutTenant', id, name: 'Acme', policy: DEFAULT_TENANT_POLICY }).thenNothing();
    expect(policyOf(fold([created]))).toEqual(DEFAULT_TENANT_POLICY);
    expect(policyOf(fold([created, changed]))).toEqual({ ...policy, headerPrefix: 'webhook' });
  });

  test('changes when its white label does, and only then', () => {
    const labelled: TenantPolicy = { ...policy, headerPrefix: 'acme', userAgent: 'Acme/1' };
    const relabelled = { ...changed, policy: labelled };
    given([created, changed]).when({ kind: 'PutTenant', id, name: 'B', policy: labelled }).then([relabelled]);
    given([created, relabelled]).when({ kind: 'PutTenant', id, name: 'B', policy: labelled }).thenNothing();
    given([created, relabelled]).when({ kind: 'PutTenant', id, name: 'B', policy }).then([changed]);
    for (const one of [{ headerPrefix: 'bcme' }, { userAgent: 'Bcme/1' }]) {
      const other = { ...labelled, ...one };
      given([created, relabelled])
        .when({ kind: 'PutTenant', id, name: 'B', policy: other })
        .then([{ ...changed, policy: other }]);
    }
    // Those that were put before there were prefixes have the usual one.
    given([created, changed])
      .when({ kind: 'PutTenant', id, name: 'B', policy: { ...policy, headerPrefix: 'webhook' } })
      .thenNothing();
  });

  test('may be created with a policy', () => {
    given([])
      .when({ kind: 'PutTenant', id, name: 'Acme', policy })
      .then([{ ...created, policy }]);
    expect(policyOf(fold([{ ...created, policy }]))).toMatchObject(policy);
  });

  test('says how much a sink gets that knows no handshake (WH-10)', () => {
    expect([unsupportedRateOf(DEFAULT_TENANT_POLICY), unsupportedRateOf(policy)]).toEqual(['*', 10]);
  });
});
