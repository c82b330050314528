import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import { productVersion } from '#platform/version';
import { verify } from '#receiver/verify';
import { eventually } from '#testkit/eventually';
import { isValidByOpenssl, isValidDraft05, isValidRfc9421, type WireRequest } from '#testkit/foreign-verifiers';
import type { Received, Sink } from '#testkit/sink-server';
import { callApi, type CreatedSubscription, type TenantClient } from '#testkit/tenant-client';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

const TYPE = 'com.example.signed';

let stage: Stage;
let client: TenantClient;

beforeAll(async () => {
  stage = await startStage();
  client = await stage.cluster.createTenantWithKey();
}, 90_000);

afterAll(() => stage.stop(), 90_000);

/** What a sink with this signature gets, answering the first attempt with 503: two requests for one event. */
async function deliver(signature: object, contentMode: 'structured' | 'binary', by: TenantClient = client) {
  const sink = await stage.sink({ respond: (_, count) => ({ status: count === 1 ? 503 : 204 }) });
  const retry = { delaysSeconds: [1] };
  const config = { signature, contentMode, retry, validation: { mode: 'none' } };
  const subscription = await by.subscribe({ sink: `${sink.url}/hooks?of=acme`, types: [TYPE], config });
  const id = `signed-${subscription.id}`;
  await by.publishEvent({ specversion: '1.0', id, source: '/signing', type: TYPE, data: { text: 'é', n: 1.1 } });
  await eventually(() => ofEvent(sink, id).length === 2);
  return { subscription, requests: ofEvent(sink, id).map(toWire) };
}

function ofEvent({ received }: Sink, id: string): Received[] {
  return received.filter(
    ({ headers, body }) => headers.some(([, value]) => value === id) || Buffer.from(body).includes(`"${id}"`),
  );
}

function toWire({ method, url, headers, body }: Received): WireRequest {
  const names = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
  return { method, target: url, headers: names, body: Buffer.from(body) };
}

/** The public key that a signature names, as everybody can read it. */
async function keyNamed(keyid: string): Promise<object> {
  const base = new URL(stage.cluster.publishUrl).origin;
  const id = /([A-Za-z0-9_-]{43})(?:\.pem)?$/.exec(keyid)?.[1] ?? '';
  const answer = await callApi('GET', `${base}/keys/${id}.jwk`);
  expect(answer.status).toBe(200);
  return answer.json<object>();
}

const keyidOf = ({ headers }: WireRequest): string =>
  /keyid="([^"]+)"/.exec(headers['signature-input'] ?? '')?.[1] ?? '';
const secretOf = ({ config }: CreatedSubscription): string => config.signature.secret ?? '';

