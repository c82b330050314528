import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BusModule } from '#bus/bus.module';
import { serve, type Serving } from '#bus/request';
import type { SealCredentialReply, SealReply, SealRequest, SealSecretRequest } from '#contracts/bus/seal';
import type { SubscriptionResource } from '#contracts/http/subscription-resource';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { sha256Hex } from '#platform/digest';
import { makeLogger } from '#platform/logger';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { callApi, type Answer, type ApiRequest } from '#testkit/tenant-client';
import { aMadeKey } from '#testkit/made-key';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { RegistryModule } from './registry.module.ts';
import type { HistoryEntry } from './subscription-history.ts';

const adminToken = 'the-token-of-the-operator';
const unasked = { validation: { mode: 'none' } };
const minimal = { sink: 'https://example.com/hooks', protocol: 'HTTP', config: unasked };
const plain = { credentialtype: 'PLAIN', identifier: 'hunter2-account', secret: 'hunter2-password' };
const MERGE_PATCH = { 'content-type': 'application/merge-patch+json' };

let nats: TestNats;
let bus: TestBus;
let signer: Serving;
const sealedCredentials: unknown[] = [];
/** Two processes, and two more in which a sink is unique. No PostgreSQL: nothing of this needs it. */
let services: RunningService[];
const UNIQUE = 2;

interface ProblemBody {
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  signer = startSigner();
  const unique = { POSTHASTE_SINK_UNIQUE: 'true' };
  services = await Promise.all([{}, {}, unique, unique].map((env) => startRegistry(env)));
});

afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await signer.stop();
  await bus.close();
  await nats.stop();
});

function startRegistry(env: Record<string, string> = {}): Promise<RunningService> {
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing',
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
    ...env,
  });
  const logger = makeLogger({ name: 'registry', level: 'silent' });
  const modules = [BusModule.forRoot({ name: 'registry', config }), RegistryModule];
  return startService({ name: 'registry', config, logger, modules });
}

/** Seals by hashing: nobody here has to open it again. */
function startSigner(): Serving {
  return serve(bus, { subject: bus.topology.sealSubject, queue: 'signer' }, (payload) => {
    const question = JSON.parse(Buffer.from(payload).toString()) as SealRequest;
    if ('algorithm' in question) return Promise.resolve(Buffer.from(JSON.stringify(aMadeKey())));
    if ('credential' in question) {
      sealedCredentials.push(question.credential);
      const reply: SealCredentialReply = { sealed: `sealed:${sha256Hex(JSON.stringify(question.credential))}` };
      return Promise.resolve(Buffer.from(JSON.stringify(reply)));
    }
    const { secret = `whsec_${randomBytes(32).toString('base64')}` } = question as SealSecretRequest;
    const reply: SealReply = { ok: true, sealed: `sealed:${sha256Hex(secret)}`, secret };
    return Promise.resolve(Buffer.from(JSON.stringify(reply)));
  });
}

function call(method: string, path: string, token: string, request: ApiRequest = {}, instance = 0): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, ...request.headers };
  return callApi(method, `${services[instance]?.url ?? ''}${path}`, { ...request, headers });
}

async function aKey(tenant = aTenantId()): Promise<string> {
  expect((await call('PUT', `/v1/tenants/${tenant}`, adminToken)).status).toBe(201);
  const made = await call('POST', `/v1/tenants/${tenant}/keys`, adminToken, { body: { scopes: ['manage'] } });
  return made.json<{ key: string }>().key;
}

const aTenantId = () => `t-${randomBytes(4).toString('hex')}`;

async function subscribe(key: string, body: object = {}, instance = 0): Promise<Answer & { path: string }> {
  const made = await call('POST', '/v1/subscriptions', key, { body: { ...minimal, ...body } }, instance);
  expect([made.status, made.text]).toEqual([201, expect.stringContaining('sub_')]);
  return { ...made, path: made.headers.get('location') ?? '' };
}

const pointersOf = (answer: Answer) => answer.json<ProblemBody>().errors?.map(({ pointer }) => pointer);
const codeOf = (answer: Answer) => [answer.status, answer.json<ProblemBody>().code];

async function lastSeq(): Promise<number> {
  return (await bus.jsm.streams.info(bus.topology.streams.REGISTRY)).state.last_seq;
}

