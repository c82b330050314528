import { createHmac, scryptSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { TenantId } from '#core/ids';
import { makeDeduplicationIdOf } from './deduplication-id.ts';

const token = 'the-token-of-the-operator';
const [acme, globex] = ['acme', 'globex'] as [TenantId, TenantId];
const idOf = makeDeduplicationIdOf(token);

describe('the deduplication id of an event', () => {
  test('is the same in every process with the same admin token, and another with another one (CE-2)', () => {
    const id = idOf(acme, '/shop', 'order-1');
    expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(makeDeduplicationIdOf(token)(acme, '/shop', 'order-1')).toBe(id);
    expect(makeDeduplicationIdOf(`${token}!`)(acme, '/shop', 'order-1')).not.toBe(id);
  });

  test('stays what it is from version to version, or an upgrade would let duplicates through', () => {
    const key = scryptSync(token, 'posthaste event deduplication', 32);
    const hmac = createHmac('sha256', key).update('acme 5:/shoporder-1').digest('base64url');
    expect(idOf(acme, '/shop', 'order-1')).toBe(hmac.slice(0, 22));
  });

  test('tells tenants, sources and ids apart, wherever one ends and the next begins', () => {
    const ids = [
      idOf(acme, '/shop', 'order-1'),
      idOf(globex, '/shop', 'order-1'),
      idOf(acme, '/shopo', 'rder-1'),
      idOf(acme, '/shop', 'order-2'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});
