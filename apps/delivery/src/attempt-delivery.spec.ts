import { describe, expect, test } from '@jest/globals';
import type { CloudEvent } from '#core/event/cloud-event';
import type { Exchange } from '#core/delivery/outcome';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { Subscription, SubscriptionSpec } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { SignRequest } from '#contracts/bus/sign';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { SignatureRefused } from './sign-client.ts';
import {
  makeAttemptDelivery,
  type AttemptPorts,
  type CompletedAttempt,
  type HeldDelivery,
} from './attempt-delivery.ts';

const acme = 'acme' as TenantId;
const ACCEPTED_AT = 1_000_000;
const HOUR_MS = 3_600_000;

const event: CloudEvent = {
  attributes: new Map([
    ['specversion', '1.0'],
    ['id', 'e1'],
    ['source', '/s'],
    ['type', 't'],
  ]),
  data: { bytes: new TextEncoder().encode('{"n":1.10}'), form: 'json' },
};

const task: DeliveryTask = {
  delivery: 'dlv_1' as DeliveryId,
  tenant: acme,
  subscription: 'sub_1' as SubscriptionId,
  eventSeq: 7,
  acceptedAtMs: ACCEPTED_AT,
  attempt: 1,
  firstAttempt: 1,
  event: { kind: 'inline', value: event },
};

function subscription(config: Partial<SubscriptionSpec['config']> = {}): Subscription {
  const spec = aSpec({
    sink: 'https://sink.example/hook',
    config: { retry: { ...DEFAULT_RETRY_POLICY, jitter: 0 }, ...config },
  });
  return aSubscription({ id: task.subscription, tenant: acme, spec });
}

const refused: SignRequest = {
  subscription: task.subscription,
  tenant: acme,
  messageId: task.delivery,
  timestampSeconds: 0,
  body: new Uint8Array(),
};

const ok: Exchange = { kind: 'response', status: 204 };

function attempt(overrides: Partial<AttemptPorts> & { exchange?: Exchange; nowMs?: number } = {}) {
  const { exchange = ok, nowMs = ACCEPTED_AT, ...ports } = overrides;
  const reported: string[] = [];
  const posted: { url: string; headers: Map<string, string>; body: string }[] = [];
  const published: { server: string; subject: string; headers: Map<string, string>; payload: string }[] = [];
  const attempts = makeAttemptDelivery(
    {
      findSubscription: () => Promise.resolve(subscription()),
      readEvent: () => Promise.resolve(undefined),
      pauseFor: () => undefined,
      identityOf: () => Promise.resolve(undefined),
      sign: ({ messageId, timestampSeconds }) =>
        Promise.resolve([
          ['webhook-id', messageId],
          ['webhook-timestamp', String(timestampSeconds)],
          ['webhook-signature', 'v1,x'],
        ]),
      post(url, headers, body) {
        posted.push({ url, headers: new Map(headers), body: new TextDecoder().decode(body) });
        return Promise.resolve(exchange);
      },
      publish(server, subject, headers, payload) {
        published.push({ server, subject, headers: new Map(headers), payload: new TextDecoder().decode(payload) });
        return Promise.resolve({ kind: 'published' });
      },
      childTraceparent: (parent) => `child of ${parent}`,
      now: () => nowMs,
      reportRefusal: ({ reason }) => {
        reported.push(reason);
      },
      random: () => 0.5,
      batchIdOf: (members) => `batch of ${members.join(' ')}`,
      deadLetterIdOf: (delivery) => `${delivery}_dead` as DeliveryId,
      ...ports,
    },
    { userAgentOf: () => 'Posthaste/test', origin: 'posthaste.example' },
  );
  const tryDelivery = async (one: DeliveryTask): Promise<CompletedAttempt | HeldDelivery> => {
    const prepared = await attempts.prepare(one);
    return 'target' in prepared ? attempts.send(prepared) : prepared;
  };
  const attemptDelivery = async (one: DeliveryTask): Promise<CompletedAttempt> => {
    const result = await tryDelivery(one);
    if ('held' in result) throw new Error(`held until ${result.untilMs}`);
    return result;
  };
  return { posted, reported, published, attemptDelivery, tryDelivery, attempts };
}