describe('a subscription of any protocol', () => {
  test('is made with settings, filters and credential in one, and shown without the secrets (SA-9, SA-10)', async () => {
    const key = await aKey();
    const made = await subscribe(key, {
      protocolsettings: { headers: { 'X-Team': 'blue' } },
      sinkcredential: plain,
      filters: [{ prefix: { type: 'com.example.' } }],
      config: { ...unasked, expiresAt: '2999-01-01T00:00:00Z', maxEvents: 3 },
    });
    expect(made.json()).toMatchObject({
      protocolsettings: { method: 'POST', headers: { 'X-Team': 'blue' } },
      sinkcredential: { credentialtype: 'PLAIN' },
      config: { expiresAt: '2999-01-01T00:00:00Z', maxEvents: 3 },
      state: 'active',
    });
    expect(sealedCredentials).toContainEqual(plain);
    const shown = [made, await call('GET', made.path, key), await call('GET', '/v1/subscriptions', key)];
    for (const { text } of shown) expect(text).not.toMatch(/hunter2|sealed/);
  });

  test('is made for NATS as well, and for nothing else (SA-8)', async () => {
    const key = await aKey();
    const onNats = { sink: 'nats://example.com:4222', protocol: 'NATS', protocolsettings: { subject: 'a.b' } };
    const made = await subscribe(key, { ...onNats, config: {} });
    expect(made.json()).toMatchObject({ ...onNats, config: { validation: { mode: 'none' } } });
    const inside = await call('POST', '/v1/subscriptions', key, { body: { ...onNats, sink: 'nats://127.0.0.1' } });
    expect(pointersOf(inside)).toEqual(['/sink']);
    const kafka = await call('POST', '/v1/subscriptions', key, { body: { sink: 'kafka://x', protocol: 'KAFKA' } });
    expect(kafka.json<ProblemBody>().errors?.[0]).toMatchObject({
      pointer: '/protocol',
      detail: expect.stringContaining('"HTTP" and "NATS"'),
    });
  });

  test('is not made at all when anything is wrong with it', async () => {
    const key = await aKey();
    const before = await lastSeq();
    const body = { ...minimal, sinkcredential: plain, config: { ...unasked, expiresAt: '2001-01-01T00:00:00Z' } };
    expect(pointersOf(await call('POST', '/v1/subscriptions', key, { body }))).toEqual(['/config/expiresAt']);
    const kept = { ...minimal, sink: 'https://10.0.0.1', sinkcredential: { credentialtype: 'PLAIN' } };
    const refused = await call('POST', '/v1/subscriptions', key, { body: kept });
    expect(pointersOf(refused)).toEqual(['/sink', '/sinkcredential']);
    expect(await lastSeq()).toBe(before);
    expect((await call('GET', '/v1/subscriptions', key)).json()).toEqual([]);
  });
});

