import { describe, expect, test } from '@jest/globals';
import type { TenantId } from '#core/ids';
import { tenantBody, tenantToResource } from './tenant-body.ts';
import { parseBody } from './violations.ts';

const policyOf = (policy: unknown) => {
  const parsed = parseBody(tenantBody, { policy });
  return parsed.ok ? parsed.value.policy : parsed.violations.map(({ pointer }) => pointer);
};

describe('the policy of a tenant', () => {
  test('has a default for what it leaves out, and is left alone when it is not there', () => {
    expect(policyOf({})).toEqual({ unsupportedSinks: 'full', publishOrigins: ['*'] });
    expect(policyOf({ publishRatePerMinute: 5 })).toMatchObject({ publishRatePerMinute: 5 });
    expect(parseBody(tenantBody, { name: 'A' })).toEqual({ ok: true, value: { name: 'A' } });
  });

  test('lists everything that is wrong with it', () => {
    const wrong = { unsupportedSinks: 'none', publishOrigins: ['a b', 'https://x'], publishRatePerMinute: 0, more: 1 };
    expect(policyOf(wrong)).toEqual([
      '/policy/unsupportedSinks',
      '/policy/publishOrigins/0',
      '/policy/publishOrigins/1',
      '/policy/publishRatePerMinute',
      '/policy/more',
    ]);
  });

  test('is shown with every default', () => {
    const tenant = { id: 'acme' as TenantId, name: 'Acme', createdAtMs: 0, updatedAtMs: 0 };
    expect(tenantToResource(tenant).policy).toEqual({ unsupportedSinks: 'full', publishOrigins: ['*'] });
  });
});
