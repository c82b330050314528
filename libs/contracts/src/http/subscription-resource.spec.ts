import { expect, test } from '@jest/globals';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription } from '#core/registry/subscription';
import { subscriptionBody } from './subscription-body.ts';
import { subscriptionToResource } from './subscription-resource.ts';
import { parseBody } from './violations.ts';

test('what is shown is a body that asks for the same again, without the secret (SA-11)', () => {
  const wanted = {
    sink: 'https://example.com/e',
    protocol: 'HTTP',
    source: '/shop',
    types: ['a'],
    filters: [{ prefix: { subject: 'x' } }],
    config: { contentMode: 'binary', retry: { delaysSeconds: [1], jitter: 0.1 } },
  };
  const parsed = parseBody(subscriptionBody, wanted);
  if (!parsed.ok) throw new Error('the body is not valid');
  const stored: Subscription = {
    id: 'sub_01' as SubscriptionId,
    tenant: 'acme' as TenantId,
    spec: parsed.value.spec,
    sealedSecret: 'sealed',
    createdAtMs: 0,
    updatedAtMs: 0,
  };
  const resource = subscriptionToResource(stored);
  expect(JSON.stringify(resource)).not.toContain('sealed');
  const again = parseBody(subscriptionBody, JSON.parse(JSON.stringify(resource)));
  expect(again).toEqual({ ok: true, value: { id: 'sub_01', spec: parsed.value.spec } });
});
