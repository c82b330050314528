import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { SubscriptionResource } from '#contracts/http/subscription-resource';
import { makeTestAuthority, type KeyAndCertificate, type TestAuthority } from '#testkit/certificates';
import { eventually } from '#testkit/eventually';
import { headerOf, type Sink } from '#testkit/sink-server';
import type { TenantClient } from '#testkit/tenant-client';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

const TYPE = 'com.example.mutual';

let stage: Stage;
let tenant: TenantClient;
/** Vouches for the clients that the sink lets in. */
let clients: TestAuthority;
/** Lets in nobody else. */
let sink: Sink;

beforeAll(async () => {
  [stage, clients] = await Promise.all([startStage({ delivery: 2 }), makeTestAuthority()]);
  tenant = await stage.cluster.createTenantWithKey();
  sink = await stage.sink({
    clientCa: clients.certPem,
    handshake: () => ({ headers: { 'webhook-allowed-origin': '*' } }),
  });
}, 90_000);

afterAll(() => stage.stop(), 90_000);

const sha256Of = ({ cert }: KeyAndCertificate): string =>
  new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase();

const credentialOf = ({ cert, key }: KeyAndCertificate) => ({
  credentialtype: 'CLIENTCERTIFICATE',
  certificate: cert,
  privatekey: key,
});

let count = 0;

function subscribe(pair: KeyAndCertificate | undefined, config: object = {}) {
  const path = `/${++count}`;
  const sinkcredential = pair && { sinkcredential: credentialOf(pair) };
  const body = { sink: `${sink.url}${path}`, types: [`${TYPE}${path.replace('/', '.')}`], ...sinkcredential };
  const given = { validation: { mode: 'none' }, ...config };
  return { path, type: body.types[0] ?? '', subscribed: tenant.subscribe({ ...body, config: given }) };
}

const publish = (type: string) =>
  tenant.publishEvent({ specversion: '1.0', id: `e${++count}`, source: '/mutual', type, data: {} });
const receivedAt = (path: string) => sink.received.filter(({ url }) => url === path);

describe('a sink that lets in known clients only', () => {
  test('is sent to with the certificate of the subscription, and a token of ours beside (WH-7)', async () => {
    const pair = await clients.issue({ purpose: 'client', hosts: ['client.example'] });
    const { path, type, subscribed } = subscribe(pair);
    const { id } = await subscribed;
    const shown = await tenant.get<SubscriptionResource>(`/v1/subscriptions/${id}`);
    expect(shown.sinkcredential).toEqual({
      credentialtype: 'CLIENTCERTIFICATE',
      certificatesha256: sha256Of(pair),
      certificateexpiresutc: new Date(new X509Certificate(pair.cert).validTo).toISOString(),
    });
    await publish(type);
    const [received] = await eventually(() => receivedAt(path).length > 0 && receivedAt(path));
    expect(received?.clientSha256).toBe(sha256Of(pair));
    expect(received && headerOf(received, 'authorization')).toMatch(/^Bearer /);
  });

  test('gets each subscription’s deliveries with its own certificate, however they are mixed', async () => {
    const pairs = await Promise.all(['a', 'b', 'c'].map((name) => clients.issue({ purpose: 'client', hosts: [name] })));
    const all = await Promise.all(
      pairs.map(async (pair) => {
        const { subscribed, ...rest } = subscribe(pair);
        await subscribed;
        return { ...rest, sha256: sha256Of(pair) };
      }),
    );
    for (let round = 0; round < 10; round++) await Promise.all(all.map(({ type }) => publish(type)));
    for (const { path, sha256 } of all) {
      await eventually(() => receivedAt(path).length === 10);
      expect(new Set(receivedAt(path).map(({ clientSha256 }) => clientSha256))).toEqual(new Set([sha256]));
    }
  });

  test('is asked for its consent by the same client (WH-11)', async () => {
    const pair = await clients.issue({ purpose: 'client' });
    const { path, type, subscribed } = subscribe(pair, { validation: { mode: 'required' } });
    await subscribed;
    await publish(type);
    const [received] = await eventually(() => receivedAt(path).length > 0 && receivedAt(path));
    expect(received?.clientSha256).toBe(sha256Of(pair));
    expect(sink.handshakes.filter(({ url }) => url === path).map(({ clientSha256 }) => clientSha256)).toEqual([
      sha256Of(pair),
    ]);
  });

  test('is sent to with the next certificate as soon as it is given; without one, it is not reached', async () => {
    const [first, second] = [await clients.issue({ purpose: 'client' }), await clients.issue({ purpose: 'client' })];
    const { path, type, subscribed } = subscribe(undefined, {
      retry: { delaysSeconds: [1], whenExhausted: 'repeat-last' },
    });
    const { id } = await subscribed;
    await publish(type);
    await eventually(async () => {
      const deliveries = await tenant.list<{ attemptCount: number }>(`/v1/deliveries?subscription=${id}`);
      return deliveries.some(({ attemptCount }) => attemptCount > 0);
    });
    expect(receivedAt(path)).toEqual([]);
    for (const pair of [first, second]) {
      const before = receivedAt(path).length;
      const body = { sinkcredential: credentialOf(pair) };
      const headers = { 'content-type': 'application/merge-patch+json' };
      expect(
        (await tenant.call('PATCH', `/v1/subscriptions/${id}`, { headers, body: JSON.stringify(body) })).status,
      ).toBe(200);
      await publish(type);
      await eventually(() =>
        receivedAt(path)
          .slice(before)
          .some(({ clientSha256 }) => clientSha256 === sha256Of(pair)),
      );
    }
    await eventually(() => receivedAt(path).length >= 3);
  });
});

test('a certificate that expires is not used any more: the subscription is paused and says why (SA-10)', async () => {
  const expiring = await clients.issue({ purpose: 'client', notAfter: new Date(Date.now() + 15_000) });
  const { path, type, subscribed } = subscribe(expiring);
  const { id } = await subscribed;
  await publish(type);
  const shown = await eventually(async () => {
    const one = await tenant.get<SubscriptionResource>(`/v1/subscriptions/${id}`);
    return one.state === 'paused' ? one : undefined;
  });
  expect(shown.stateReason).toMatch(
    /^The client certificate of the sink credential expires at .*; replace it, then resume\.$/,
  );
  expect(receivedAt(path)).toEqual([]);
  const fresh = await clients.issue({ purpose: 'client' });
  const headers = { 'content-type': 'application/merge-patch+json' };
  const body = JSON.stringify({ sinkcredential: credentialOf(fresh) });
  expect((await tenant.call('PATCH', `/v1/subscriptions/${id}`, { headers, body })).status).toBe(200);
  expect((await tenant.call('POST', `/v1/subscriptions/${id}/resume`)).status).toBe(200);
  const [received] = await eventually(() => receivedAt(path).length > 0 && receivedAt(path));
  expect(received?.clientSha256).toBe(sha256Of(fresh));
});
