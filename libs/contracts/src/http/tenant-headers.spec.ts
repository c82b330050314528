import { describe, expect, test } from '@jest/globals';
import { headerNamesOf, WEBHOOK_HEADERS } from '#core/signature/header-names';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { parseSubscriptionBody } from './subscription-body.ts';
import { parseSubscriptionPatch } from './subscription-patch.ts';
import { subscriptionToResource } from './subscription-resource.ts';

const acme = headerNamesOf('acme');
const minimal = { sink: 'https://example.com/hooks', protocol: 'HTTP' };
const apiKey = (header: string) => ({ credentialtype: 'APIKEY', header, value: 'k' });

function violationsOf(body: object, names = acme) {
  const parsed = parseSubscriptionBody({ ...minimal, ...body }, names);
  return parsed.ok ? [] : parsed.violations;
}

describe('headers of a tenant with a prefix (SA-9)', () => {
  test('can not be set by a subscription, in any letter case', () => {
    const headers = {
      'Acme-Id': 'x',
      'acme-timestamp': 'x',
      'ACME-SIGNATURE': 'x',
      'acme-tenant': 'x',
      'x-acme-id': 'x',
    };
    expect(violationsOf({ protocolsettings: { headers } })).toEqual(
      ['Acme-Id', 'acme-timestamp', 'ACME-SIGNATURE'].map((name) => ({
        rule: 'SA-9',
        pointer: `/protocolsettings/headers/${name}`,
        detail: expect.stringContaining('acme-id, acme-timestamp, acme-signature'),
      })),
    );
  });

  test('can not be those of a credential', () => {
    expect(violationsOf({ sinkcredential: apiKey('Acme-Signature') })).toMatchObject([
      { rule: 'SA-9', pointer: '/sinkcredential/header' },
    ]);
    expect(violationsOf({ sinkcredential: apiKey('acme-key') })).toEqual([]);
  });

  test('are pointed at by the names that the body has', () => {
    const named = { protocolSettings: { headers: { 'acme-id': 'x' } }, sinkCredential: apiKey('acme-timestamp') };
    expect(violationsOf(named).map(({ pointer }) => pointer)).toEqual([
      '/protocolSettings/headers/acme-id',
      '/sinkCredential/header',
    ]);
  });

  test('may be set in other tenants, whose webhook-* stay reserved everywhere', () => {
    expect(violationsOf({ protocolsettings: { headers: { 'acme-id': 'x' } } }, WEBHOOK_HEADERS)).toEqual([]);
    for (const names of [acme, WEBHOOK_HEADERS]) {
      expect(violationsOf({ protocolsettings: { headers: { 'webhook-id': 'x' } } }, names)).toMatchObject([
        { pointer: '/protocolsettings/headers/webhook-id' },
      ]);
    }
  });

  test('may be those of hmac-timestamp, which sends no others', () => {
    const headerNames = { signature: 'acme-signature', id: 'acme-id' };
    expect(violationsOf({ config: { signature: { profile: 'hmac-timestamp', headerNames } } })).toEqual([]);
  });
});

describe('hmac-timestamp', () => {
  const signatureOf = (signature: object, names = acme) => {
    const parsed = parseSubscriptionBody({ ...minimal, config: { signature } }, names);
    return parsed.ok ? parsed.value.spec.config.signature : parsed.violations;
  };

  test('takes names that are left out from the prefix, and shows them (SA-11)', () => {
    const headerNames = { signature: 'x-acme-signature', id: 'x-acme-id' };
    expect(signatureOf({ profile: 'hmac-timestamp' })).toEqual({ profile: 'hmac-timestamp', headerNames });
    expect(signatureOf({ profile: 'hmac-timestamp', headerNames: { id: 'My-Id' } })).toEqual({
      profile: 'hmac-timestamp',
      headerNames: { ...headerNames, id: 'my-id' },
    });
    expect(signatureOf({ profile: 'hmac-timestamp' }, WEBHOOK_HEADERS)).toMatchObject({
      headerNames: { signature: 'x-webhook-signature', id: 'x-webhook-id' },
    });
  });

  test.each([7, 'text', null, []])('refuses %j in their place as ever', (headerNames) => {
    expect(signatureOf({ profile: 'hmac-timestamp', headerNames })).toMatchObject([
      { pointer: '/config/signature/headerNames' },
    ]);
  });

  test('leaves the other profiles as they are', () => {
    expect(signatureOf({ profile: 'standard-webhooks' })).toEqual({ profile: 'standard-webhooks' });
    expect(signatureOf({})).toEqual({ profile: 'standard-webhooks' });
  });
});

describe('a patch', () => {
  const current = subscriptionToResource(aSubscription({ spec: aSpec() }));

  test('is held against the prefix as well', () => {
    const patch = { protocolsettings: { headers: { 'acme-id': 'x' } } };
    expect(parseSubscriptionPatch(current, patch, acme)).toMatchObject({
      violations: [{ pointer: '/protocolsettings/headers/acme-id' }],
    });
    expect(parseSubscriptionPatch(current, patch).ok).toBe(true);
  });

  test('to hmac-timestamp takes its names', () => {
    const patch = { config: { signature: { profile: 'hmac-timestamp' } } };
    expect(parseSubscriptionPatch(current, patch, acme)).toMatchObject({
      value: { spec: { config: { signature: { headerNames: { signature: 'x-acme-signature' } } } } },
    });
  });

  test('keeps the names that a subscription has when the prefix is another one by now', () => {
    const headerNames = { signature: 'x-webhook-signature', id: 'x-webhook-id' };
    const spec = aSpec({ config: { signature: { profile: 'hmac-timestamp', headerNames } } });
    const shown = subscriptionToResource(aSubscription({ spec }));
    expect(parseSubscriptionPatch(shown, { types: ['a.b'] }, acme)).toMatchObject({
      value: { spec: { config: { signature: { headerNames } } } },
    });
  });
});