describe('a notification of every profile, through separate processes, is verified by code that is not ours', () => {
  test.each(['structured', 'binary'] as const)('standard-webhooks, %s (SW-1 … SW-3)', async (contentMode) => {
    const { subscription, requests } = await deliver({}, contentMode);
    for (const { headers, body } of requests) {
      for (const peer of [new StandardWebhook(secretOf(subscription)), new SvixWebhook(secretOf(subscription))]) {
        expect(() => peer.verify(body.toString(), { ...headers })).not.toThrow();
      }
    }
  });

  test('standard-webhooks-v1a (SW-3)', async () => {
    const { requests } = await deliver({ profile: 'standard-webhooks-v1a' }, 'structured');
    const { data } = await client.get<{ data: { algorithm: string; publicKey: object }[] }>('/v1/signing-keys');
    const key = data.find(({ algorithm }) => algorithm === 'ed25519')?.publicKey ?? {};
    for (const { headers, body } of requests) {
      const content = `${headers['webhook-id'] ?? ''}.${headers['webhook-timestamp'] ?? ''}.${body.toString()}`;
      const signature = Buffer.from((headers['webhook-signature'] ?? '').replace('v1a,', ''), 'base64');
      expect(isValidByOpenssl(key, Buffer.from(content), signature)).toBe(true);
    }
  });

  test.each([
    ['ed25519', 'binary'],
    ['ecdsa-p256-sha256', 'structured'],
  ] as const)('rfc9421 with %s, %s, each attempt signed anew (MS-6, MS-8)', async (algorithm, contentMode) => {
    const { requests } = await deliver({ profile: 'rfc9421', algorithm, expiresSeconds: 300 }, contentMode);
    const attributes = contentMode === 'binary' ? ['ce-id', 'ce-source', 'ce-type'] : [];
    const required = ['@method', '@target-uri', 'content-digest', 'content-type', 'webhook-id', ...attributes];
    for (const request of requests) {
      const key = await keyNamed(keyidOf(request));
      expect(await isValidRfc9421(request, key, { scheme: 'https', required })).toBe(true);
      expect(await isValidRfc9421({ ...request, target: '/hooks' }, key, { scheme: 'https', required })).toBe(false);
    }
    const [first, second] = requests.map(({ headers }) => headers);
    expect(second?.['webhook-id']).toBe(first?.['webhook-id']);
    expect(second?.['signature-input']).not.toBe(first?.['signature-input']);
  });

  test.each([false, true])('http-signatures-draft-05, verbatim %s (MS-1 … MS-4)', async (verbatim) => {
    const { requests } = await deliver({ profile: 'http-signatures-draft-05', verbatim }, 'structured');
    for (const request of requests) {
      expect(isValidDraft05(request, await keyNamed(keyidOf(request)))).toBe(true);
      expect(request.headers['signature-input']).toMatch(verbatim ? /;nonce=[0-9a-f]{32}$/ : /;nonce="[0-9a-f]{32}"$/);
    }
  });

  test('hmac-timestamp, with headers of its own names', async () => {
    const headerNames = { signature: 'Acme-Signature', id: 'Acme-Id' };
    const { subscription, requests } = await deliver({ profile: 'hmac-timestamp', headerNames }, 'structured');
    for (const { headers, body } of requests) {
      const header = headers['acme-signature'] ?? '';
      expect(() => Stripe.webhooks.constructEvent(body.toString(), header, secretOf(subscription))).not.toThrow();
      expect(headers['acme-id']).toMatch(/^dlv_/);
    }
  });

  test('none', async () => {
    const { requests } = await deliver({ profile: 'none' }, 'binary');
    const names = Object.keys(requests[0]?.headers ?? {});
    expect(names.filter((name) => /signature|digest|webhook-(id|timestamp)/.test(name))).toEqual([]);
  });
});