describe('changing a subscription', () => {
  test('is refused with 412 when it is not the one of If-Match any more', async () => {
    const key = await aKey();
    const { path, headers } = await subscribe(key);
    const first = headers.get('etag') ?? '';
    expect((await call('GET', path, key)).headers.get('etag')).toBe(first);
    const changed = await call('PUT', path, key, { body: minimal, headers: { 'if-match': first } });
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, first]); // nothing changed
    const body = { ...minimal, types: ['a'] };
    const second = (await call('PUT', path, key, { body, headers: { 'if-match': first } })).headers.get('etag') ?? '';
    expect(second).not.toBe(first);
    for (const [method, suffix, request] of [
      ['PUT', '', { body: minimal }],
      ['PATCH', '', { body: { types: ['b'] } }],
      ['POST', '/pause', {}],
      ['DELETE', '', {}],
    ] as const) {
      const stale = await call(method, `${path}${suffix}`, key, { ...request, headers: { 'if-match': first } });
      expect(codeOf(stale)).toEqual([412, 'precondition-failed']);
    }
    expect((await call('DELETE', path, key, { headers: { 'if-match': `${second}, "9"` } })).status).toBe(200);
    expect((await call('DELETE', path, key, { headers: { 'if-match': second } })).status).toBe(404);
  });

  test('lets one of ten who read the same revision win', async () => {
    const key = await aKey();
    const { path, headers } = await subscribe(key);
    const tries = Array.from({ length: 10 }, (_, i) =>
      call(
        'PATCH',
        path,
        key,
        { body: { types: [`t${i}`] }, headers: { 'if-match': headers.get('etag') ?? '' } },
        i % 2,
      ),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, ...Array.from({ length: 9 }, () => 412)]);
  });

  test('of how it is delivered is patched member by member, and a dead letter sink is judged like a sink (SA-7)', async () => {
    const key = await aKey();
    const deadLetterSink = 'https://example.com/dead';
    const config = { ...unasked, ordering: 'subscription', onDeadLetter: 'block', rate: { requestsPerMinute: 60 } };
    const made = await subscribe(key, { config: { ...config, deadLetterSink, retry: { outcomes: { 404: 'fail' } } } });
    const patch = (changes: object) =>
      call('PATCH', made.path, key, { body: { config: changes }, headers: MERGE_PATCH });
    const patched = await patch({ rate: null, maxInFlight: 4, retry: { maxAttempts: 3 } });
    expect(patched.json<SubscriptionResource>().config).toMatchObject({
      ordering: 'subscription',
      onDeadLetter: 'block',
      maxInFlight: 4,
      deadLetterSink,
      retry: { maxAttempts: 3, outcomes: { 404: 'fail' } },
    });
    expect(patched.json<SubscriptionResource>().config).not.toHaveProperty('rate');
    expect((await call('GET', made.path, key, {}, 1)).json()).toEqual(patched.json());
    expect(pointersOf(await patch({ deadLetterSink: 'https://10.0.0.1/' }))).toEqual(['/config/deadLetterSink']);
    expect(pointersOf(await patch({ ordering: null }))).toEqual(['/config/onDeadLetter']);
    const body = { ...minimal, config: { ...unasked, deadLetterSink: 'http://example.com/' } };
    expect(pointersOf(await call('POST', '/v1/subscriptions', key, { body }))).toEqual(['/config/deadLetterSink']);
    expect((await call('GET', made.path, key)).json()).toEqual(patched.json());
  });

  test('by a merge patch changes what it names (RFC 7396)', async () => {
    const key = await aKey();
    const { path } = await subscribe(key, { types: ['a'], source: '/s' });
    const patch = { source: null, config: { maxEvents: 9 }, protocolSettings: { headers: { 'X-A': 'b' } } };
    const patched = await call('PATCH', path, key, { body: patch, headers: MERGE_PATCH });
    expect(patched.status).toBe(200);
    expect(patched.json()).toMatchObject({ types: ['a'], config: { maxEvents: 9 } });
    expect(patched.json<object>()).not.toHaveProperty('source');
    expect((await call('GET', path, key, {}, 1)).json()).toEqual(patched.json());
    const bad = await call('PATCH', path, key, {
      body: { types: [], sink: 5, config: { x: 1 } },
      headers: MERGE_PATCH,
    });
    expect(pointersOf(bad)).toEqual(['/sink', '/types', '/config/x']);
    const other = await call('PATCH', path, key, {
      body: '[]',
      headers: { 'content-type': 'application/json-patch+json' },
    });
    expect([other.status, other.headers.get('accept-patch')]).toEqual([415, 'application/merge-patch+json']);
    const missing = path.replace(/.{26}$/, '0'.repeat(26));
    expect((await call('PATCH', missing, key, { body: {}, headers: MERGE_PATCH })).status).toBe(404);
  });

  test('keeps the credential, removes it, or replaces it (SA-10)', async () => {
    const key = await aKey();
    const { path } = await subscribe(key, { sinkcredential: plain });
    const credentialAfter = async (method: string, body: object) =>
      (await call(method, path, key, { body })).json<SubscriptionResource>().sinkcredential;
    expect(await credentialAfter('PUT', { ...minimal, types: ['a'] })).toEqual({ credentialtype: 'PLAIN' });
    const shown = (await call('GET', path, key)).json<object>();
    expect(await credentialAfter('PUT', { ...shown, types: ['b'] })).toEqual({ credentialtype: 'PLAIN' });
    const clash = { protocolsettings: { headers: { Authorization: 'x' } } };
    expect(pointersOf(await call('PATCH', path, key, { body: clash }))).toEqual([
      '/protocolsettings/headers/Authorization',
    ]);
    expect(await credentialAfter('PATCH', { sinkcredential: null })).toBeUndefined();
    expect((await call('PATCH', path, key, { body: clash })).status).toBe(200);
    expect(await credentialAfter('PATCH', { protocolsettings: null, sinkcredential: plain })).toEqual({
      credentialtype: 'PLAIN',
    });
    expect(await credentialAfter('PUT', { ...minimal, sinkcredential: null })).toBeUndefined();
    const wrong = { ...minimal, sinkcredential: { credentialtype: 'ACCESSTOKEN' } };
    expect(pointersOf(await call('PUT', path, key, { body: wrong }))).toEqual(['/sinkcredential']);
  });

  describe('whose credential was given for one origin (SA-10)', () => {
    const elsewhere = [
      'https://other.example/hooks',
      'http://example.com/hooks',
      'https://example.com:8443/hooks',
      'https://example.com./hooks',
      String.raw`https://other.example\.example.com/hooks`,
    ];
    const refusal = {
      rule: 'SA-10',
      pointer: '/sinkcredential',
      detail: expect.stringMatching(
        /given for https:\/\/example\.com, not for http.*: give it again, or null to remove it\.$/,
      ),
    };
    const sinkOf = async (path: string, key: string) =>
      (await call('GET', path, key)).json<SubscriptionResource>().sink;

    test.each(elsewhere)('does not take it along to %s', async (sink) => {
      const key = await aKey();
      const { path } = await subscribe(key, { sinkcredential: plain });
      const shown = (await call('GET', path, key)).json<object>();
      for (const [method, body] of [
        ['PATCH', { sink }],
        ['PATCH', { sink, sinkcredential: { credentialtype: 'PLAIN' } }],
        ['PUT', { ...minimal, sink }],
        ['PUT', { ...shown, sink }],
      ] as const) {
        const refused = await call(method, path, key, { body });
        expect([refused.status, refused.json<ProblemBody>().errors]).toEqual([
          400,
          expect.arrayContaining([expect.objectContaining(refusal)]),
        ]);
      }
      expect(await sinkOf(path, key)).toBe(minimal.sink);
    });

    test('takes along the one that comes with the new sink, or none', async () => {
      const key = await aKey();
      const [sink, ...bodies] = [
        'https://other.example/',
        { sinkcredential: plain },
        { sinkcredential: null },
      ] as const;
      for (const [method, base] of [
        ['PATCH', {}],
        ['PUT', minimal],
      ] as const) {
        for (const body of bodies) {
          const { path } = await subscribe(key, { sinkcredential: plain });
          expect((await call(method, path, key, { body: { ...base, ...body, sink } })).status).toBe(200);
        }
      }
    });

    test('keeps it where only path, query or spelling of the origin change, and whatever else happens to it', async () => {
      const key = await aKey();
      const { path } = await subscribe(key, { sinkcredential: plain });
      for (const sink of ['https://example.com/other?a=b', 'HTTPS://EXAMPLE.com:443/other'])
        expect((await call('PATCH', path, key, { body: { sink } })).status).toBe(200);
      for (const step of ['pause', 'resume', 'secret/rotate'])
        expect((await call('POST', `${path}/${step}`, key)).status).toBe(200);
      const after = (await call('GET', path, key)).json<SubscriptionResource>();
      expect([after.sink, after.sinkcredential]).toEqual([
        'HTTPS://EXAMPLE.com:443/other',
        { credentialtype: 'PLAIN' },
      ]);
    });

    test('does not take it along though another registry has stored it only now', async () => {
      const key = await aKey();
      for (let round = 0; round < 10; round++) {
        const { path } = await subscribe(key, {}, 0);
        expect((await call('PATCH', path, key, { body: { sinkcredential: plain } }, 1)).status).toBe(200);
        const moved = await call('PATCH', path, key, { body: { sink: 'https://other.example/' } }, 0);
        expect(pointersOf(moved)).toEqual(['/sinkcredential']);
      }
    });
  });
});

