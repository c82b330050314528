import { randomBytes } from 'node:crypto';
import { expect } from '@jest/globals';
import { eventually } from '#testkit/eventually';
import { callApi, expectStatus, makeTenantClient, type Answer, type TenantClient } from '#testkit/tenant-client';
import type { Stage } from './stage.ts';

const TYPE = 'com.example.whole.life';

export interface WholeLife {
  readonly client: TenantClient;
  readonly subscription: string;
  readonly event: string;
  readonly delivery: string;
  /** What nobody may read anywhere but in the answer that made it, by what it is. */
  readonly secrets: ReadonlyMap<string, string>;
}

interface DeliveryList {
  readonly data: readonly { readonly id: string; readonly state: string; readonly attemptCount: number }[];
}

/**
 * Takes one tenant through all that there is: keys, a subscription with supplied secret and credential, a delivery that fails,
 * is dead, is redelivered alone and by a job, a rotated secret, signing keys, an ordered and a paused subscription, deletion.
 */
export async function liveWholeLife(stage: Stage, tenant: string): Promise<WholeLife> {
  const { apiUrl, publishUrl, adminToken } = stage.cluster;
  const secrets = new Map<string, string>();
  const keep = (what: string, text: string): string => {
    secrets.set(what, text);
    return text;
  };
  const key = keep('API key', await anAdminKey(stage, tenant));
  const client = makeTenantClient({ tenant, key, publishUrl, apiUrl });
  const done = async (status: number, method: string, path: string, body?: unknown): Promise<Answer> =>
    expectStatus(status, `${method} ${path}`, await client.call(method, path, body === undefined ? {} : { body }));

  const sink = await stage.sink({ respond: () => ({ status: 400, body: 'no thanks' }) });
  const made = await done(201, 'POST', '/v1/subscriptions', {
    sink: `${sink.url}/hooks`,
    protocol: 'HTTP',
    types: [TYPE],
    sinkcredential: {
      credentialtype: 'PLAIN',
      identifier: 'acme',
      secret: keep('password for the sink', `password-${randomBytes(12).toString('hex')}`),
    },
    config: { signature: { secret: keep('supplied secret', `whsec_${randomBytes(32).toString('base64')}`) } },
  });
  const { id: subscription } = made.json<{ id: string }>();
  const path = `/v1/subscriptions/${subscription}`;

  const event = `whole-${randomBytes(4).toString('hex')}`;
  const publish = (id: string) =>
    client.publishEvent({ specversion: '1.0', id, source: '/whole', type: TYPE, data: {} });
  const deliveryIn = (state: string, attemptCount: number) =>
    eventually(async () => {
      const { data } = await client.get<DeliveryList>(`/v1/deliveries?event=${event}&subscription=${subscription}`);
      return data.find((one) => one.state === state && one.attemptCount === attemptCount)?.id;
    });
  await publish(event);
  const delivery = await deliveryIn('dead', 1);
  await done(202, 'POST', `/v1/deliveries/${delivery}/redeliver`);
  await deliveryIn('dead', 2);

  const rotated = await done(200, 'POST', `${path}/secret/rotate`, {
    secret: keep('rotated secret', `whsec_${randomBytes(32).toString('base64')}`),
  });
  expect(rotated.headers.get('cache-control')).toBe('no-store');
  sink.respondWith(() => ({ status: 204 }));
  await eventually(async () => {
    const job = await client.call('POST', '/v1/redeliveries', { body: { subscription } });
    return job.status === 202 && job.json<{ count: number }>().count > 0;
  });
  await deliveryIn('delivered', 3);

  const generated = await client.subscribe({
    sink: `${sink.url}/ordered`,
    types: [TYPE],
    config: { ordering: 'subscription', signature: { profile: 'standard-webhooks' } },
  });
  keep('generated secret', generated.config.signature.secret ?? '');
  await done(201, 'POST', '/v1/signing-keys', { algorithm: 'ed25519' });
  await done(200, 'POST', `${path}/pause`, { reason: 'maintenance' });
  await publish(`${event}-2`);
  await done(200, 'POST', `${path}/resume`);
  await eventually(() => sink.received.filter(({ body }) => Buffer.from(body).includes(`${event}-2`)).length === 2);
  await done(200, 'GET', `${path}/health`);
  await done(200, 'DELETE', `/v1/subscriptions/${generated.id}`);
  await eventually(async () => (await client.get<DeliveryList>('/v1/deliveries?state=delivered')).data.length === 3);

  // Refused, and not repeated to anybody.
  const bad = keep('secret that was refused', `whsec_${randomBytes(8).toString('hex')}!`);
  await done(400, 'PATCH', path, { config: { signature: { secret: bad } } });
  const wrong = keep('token that nobody has', `wrong-${randomBytes(16).toString('hex')}`);
  const headers = { authorization: `Bearer ${wrong}` };
  for (const url of [`${apiUrl}${path}`, `${publishUrl}?access_token=${wrong}`]) {
    expect((await callApi(url === publishUrl ? 'POST' : 'GET', url, { headers })).status).toBeGreaterThan(400);
  }
  keep('admin token', adminToken);
  return { client, subscription, event, delivery, secrets };
}

/** A key of a new tenant with every scope. */
async function anAdminKey({ cluster }: Stage, tenant: string): Promise<string> {
  const headers = { authorization: `Bearer ${cluster.adminToken}` };
  const url = `${cluster.apiUrl}/v1/tenants/${tenant}`;
  await callApi('PUT', url, { headers, body: {} });
  const made = await callApi('POST', `${url}/keys`, { headers, body: { scopes: ['publish', 'admin'] } });
  return expectStatus(201, 'POST keys', made).json<{ key: string }>().key;
}
