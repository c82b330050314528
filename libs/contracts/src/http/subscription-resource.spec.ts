import { expect, test } from '@jest/globals';
import type { SubscriptionId } from '#core/ids';
import { aSubscription } from '#testkit/a-subscription';
import { parseSubscriptionBody } from './subscription-body.ts';
import { subscriptionToResource } from './subscription-resource.ts';

test('what is shown is a body that asks for the same again, without the secret (SA-11)', () => {
  const wanted = {
    sink: 'https://example.com/e',
    protocol: 'HTTP',
    source: '/shop',
    types: ['a'],
    filters: [{ prefix: { subject: 'x' } }],
    config: {
      retry: {
        delaysSeconds: [1],
        jitter: 0.1,
        maxAttempts: 2,
        floorsSeconds: { 503: 5 },
        outcomes: { '4xx': 'retry' },
      },
      rate: { requestsPerMinute: 60 },
      maxInFlight: 2,
      circuit: { consecutiveFailures: 3 },
      batch: { maxEvents: 10 },
      deadLetterSink: 'https://example.com/dead',
    },
  };
  const parsed = parseSubscriptionBody(wanted);
  if (!parsed.ok) throw new Error('the body is not valid');
  const stored = aSubscription({ id: 'sub_01' as SubscriptionId, spec: parsed.value.spec, sealedSecret: 'sealed' });
  const resource = subscriptionToResource(stored);
  expect(JSON.stringify(resource)).not.toContain('sealed');
  expect(resource).toMatchObject(wanted);
  const again = parseSubscriptionBody(JSON.parse(JSON.stringify(resource)));
  expect(again).toEqual({ ok: true, value: { id: 'sub_01', spec: parsed.value.spec } });
});