describe('one attempt', () => {
  test('it posts the signed event to the sink, data untouched', async () => {
    const { posted, attemptDelivery } = attempt();
    const { fact, nextTask } = await attemptDelivery(task);
    expect(posted).toHaveLength(1);
    expect(posted[0]?.url).toBe('https://sink.example/hook');
    expect(posted[0]?.body).toContain('"data":{"n":1.10}');
    expect(posted[0]?.headers.get('content-type')).toBe('application/cloudevents+json; charset=UTF-8');
    expect(posted[0]?.headers.get('user-agent')).toBe('Posthaste/test');
    expect(posted[0]?.headers.get('webhook-id')).toBe('dlv_1');
    expect(fact).toMatchObject({
      attempt: 1,
      request: { outcome: 'delivered', status: 204 },
      next: { kind: 'delivered' },
    });
    expect(nextTask).toBeUndefined();
  });

  test('it sends attributes as headers and data as the body in binary mode (HB-3)', async () => {
    const { posted, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve(subscription({ contentMode: 'binary' })),
    });
    await attemptDelivery(task);
    expect(posted[0]?.body).toBe('{"n":1.10}');
    expect(posted[0]?.headers.get('ce-id')).toBe('e1');
  });

  test('it asks nobody to sign when the profile is none', async () => {
    const { posted, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve(subscription({ signature: { profile: 'none' } })),
      sign: () => Promise.reject(new Error('must not be asked')),
    });
    await attemptDelivery(task);
    expect(posted[0]?.headers.has('webhook-signature')).toBe(false);
  });

  test('it goes on with the trace of the event rather than that of the request', async () => {
    const traced: CloudEvent = {
      ...event,
      attributes: new Map([...event.attributes, ['traceparent', 'of the event']]),
    };
    const { posted, attemptDelivery } = attempt();
    await attemptDelivery({ ...task, traceparent: 'of the request', event: { kind: 'inline', value: traced } });
    expect(posted[0]?.headers.get('traceparent')).toBe('child of of the event');
  });

  test('it names the granted origin to a sink that has consented, on each notification (WH-4)', async () => {
    const validation = { status: 'granted', attempts: 1, grantedOrigin: 'granted.example' } as const;
    const { posted, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve({ ...subscription(), validation }),
    });
    await attemptDelivery(task);
    expect(posted[0]?.headers.get('webhook-request-origin')).toBe('granted.example');
  });

  test('it asks for a second attempt after a failure, with the deadline fixed', async () => {
    const { attemptDelivery } = attempt({ exchange: { kind: 'response', status: 500 } });
    const { fact, nextTask } = await attemptDelivery(task);
    expect(fact.next).toEqual({ kind: 'retry', atMs: ACCEPTED_AT + 10_000 });
    expect(nextTask).toMatchObject({ attempt: 2, firstAttempt: 1, deadlineAtMs: ACCEPTED_AT + 24 * HOUR_MS });
  });

  test('it records what went wrong without a response', async () => {
    const { attemptDelivery } = attempt({
      exchange: { kind: 'error', error: 'connect_refused', message: 'nobody listens' },
    });
    const { fact } = await attemptDelivery(task);
    expect(fact.request).toEqual({ outcome: 'retryable', error: 'connect_refused', message: 'nobody listens' });
  });

  test('it never waits less than Retry-After asks (WH-5)', async () => {
    const { attemptDelivery } = attempt({ exchange: { kind: 'response', status: 429, retryAfter: '120' } });
    const { fact } = await attemptDelivery(task);
    expect(fact.next).toMatchObject({ kind: 'retry' });
    expect(fact.next.kind === 'retry' ? fact.next.atMs : 0).toBeGreaterThanOrEqual(ACCEPTED_AT + 120_000);
  });

  test.each(['too_large', 'unsignable'] as const)('it ends for good what is %s for a signature', async (reason) => {
    const { posted, attemptDelivery } = attempt({ sign: () => Promise.reject(new SignatureRefused(reason, refused)) });
    expect(await attemptDelivery(task)).toMatchObject({ fact: { next: { kind: 'dead', reason: 'unsignable' } } });
    expect(posted).toEqual([]);
  });

  test('it waits, and tells the operator, while the signer has another master key', async () => {
    const sign = () => Promise.reject(new SignatureRefused('wrong_master_key', refused));
    const { posted, reported, tryDelivery } = attempt({ sign });
    expect(await tryDelivery(task)).toMatchObject({ held: { attempt: 1, holds: 1 } });
    expect(reported).toEqual(['wrong_master_key']);
    expect(posted).toEqual([]);
  });

  describe('with a credential', () => {
    const spec = { ...subscription().spec, sinkcredential: { credentialtype: 'REFRESHTOKEN' } } as const;
    const findSubscription = () => Promise.resolve({ ...subscription(), spec });
    const sign = (asked: SignRequest[]) => (request: SignRequest) => {
      asked.push(request);
      return Promise.resolve([['authorization', 'Bearer the-token']] as const);
    };

    test('it asks for the header that authorizes it, for this sink', async () => {
      const asked: SignRequest[] = [];
      const { posted, attemptDelivery } = attempt({ findSubscription, sign: sign(asked) });
      await attemptDelivery(task);
      expect(asked).toMatchObject([{ authorization: { sink: 'https://sink.example/hook' } }]);
      expect(posted[0]?.headers.get('authorization')).toBe('Bearer the-token');
    });

    test('it asks for a header alone when the profile is none, without the body', async () => {
      const asked: SignRequest[] = [];
      const config = { ...spec.config, signature: { profile: 'none' } } as const;
      const unsigned = { ...subscription(), spec: { ...spec, config } };
      await attempt({ findSubscription: () => Promise.resolve(unsigned), sign: sign(asked) }).attemptDelivery(task);
      expect(asked[0]?.body).toHaveLength(0);
    });

    test('it waits, and sends no signature of an empty body, when the signer knows of a profile already that it does not', async () => {
      const config = { ...spec.config, signature: { profile: 'none' } } as const;
      const unsigned = { ...subscription(), spec: { ...spec, config } };
      const { posted, tryDelivery } = attempt({
        findSubscription: () => Promise.resolve(unsigned),
        sign: () =>
          Promise.resolve([['webhook-signature', 'v1,of nothing'] as const, ['authorization', 'Bearer a'] as const]),
      });
      expect(await tryDelivery(task)).toMatchObject({ held: { attempt: 1 } });
      expect(posted).toEqual([]);
    });

    test('it is tried once more after a 401, at once, with a credential that is fresher', async () => {
      const asked: SignRequest[] = [];
      const exchange = { kind: 'response', status: 401 } as const;
      const { attemptDelivery } = attempt({ findSubscription, sign: sign(asked), exchange });
      const { nextTask } = await attemptDelivery(task);
      expect(nextTask).toMatchObject({ attempt: 2, credentialRefusedAtMs: ACCEPTED_AT, dueAtMs: ACCEPTED_AT });
      const second = await attemptDelivery(nextTask as DeliveryTask);
      expect(asked[1]).toMatchObject({ authorization: { refusedAtMs: ACCEPTED_AT } });
      expect(second.fact.next).toEqual({ kind: 'dead', reason: 'rejected_by_sink' });
    });

    test('it keeps nothing of it in the record of an answer that repeats it (WH-8)', async () => {
      const exchange: Exchange = { kind: 'response', status: 500, body: { text: 'got the-token', truncated: false } };
      const { fact } = await attempt({ findSubscription, sign: sign([]), exchange }).attemptDelivery(task);
      expect(fact.request?.responseBody).toBe('got [secret]');
    });

    test('it makes the header anew when the request had to wait for its turn (SA-10)', async () => {
      const asked: SignRequest[] = [];
      let nowMs = ACCEPTED_AT;
      const { attempts } = attempt({ findSubscription, sign: sign(asked), now: () => nowMs });
      const ready = await attempts.prepare(task);
      if (!('target' in ready)) throw new Error('not ready');
      for (const waitMs of [5_000, 5_001]) {
        await attempts.send(ready, async (makeReady) => {
          nowMs += waitMs;
          await makeReady?.();
        });
      }
      expect(asked).toHaveLength(3);
    });

    test.each(['credential_expired', 'credential_refused'] as const)(
      'it waits, and the subscription is paused, when that is %s',
      async (reason) => {
        const paused: string[] = [];
        const { posted, reported, tryDelivery } = attempt({
          findSubscription,
          sign: () => Promise.reject(new SignatureRefused(reason, refused, 'it is over')),
          pauseFor: (...[cause, { id }, detail]) => paused.push(`${id} ${cause}: ${detail}`),
        });
        expect(await tryDelivery(task)).toMatchObject({ held: { attempt: 1, holds: 1 } });
        expect(paused).toEqual([`${task.subscription} ${reason}: it is over`]);
        expect([posted, reported]).toEqual([[], []]);
      },
    );
  });

  test.each([
    ['the deadline has passed', { nowMs: ACCEPTED_AT + 25 * HOUR_MS }, 'deadline_passed'],
    ['the subscription is deleted', { findSubscription: () => Promise.resolve(undefined) }, 'subscription_deleted'],
  ] as const)('it sends nothing when %s', async (_when, overrides, reason) => {
    const { posted, attemptDelivery } = attempt(overrides);
    const { fact } = await attemptDelivery(task);
    expect(posted).toEqual([]);
    expect(fact).toMatchObject({ next: { kind: 'dead', reason } });
    expect(fact.request).toBeUndefined();
  });

  test('it sends nothing when the event it refers to is no longer kept', async () => {
    const { posted, attemptDelivery } = attempt();
    const { fact } = await attemptDelivery({ ...task, event: { kind: 'reference' } });
    expect(posted).toEqual([]);
    expect(fact.next).toEqual({ kind: 'dead', reason: 'event_expired_from_store' });
  });
});