describe('the query of subscriptions', () => {
  test('filters by sink, source, type and state, and its pages keep the filter', async () => {
    const key = await aKey();
    const sink = 'https://example.com/other?a=b&c=d';
    const ids = new Map<string, string>();
    for (const [name, body] of Object.entries({
      one: { sink, source: '/s' },
      two: { sink, types: ['t', 'u'] },
      three: { sink },
      four: {},
    })) {
      ids.set(name, (await subscribe(key, body)).json<{ id: string }>().id);
    }
    await call('POST', `/v1/subscriptions/${ids.get('three') ?? ''}/pause`, key);
    const found = async (query: string) => {
      const answer = await call('GET', `/v1/subscriptions?${query}`, key, {}, 1);
      const list = answer.json<{ id: string }[]>().map(({ id }) => [...ids].find(([, one]) => one === id)?.[0]);
      return { list, next: /^<(.+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1] };
    };
    const encoded = `sink=${encodeURIComponent(sink)}`;
    expect((await found(encoded)).list).toEqual(['three', 'two', 'one']);
    expect((await found(`source=${encodeURIComponent('/s')}`)).list).toEqual(['one']);
    expect((await found('type=u')).list).toEqual(['two']);
    expect((await found('state=paused')).list).toEqual(['three']);
    const first = await found(`${encoded}&limit=2`);
    expect(first.list).toEqual(['three', 'two']);
    expect((await found(first.next?.split('?')[1] ?? '')).list).toEqual(['one']);
    expect(codeOf(await call('GET', '/v1/subscriptions?state=asleep', key))).toEqual([400, 'invalid-query']);
  });

  test('deletes by sink, and never without one', async () => {
    const key = await aKey();
    const others = await aKey();
    for (const owner of [key, key, others]) await subscribe(owner);
    const sink = encodeURIComponent(minimal.sink);
    expect(codeOf(await call('DELETE', '/v1/subscriptions', key))).toEqual([400, 'invalid-query']);
    const deleted = await call('DELETE', `/v1/subscriptions?sink=${sink}`, key);
    expect([deleted.status, deleted.json<object[]>().length]).toEqual([200, 2]);
    expect((await call('GET', '/v1/subscriptions', key, {}, 1)).json()).toEqual([]);
    expect((await call('GET', '/v1/subscriptions', others)).json<object[]>()).toHaveLength(1);
    expect((await call('DELETE', `/v1/subscriptions?sink=${sink}`, key)).status).toBe(404);
  });
});

