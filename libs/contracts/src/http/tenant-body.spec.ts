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
    expect(policyOf({})).toEqual({ unsupportedSinks: 'full', publishOrigins: ['*'], headerPrefix: 'webhook' });
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

  test('has a prefix for headers and a User-Agent', () => {
    const label = { headerPrefix: 'x-acme', userAgent: 'Acme-Hooks/1.0 (+https://acme.example)' };
    expect(policyOf(label)).toMatchObject(label);
  });

  const refusals: readonly (readonly [object, string, string])[] = [
    [{ headerPrefix: '' }, 'headerPrefix', '1 to 32'],
    [{ headerPrefix: 'Acme' }, 'headerPrefix', 'a-z'],
    [{ headerPrefix: 'acme-' }, 'headerPrefix', 'acme-signature'],
    [{ headerPrefix: 'a'.repeat(33) }, 'headerPrefix', '32'],
    [{ headerPrefix: 7 }, 'headerPrefix', 'such as acme'],
    [{ headerPrefix: 'ce' }, 'headerPrefix', 'ce-id have another meaning'],
    [{ headerPrefix: 'x-forwarded' }, 'headerPrefix', 'another meaning'],
    [{ userAgent: '' }, 'userAgent', 'Acme-Hooks/1.0'],
    [{ userAgent: 'Acme/1\r\nx: y' }, 'userAgent', 'RFC 9110'],
    [{ userAgent: `A/${'1'.repeat(199)}` }, 'userAgent', 'at most 200'],
    [{ userAgent: null }, 'userAgent', 'such as'],
  ];

  test.each(refusals)('refuses %j, and says what to do', (policy, member, detail) => {
    const parsed = parseBody(tenantBody, { policy });
    expect(parsed).toMatchObject({
      ok: false,
      violations: [{ pointer: `/policy/${member}`, detail: expect.stringContaining(detail) }],
    });
  });

  test('is shown with every default', () => {
    const tenant = { id: 'acme' as TenantId, name: 'Acme', createdAtMs: 0, updatedAtMs: 0 };
    expect(tenantToResource(tenant).policy).toEqual({
      unsupportedSinks: 'full',
      publishOrigins: ['*'],
      headerPrefix: 'webhook',
    });
  });
});