describe('an attempt that has to wait for its turn', () => {
  const onNats: Subscription = {
    ...subscription(),
    spec: {
      ...subscription().spec,
      sink: 'nats://nats.example:4222',
      protocol: 'NATS',
      protocolsettings: { subject: 'orders.created' },
    } as SubscriptionSpec,
  };

  test.each([
    ['HTTP', subscription({ authorization: 'none' })],
    ['NATS', onNats],
  ])('is signed with the time at which it is sent, over %s (SW-1, MS-6)', async (_protocol, target) => {
    let nowMs = ACCEPTED_AT;
    const findSubscription = () => Promise.resolve(target);
    const { posted, published, attempts } = attempt({ findSubscription, now: () => nowMs });
    const ready = await attempts.prepare(task);
    if (!('target' in ready)) throw new Error('not ready');
    await attempts.send(ready, async (makeReady) => {
      nowMs += 60_000;
      await makeReady?.();
    });
    const [sent] = [...posted, ...published];
    expect(sent?.headers.get('webhook-timestamp')).toBe(String((ACCEPTED_AT + 60_000) / 1000));
  });
});

describe('a delivery over NATS', () => {
  const onNats = (contentMode: 'structured' | 'binary'): Subscription => {
    const {
      sink: _sink,
      protocol: _protocol,
      protocolsettings: _settings,
      ...spec
    } = subscription({ contentMode }).spec;
    const transmission = { protocol: 'NATS', protocolsettings: { subject: 'orders.created' } } as const;
    return { ...subscription(), spec: { ...spec, sink: 'nats://nats.example:4222', ...transmission } };
  };

  test('it publishes in binary mode: the data as payload, attributes and signature as headers (NB-3)', async () => {
    const { posted, published, attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve(onNats('binary')),
    });
    const { fact } = await attemptDelivery(task);
    expect(fact).toMatchObject({ request: { outcome: 'delivered' }, next: { kind: 'delivered' } });
    expect([posted.length, published.length]).toEqual([0, 1]);
    expect(published[0]).toMatchObject({ server: 'nats://nats.example:4222', subject: 'orders.created' });
    expect(published[0]?.payload).toBe('{"n":1.10}');
    expect([...(published[0]?.headers.keys() ?? [])]).toEqual([
      'ce-specversion',
      'ce-id',
      'ce-source',
      'ce-type',
      'webhook-id',
      'webhook-timestamp',
      'webhook-signature',
      'traceparent',
    ]);
  });

  test('it publishes structured with the content type as the only header of the binding (NB-2)', async () => {
    const { published, attemptDelivery } = attempt({ findSubscription: () => Promise.resolve(onNats('structured')) });
    await attemptDelivery(task);
    expect(published[0]?.headers.get('Content-Type')).toBe('application/cloudevents+json; charset=UTF-8');
    expect(published[0]?.payload).toContain('"data":{"n":1.10}');
  });

  test('it ends at once when the server refuses for good, and goes on when it is away', async () => {
    const answering = (error: 'permission_denied' | 'connect_refused') =>
      attempt({
        findSubscription: () => Promise.resolve(onNats('binary')),
        publish: () => Promise.resolve({ kind: 'error', error, message: 'no' }),
      }).attemptDelivery(task);
    expect((await answering('permission_denied')).fact.next).toEqual({ kind: 'dead', reason: 'rejected_by_sink' });
    expect((await answering('connect_refused')).fact.next.kind).toBe('retry');
  });
});