describe('the life of a subscription', () => {
  test('is paused with a reason, and resumed', async () => {
    const key = await aKey();
    const { path } = await subscribe(key);
    const paused = await call('POST', `${path}/pause`, key, { body: { reason: 'maintenance' } });
    expect([paused.status, paused.json()]).toEqual([
      200,
      expect.objectContaining({ state: 'paused', stateReason: 'maintenance' }),
    ]);
    const resumed = await call('POST', `${path}/resume`, key);
    expect([resumed.status, resumed.json<SubscriptionResource>().state]).toEqual([200, 'active']);
    expect(resumed.json<object>()).not.toHaveProperty('stateReason');
    expect(pointersOf(await call('POST', `${path}/pause`, key, { body: { why: 'x' } }))).toEqual(['/why']);
  });

  test('expires at its time, and then only a deletion is left', async () => {
    const key = await aKey();
    // So far away that it has not come before the request for it is looked at.
    const expiresAt = new Date(Date.now() + 5_000).toISOString();
    const made = await subscribe(key, { config: { ...unasked, expiresAt } });
    const { path } = made;
    expect(made.json()).toMatchObject({ state: 'active' });
    const state = async () => (await call('GET', path, key)).json<SubscriptionResource>();
    await eventually(async () => (await state()).state === 'expired', { deadlineMs: 30_000 });
    expect((await state()).stateReason).toBe('expires_at');
    const { data } = (await call('GET', `${path}/history`, key)).json<{ data: HistoryEntry[] }>();
    expect(data.map(({ what }) => what)).toEqual(['created', 'expired']);
    expect(Date.parse(data[1]?.at ?? '')).toBeGreaterThanOrEqual(Date.parse(expiresAt));
    expect(codeOf(await call('POST', `${path}/resume`, key))).toEqual([409, 'subscription-state']);
    expect(codeOf(await call('PUT', path, key, { body: minimal }))).toEqual([409, 'subscription-state']);
    expect((await call('DELETE', path, key)).status).toBe(200);
  });

  test('expires with its last event, as soon as that is counted', async () => {
    const key = await aKey();
    const made = await subscribe(key, { config: { ...unasked, maxEvents: 2 } });
    const { id } = made.json<{ id: string }>();
    const count = (n: number) =>
      bus.publisher.publish(bus.topology.countSubject(id), new Uint8Array(), {
        msgId: `${id}-${n}`,
        headers: [['Nats-Incr', '1']],
      });
    await count(1);
    const state = async () => (await call('GET', made.path, key)).json<SubscriptionResource>();
    expect((await state()).state).toBe('active');
    await count(2);
    await eventually(async () => (await state()).stateReason === 'max_events');
    await call('DELETE', made.path, key);
    const { streams } = bus.topology;
    await eventually(async () => {
      const { state: left } = await bus.jsm.streams.info(streams.COUNTERS, {
        subjects_filter: bus.topology.countSubject(id),
      });
      return left.subjects === undefined;
    });
  });

  test('is told by its history: who, when and what, without a secret', async () => {
    const key = await aKey();
    const { path } = await subscribe(key, { types: ['a'] });
    const secret = `whsec_${randomBytes(24).toString('base64')}`;
    await call('PATCH', path, key, {
      body: { types: ['b'], sinkcredential: plain, config: { signature: { secret } } },
    });
    await call('POST', `${path}/pause`, key, { body: { reason: 'maintenance' } });
    await call('DELETE', path, key);
    const history = await call('GET', `${path}/history`, key);
    expect(history.text).not.toMatch(/hunter2|sealed|whsec/);
    const { data, next } = history.json<{ data: HistoryEntry[]; next?: string }>();
    expect(next).toBeUndefined();
    expect(data.map(({ step, what }) => [step, what])).toEqual([
      [1, 'created'],
      [2, 'changed'],
      [3, 'paused'],
      [4, 'deleted'],
    ]);
    expect(data[1]).toEqual({
      step: 2,
      what: 'changed',
      at: expect.stringMatching(/^20.*Z$/),
      by: expect.stringMatching(/^key_/),
      from: '127.0.0.1',
      changes: [
        { pointer: '/config/signature/secret' },
        { pointer: '/sinkcredential' },
        { pointer: '/types', before: ['a'], after: ['b'] },
        { pointer: '/sinkcredential', after: { credentialtype: 'PLAIN' } },
      ],
    });
    expect(data[2]).toMatchObject({
      reason: 'maintenance',
      changes: [
        { pointer: '/state', before: 'active', after: 'paused' },
        { pointer: '/stateReason', after: 'maintenance' },
      ],
    });
    const page = await call('GET', `${path}/history?limit=2&after=1`, key, {}, 1);
    expect(page.json<{ data: HistoryEntry[] }>().data.map(({ step }) => step)).toEqual([2, 3]);
    expect(page.json<{ next?: string }>().next).toBe('3');
    expect((await call('GET', `${path}/history`, await aKey())).status).toBe(404);
  });

  test('has a history whatever else is stored under its subject', async () => {
    const tenant = aTenantId();
    const key = await aKey(tenant);
    const made = await subscribe(key);
    const { id } = made.json<{ id: string }>();
    const ofAnother = { aggregate: 'subscription', tenant, id: 'sub_other', event: { kind: 'SubscriptionDeleted' } };
    const subject = bus.topology.registrySubject(tenant, 'subscription', id);
    for (const junk of ['', '{]', 'null', JSON.stringify(ofAnother)]) {
      await bus.publisher.publish(subject, Buffer.from(junk));
    }
    expect((await call('POST', `${made.path}/pause`, key)).status).toBe(200);
    const history = await call('GET', `${made.path}/history`, key);
    expect(history.json<{ data?: HistoryEntry[] }>().data?.map(({ what }) => what)).toEqual(['created', 'paused']);
  });
});

