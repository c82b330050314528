import { describe, test } from '@jest/globals';
import { ANY_CONTEXT, specificationOf } from '#testkit/decider-specification';
import type { TenantId } from '../ids.ts';
import { tenantDecider } from './tenant-decider.ts';

const { given } = specificationOf(tenantDecider);
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
});