describe('the state of the subscription', () => {
  const inState = (state: Subscription['state'], stateReason = '') => ({
    findSubscription: () => Promise.resolve({ ...subscription(), state, stateReason }),
  });

  test.each<[Subscription['state'], string]>([
    ['disabled', 'the sink fails'],
    ['retired', 'gone'],
    ['expired', 'validation_deadline'],
  ])('it ends when that is %s (%s), without a request', async (state, reason) => {
    const { posted, attemptDelivery } = attempt(inState(state, reason));
    const { fact } = await attemptDelivery(task);
    expect(fact.next).toEqual({ kind: 'dead', reason: 'subscription_disabled' });
    expect(posted).toEqual([]);
  });

  test('it is sent to a subscription that has got all it asked for: this is a part of that', async () => {
    const { posted, attemptDelivery } = attempt(inState('expired', 'max_events'));
    await attemptDelivery(task);
    expect(posted).toHaveLength(1);
  });

  test('it is sent with the headers that the subscriber set (SA-9)', async () => {
    const { spec } = subscription();
    const protocolsettings = { method: 'POST', headers: { 'X-Team': 'blue' } } as const;
    const { posted, attemptDelivery } = attempt({
      findSubscription: () =>
        Promise.resolve({
          ...subscription(),
          spec: { ...spec, protocol: 'HTTP', protocolsettings } as SubscriptionSpec,
        }),
    });
    await attemptDelivery(task);
    expect(posted[0]?.headers.get('X-Team')).toBe('blue');
  });
});

