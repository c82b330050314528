import { describe, expect, test } from '@jest/globals';
import { ANY_CONTEXT, specificationOf } from '#testkit/decider-specification';
import type { ApiKeyId, TenantId } from '../ids.ts';
import { apiKeyDecider } from './api-key-decider.ts';

const { given, fold } = specificationOf(apiKeyDecider);
const id = 'key_01' as ApiKeyId;
const key = { id, tenant: 'acme' as TenantId, hash: 'ab', name: 'ci', scopes: ['publish'] } as const;
const { nowMs: atMs, by } = ANY_CONTEXT;
const created = { kind: 'ApiKeyCreated', ...key, atMs, by } as const;
const revoked = { kind: 'ApiKeyRevoked', atMs, by } as const;

describe('an API key', () => {
  test('is created with its hash and scopes', () => {
    given([])
      .when({ kind: 'CreateApiKey', ...key })
      .then([created]);
    expect(fold([created])).toEqual({ ...key, createdAtMs: atMs });
  });

  test('is not created twice', () => {
    given([created])
      .when({ kind: 'CreateApiKey', ...key })
      .thenRefused('already_exists');
  });

  test('is revoked once', () => {
    given([created]).when({ kind: 'RevokeApiKey' }).then([revoked]);
    given([created, revoked]).when({ kind: 'RevokeApiKey' }).thenRefused('not_found');
    expect(fold([created, revoked])).toBeUndefined();
  });

  test('cannot be revoked before it exists', () => {
    given([]).when({ kind: 'RevokeApiKey' }).thenRefused('not_found');
  });
});