describe('a sink that has to be unique', () => {
  test('is refused to a second subscription of the tenant, on every way to it (D11)', async () => {
    const key = await aKey();
    const first = await subscribe(key, {}, UNIQUE);
    const taken = await call('POST', '/v1/subscriptions', key, { body: minimal }, UNIQUE);
    expect(codeOf(taken)).toEqual([409, 'sink-taken']);
    expect(taken.json<ProblemBody>().detail).toContain(first.json<{ id: string }>().id);
    const second = await subscribe(key, { sink: 'https://example.com/second' }, UNIQUE);
    const moved = await call('PATCH', second.path, key, { body: { sink: minimal.sink } }, UNIQUE);
    expect(codeOf(moved)).toEqual([409, 'sink-taken']);
    expect((await call('PATCH', first.path, key, { body: { types: ['a'] } }, UNIQUE)).status).toBe(200);
    await subscribe(await aKey(), {}, UNIQUE);
    await call('DELETE', first.path, key, {}, UNIQUE);
    expect((await call('PATCH', second.path, key, { body: { sink: minimal.sink } }, UNIQUE)).status).toBe(200);
  });

  test('is won by one of ten that come at once to two processes', async () => {
    const key = await aKey();
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) => call('POST', '/v1/subscriptions', key, { body: minimal }, UNIQUE + (i % 2))),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array.from({ length: 9 }, () => 409),
    ]);
    expect((await call('GET', '/v1/subscriptions', key)).json<object[]>()).toHaveLength(1);
  });
});