describe('what follows from an attempt', () => {
  const attemptAnswered = (status: number, config: Partial<SubscriptionSpec['config']> = {}) =>
    attempt({
      exchange: { kind: 'response', status },
      findSubscription: () => Promise.resolve(subscription(config)),
    });

  test('the next attempt knows for which instant it was made, and nothing of an earlier wait for its signature', async () => {
    const { nextTask } = await attemptAnswered(500).attemptDelivery({ ...task, holds: 7 });
    expect(nextTask).toMatchObject({ attempt: 2, dueAtMs: ACCEPTED_AT + 10_000 });
    expect(nextTask).not.toHaveProperty('holds');
  });

  test('a 415 is followed at once by the other content mode, which stays, and once only', async () => {
    const { posted, attemptDelivery } = attemptAnswered(415);
    const { fact, nextTask } = await attemptDelivery(task);
    expect(fact.next).toEqual({ kind: 'retry', atMs: ACCEPTED_AT });
    expect(nextTask).toMatchObject({ attempt: 2, contentModeFallback: 'binary' });
    const second = await attemptDelivery(nextTask ?? task);
    expect(posted.map(({ headers }) => headers.get('ce-id'))).toEqual([undefined, 'e1']);
    expect(second.fact.next).toEqual({ kind: 'dead', reason: 'rejected_by_sink' });
  });

  test('nothing is sent of an event whose expirytime has come', async () => {
    const expired = { ...event, attributes: new Map([...event.attributes, ['expirytime', '1970-01-01T00:00:01Z']]) };
    const { posted, attemptDelivery } = attempt();
    const { fact } = await attemptDelivery({ ...task, event: { kind: 'inline', value: expired } });
    expect(fact.next).toEqual({ kind: 'dead', reason: 'event_expired' });
    expect(posted).toEqual([]);
  });

  test('the subscriber may say what a status means', async () => {
    const retry = { ...DEFAULT_RETRY_POLICY, jitter: 0, outcomes: { 409: 'retry' } } as const;
    expect((await attemptAnswered(409, { retry }).attemptDelivery(task)).fact.next.kind).toBe('retry');
  });

  test('it tells how long the sink wants to be left alone', async () => {
    const exchange: Exchange = { kind: 'response', status: 429, retryAfter: '120' };
    expect((await attempt({ exchange }).attemptDelivery(task)).exchange).toEqual({
      outcome: 'throttled',
      status: 429,
      askedUntilMs: ACCEPTED_AT + 120_000,
    });
  });
});