describe('the white label of a tenant', () => {
  const userAgent = 'Acme-Hooks/2.0 (+https://acme.example/hooks)';
  let labelled: TenantClient;

  const putPolicy = async (policy: object): Promise<void> => {
    const headers = { authorization: `Bearer ${stage.cluster.adminToken}` };
    const url = `${stage.cluster.apiUrl}/v1/tenants/${labelled.tenant}`;
    expect((await callApi('PUT', url, { headers, body: { policy } })).status).toBe(200);
  };

  beforeEach(async () => {
    labelled = await stage.cluster.createTenantWithKey();
    await putPolicy({ headerPrefix: 'svix', userAgent });
  });

  /** Those of Standard Webhooks, whatever their prefix. */
  const signatureNames = ({ headers }: WireRequest): string[] =>
    Object.keys(headers).filter((name) => /^(?!ce-).+-(?:id|timestamp|signature)$/.test(name));

  test('has svix take its notifications for its own, while other tenants keep theirs (SW-1)', async () => {
    const [ours, others] = await Promise.all([deliver({}, 'binary', labelled), deliver({}, 'binary')]);
    for (const request of ours.requests) {
      expect(signatureNames(request)).toEqual(['svix-id', 'svix-timestamp', 'svix-signature']);
      expect(request.headers['user-agent']).toBe(userAgent);
      const peer = new SvixWebhook(secretOf(ours.subscription));
      expect(() => peer.verify(request.body.toString(), { ...request.headers })).not.toThrow();
    }
    for (const request of others.requests) {
      expect(signatureNames(request)).toEqual(['webhook-id', 'webhook-timestamp', 'webhook-signature']);
      expect(request.headers['user-agent']).toBe(`Posthaste/${productVersion()}`);
      const peer = new StandardWebhook(secretOf(others.subscription));
      expect(() => peer.verify(request.body.toString(), { ...request.headers })).not.toThrow();
    }
  });

  test('is part of what covers the request: the id by its name, and the User-Agent (MS-4, MS-8)', async () => {
    const rfc9421 = await deliver({ profile: 'rfc9421', algorithm: 'ed25519' }, 'structured', labelled);
    const required = ['@target-uri', 'content-digest', 'svix-id'];
    for (const request of rfc9421.requests) {
      expect(signatureNames(request)).toEqual(['svix-id']);
      const key = await keyNamed(keyidOf(request));
      expect(await isValidRfc9421(request, key, { scheme: 'https', required })).toBe(true);
    }
    const draft05 = await deliver({ profile: 'http-signatures-draft-05' }, 'structured', labelled);
    for (const request of draft05.requests) {
      expect(request.headers['user-agent']).toBe(userAgent);
      expect(isValidDraft05(request, await keyNamed(keyidOf(request)))).toBe(true);
    }
  });

  test('is in force with the next attempt, and asks for consent in the same name', async () => {
    const sink = await stage.sink({
      async respond(_, count) {
        if (count === 1) await putPolicy({ headerPrefix: 'acme', userAgent: 'Acme/3' });
        return { status: count === 1 ? 503 : 204 };
      },
    });
    // Long enough for delivery and the signer to hear of the new one, each on its own.
    const config = { retry: { delaysSeconds: [4], jitter: 0 } };
    const subscription = await labelled.subscribe({ sink: sink.url, types: [TYPE], config });
    await eventually(() => sink.handshakes.length > 0);
    expect(toWire(sink.handshakes[0] as Received).headers['user-agent']).toBe(userAgent);
    await labelled.publishEvent({ specversion: '1.0', id: 'relabelled', source: '/signing', type: TYPE });
    await eventually(() => sink.received.length === 2);
    const [before, after] = sink.received.map(toWire);
    expect(before?.headers).toMatchObject({ 'user-agent': userAgent, 'svix-id': expect.stringMatching(/^dlv_/) });
    expect(after?.headers).toMatchObject({ 'user-agent': 'Acme/3', 'acme-id': before?.headers['svix-id'] });
    expect(after?.headers).not.toHaveProperty('svix-signature');
    const verified = await verify(
      { headers: after?.headers ?? {}, body: after?.body ?? new Uint8Array() },
      { secrets: [secretOf(subscription)], headerPrefix: 'acme' },
    );
    expect(verified).toMatchObject({ ok: true, events: [{ id: 'relabelled' }] });
  });
});

describe('the secret of a subscription', () => {
  test('is rotated without a notification that its receiver can not verify (SW-4)', async () => {
    const sink = await stage.sink();
    const type = 'com.example.rotated';
    const subscription = await client.subscribe({
      sink: sink.url,
      types: [type],
      config: { validation: { mode: 'none' } },
    });
    const secrets = [secretOf(subscription)];
    for (let i = 0; i < 20; i++) {
      if (i === 10) {
        const answer = await client.call('POST', `/v1/subscriptions/${subscription.id}/secret/rotate`, {
          body: { graceSeconds: 600 },
        });
        secrets.push(secretOf(answer.json<CreatedSubscription>()));
      }
      await client.publishEvent({ specversion: '1.0', id: `r${i}`, source: '/signing', type });
    }
    await eventually(() => sink.received.length === 20);
    const [before, after] = secrets.map((secret) => new StandardWebhook(secret));
    const verifies = (peer: StandardWebhook | undefined, { headers, body }: WireRequest) => {
      try {
        peer?.verify(body.toString(), { ...headers });
        return true;
      } catch {
        return false;
      }
    };
    const received = sink.received.map(toWire);
    expect(received.every((one) => verifies(before, one))).toBe(true);
    await eventually(async () => {
      const id = `r${sink.received.length}`;
      await client.publishEvent({ specversion: '1.0', id, source: '/signing', type });
      await eventually(() => sink.received.some(({ body }) => Buffer.from(body).includes(`"${id}"`)));
      return sink.received.map(toWire).some((one) => verifies(after, one));
    });
  });
});