describe('forty tenants that subscribe for the first time, at once and through two processes', () => {
  test('have a key each that signs (MS-5)', async () => {
    const keys = await Promise.all(Array.from({ length: 40 }, () => aKey()));
    await Promise.all(keys.map((key, i) => subscribe(key, {}, i % 2)));
    for (const key of keys) {
      const { data } = (await call('GET', '/v1/signing-keys', key)).json<{ data: { state: string }[] }>();
      expect(data.map(({ state }) => state)).toEqual(['active']);
    }
  });

  test('do not stand in each other’s way where a sink has to be unique', async () => {
    const keys = await Promise.all(Array.from({ length: 40 }, () => aKey()));
    const made = await Promise.all(keys.map((key, i) => subscribe(key, {}, UNIQUE + (i % 2))));
    expect(new Set(made.map(({ status }) => status))).toEqual(new Set([201]));
  });
});

describe('keys of a tenant that are activated at once, through two processes', () => {
  test('leave one that signs, whoever wins: without any, deliveries would wait for ever (MS-5)', async () => {
    const activated = async (): Promise<readonly string[]> => {
      const key = await aKey();
      await subscribe(key); // its JWT makes the first key
      const next = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const made = await call('POST', '/v1/signing-keys', key, { body: { algorithm: 'ecdsa-p256-sha256' } });
          const path = made.headers.get('location') ?? '';
          await call('POST', `${path}/publish`, key);
          return path;
        }),
      );
      const answers = await Promise.all(next.map((path, i) => call('POST', `${path}/activate`, key, {}, i % 2)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      const { data } = (await call('GET', '/v1/signing-keys', key)).json<{ data: { state: string }[] }>();
      return data.map(({ state }) => state).toSorted();
    };
    const states = await Promise.all(Array.from({ length: 5 }, activated));
    expect(states).toEqual(Array(5).fill(['active', 'retiring', 'retiring', 'retiring', 'retiring']));
  });
});

describe('discovery', () => {
  test('tells what each path can do (SA-1)', async () => {
    const key = await aKey();
    const options = async (path: string) => {
      const { headers } = await call('OPTIONS', path, key);
      return [headers.get('allow'), headers.get('accept-patch')];
    };
    expect(await options('/v1/subscriptions')).toEqual(['GET,POST,DELETE,OPTIONS', null]);
    expect(await options('/v1/subscriptions/x')).toEqual([
      'GET,PUT,PATCH,DELETE,OPTIONS',
      'application/merge-patch+json',
    ]);
    expect(await options('/v1/subscriptions/x/pause')).toEqual(['POST,OPTIONS', null]);
    expect(await options('/v1/subscriptions/x/history')).toEqual(['GET,OPTIONS', null]);
    expect((await call('GET', '/v1/subscriptions/x/pause', key)).status).toBe(405);
  });
});