describe('a dead letter sink', () => {
  const deadLetterSink = 'https://dead.example/letters';
  const dying = () =>
    attempt({
      exchange: { kind: 'response', status: 400 },
      findSubscription: () => Promise.resolve({ ...subscription({ deadLetterSink }), state: 'active' }),
    });

  test('is a delivery of its own, with as much time as the first had', async () => {
    const { deadLetterTask } = await dying().attemptDelivery({ ...task, deadlineAtMs: ACCEPTED_AT + 1, attempt: 3 });
    expect(deadLetterTask).toMatchObject({
      delivery: 'dlv_1_dead',
      subscription: task.subscription,
      eventSeq: task.eventSeq,
      attempt: 1,
      firstAttempt: 1,
      deadlineAtMs: ACCEPTED_AT + 24 * HOUR_MS,
      deadLetter: { reason: 'rejected_by_sink', attempts: 3, status: 400 },
    });
  });

  test('gets the event with what became of it, and never a dead letter of its own', async () => {
    const { posted, attemptDelivery } = dying();
    const { deadLetterTask } = await attemptDelivery(task);
    const second = await attemptDelivery(deadLetterTask ?? task);
    expect(posted[1]?.url).toBe(deadLetterSink);
    expect(posted[1]?.headers.get('webhook-id')).toBe('dlv_1_dead');
    expect(JSON.parse(posted[1]?.body ?? '')).toEqual({
      specversion: '1.0',
      id: 'e1',
      source: '/s',
      type: 't',
      deadletterreason: 'rejected_by_sink',
      deadletterstatus: 400,
      deadletterattempts: 1,
      deadlettersubscription: 'sub_1',
      data: { n: 1.1 },
    });
    expect(second.fact.next).toEqual({ kind: 'dead', reason: 'rejected_by_sink' });
    expect(second).not.toHaveProperty('deadLetterTask');
  });

  test('is told of what ended without a request, too, though the subscription is disabled by then', async () => {
    const { attemptDelivery } = attempt({
      findSubscription: () => Promise.resolve({ ...subscription({ deadLetterSink }), state: 'disabled' }),
    });
    const { deadLetterTask } = await attemptDelivery({ ...task, attempt: 4 });
    expect(deadLetterTask?.deadLetter).toEqual({ reason: 'subscription_disabled', attempts: 3 });
  });
});

describe('a batch', () => {
  const other: DeliveryTask = { ...task, delivery: 'dlv_2' as DeliveryId, attempt: 2 };
  const sendBoth = async (exchange: Exchange) => {
    const { posted, attempts } = attempt({ exchange });
    const ready = await Promise.all([task, other].map((one) => attempts.prepare(one)));
    const [first, second] = ready.flatMap((one) => ('target' in one ? [one] : []));
    if (first === undefined || second === undefined) throw new Error('not ready');
    return { posted, results: await attempts.sendBatch([first, second]) };
  };

  test('is one request with all events, each byte by byte, under an id of its members (JF-8)', async () => {
    const { posted, results } = await sendBoth(ok);
    expect(posted).toHaveLength(1);
    expect(posted[0]?.headers.get('content-type')).toBe('application/cloudevents-batch+json; charset=UTF-8');
    expect(posted[0]?.headers.get('webhook-id')).toBe('batch of dlv_1 dlv_2');
    const member = '{"specversion":"1.0","id":"e1","source":"/s","type":"t","data":{"n":1.10}}';
    expect(posted[0]?.body).toBe(`[${member},${member}]`);
    expect(results).toMatchObject([{ fact: { delivery: 'dlv_1' } }, { fact: { delivery: 'dlv_2' } }]);
  });

  test('means for each member what it means for one: each goes on by its own schedule', async () => {
    const { results } = await sendBoth({ kind: 'response', status: 500 });
    expect(results).toMatchObject([
      { fact: { request: { status: 500 }, next: { kind: 'retry', atMs: ACCEPTED_AT + 10_000 } } },
      { fact: { request: { status: 500 }, next: { kind: 'retry', atMs: ACCEPTED_AT + 30_000 } } },
    ]);
  });

  test('that is answered 415 is given up: there is no other mode for it', async () => {
    const { results } = await sendBoth({ kind: 'response', status: 415 });
    expect(results).toMatchObject([{ fact: { next: { kind: 'dead' } } }, { fact: { next: { kind: 'dead' } } }]);
  });
});