describe('the header prefix of a tenant', () => {
  /** In one of the processes; its subscriptions come to another one right after. */
  const putPrefix = (tenant: string, headerPrefix: string) =>
    call('PUT', `/v1/tenants/${tenant}`, adminToken, { body: { policy: { headerPrefix } } }, 1);
  const own = { protocolsettings: { headers: { 'Acme-Id': 'mine' } } };
  const hmac = { config: { ...unasked, signature: { profile: 'hmac-timestamp' } } };
  const signatureOf = (answer: Answer) => answer.json<SubscriptionResource>().config.signature;

  test('is shown, and refused where it has another meaning', async () => {
    const tenant = aTenantId();
    const key = await aKey(tenant);
    expect((await putPrefix(tenant, 'acme')).json()).toMatchObject({ policy: { headerPrefix: 'acme' } });
    expect((await call('GET', `/v1/tenants/${tenant}`, key)).json()).toMatchObject({
      policy: { headerPrefix: 'acme' },
    });
    const refused = await putPrefix(tenant, 'ce');
    expect([codeOf(refused), pointersOf(refused)]).toEqual([[400, 'invalid-body'], ['/policy/headerPrefix']]);
  });

  test('reserves its headers in whatever changes a subscription from then on (SA-9)', async () => {
    const tenant = aTenantId();
    const key = await aKey(tenant);
    await putPrefix(tenant, 'acme');
    const made = await subscribe(key);
    const changes = [
      ['POST', '/v1/subscriptions', { ...minimal, ...own }],
      ['PUT', made.path, { ...minimal, ...own }],
      ['PATCH', made.path, own],
    ] as const;
    for (const [method, path, body] of changes) {
      const refused = await call(method, path, key, { body });
      expect([codeOf(refused), pointersOf(refused)]).toEqual([
        [400, 'invalid-body'],
        ['/protocolsettings/headers/Acme-Id'],
      ]);
    }
    await subscribe(await aKey(), own);
  });

  test('names the headers of hmac-timestamp when a subscription is made; its own stay (SA-11)', async () => {
    const tenant = aTenantId();
    const key = await aKey(tenant);
    const before = await subscribe(key, hmac);
    await putPrefix(tenant, 'acme');
    const after = await subscribe(key, hmac);
    const acme = { signature: 'x-acme-signature', id: 'x-acme-id' };
    const usual = { signature: 'x-webhook-signature', id: 'x-webhook-id' };
    expect([signatureOf(before), signatureOf(after)]).toMatchObject([{ headerNames: usual }, { headerNames: acme }]);
    const patched = await call('PATCH', before.path, key, { body: { types: ['a.b'] } });
    expect(signatureOf(patched)).toMatchObject({ headerNames: usual });
    const again = { config: { signature: { headerNames: null } } };
    expect(signatureOf(await call('PATCH', before.path, key, { body: again }))).toMatchObject({ headerNames: acme });
  });

  test('is refused while a subscription sets one of its headers, which is named', async () => {
    const tenant = aTenantId();
    const key = await aKey(tenant);
    const [header, credential] = [
      await subscribe(key, own),
      await subscribe(key, { sinkcredential: { credentialtype: 'APIKEY', header: 'ACME-signature', value: 'k' } }),
    ];
    await subscribe(key, { protocolsettings: { headers: { 'acme-team': 'blue' } } });
    const refused = await putPrefix(tenant, 'acme');
    expect(codeOf(refused)).toEqual([409, 'header-prefix-taken']);
    expect(refused.json<ProblemBody>()).toMatchObject({
      detail: expect.stringContaining('2 subscriptions'),
      errors: [header, credential].map(({ path }) => ({
        pointer: '/policy/headerPrefix',
        detail: expect.stringContaining(path.split('/').at(-1) ?? '-'),
      })),
    });
    expect((await call('GET', `/v1/tenants/${tenant}`, key)).json()).toMatchObject({
      policy: { headerPrefix: 'webhook' },
    });
    expect((await putPrefix(tenant, 'bcme')).status).toBe(200);
    await call('PATCH', header.path, key, { body: { protocolsettings: null } });
    await call('DELETE', credential.path, key);
    expect((await putPrefix(tenant, 'acme')).status).toBe(200);
  });
});
