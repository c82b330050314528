import { describe, expect, test } from '@jest/globals';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { DeliveryRedelivered } from '#contracts/bus/facts';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { CloudEvent } from '#core/event/cloud-event';
import { deliveryIdInput, makeDeliveryId, type DeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import { sha256 } from '#platform/digest';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeBeginRound, type BeginRoundPorts } from './begin-round.ts';
import { makeRedeliver, type RedeliverableDelivery, type RedeliverPorts } from './redeliver.ts';

const tenant = 'acme' as TenantId;
const subscriptionId = 'sub_1' as SubscriptionId;
const id = makeDeliveryId(sha256(deliveryIdInput(tenant, '/s', '1', subscriptionId)));
const nowMs = 2_000_000;

const event: CloudEvent = {
  attributes: new Map([
    ['source', '/s'],
    ['id', '1'],
  ]),
};
const subscription = aSubscription({
  id: subscriptionId,
  tenant,
  spec: aSpec({ config: { retry: { ...DEFAULT_RETRY_POLICY, deadlineSeconds: 60 } } }),
});
const dead: RedeliverableDelivery = {
  id,
  tenant,
  subscription: subscriptionId,
  event: { seq: 7 },
  acceptedAtMs: 1000,
  state: 'dead',
  attempts: [{ number: 1 }, { number: 2 }],
};

type Ports = BeginRoundPorts & Pick<RedeliverPorts, 'findDelivery'>;

/** What was sent to the dead letter sink about it. */
const copy = 'dlv_2' as DeliveryId;

function setUp(change: Partial<Ports> = {}) {
  const published: { task?: DeliveryTask; fact?: DeliveryRedelivered; msgId: string }[] = [];
  const ports: Ports = {
    findDelivery: () => Promise.resolve(dead),
    findSubscription: () => Promise.resolve(subscription),
    readEvent: () => Promise.resolve(event),
    sha256,
    publishTask: (task, msgId) => Promise.resolve(void published.push({ task, msgId })),
    publishFact: (fact, msgId) => Promise.resolve(void published.push({ fact, msgId })),
    ...change,
  };
  const redeliver = makeRedeliver({ ...ports, beginRound: makeBeginRound(ports), now: () => nowMs });
  return { published, redeliver: () => redeliver(tenant, id, { by: 'admin', from: '192.0.2.1' }) };
}

describe('redelivering', () => {
  test('begins a new round after the last attempt, with a fresh deadline, and tells of it afterwards', async () => {
    const { published, redeliver } = setUp();
    expect(await redeliver()).toEqual({ kind: 'accepted', attempt: 3 });
    expect(published).toEqual([
      {
        msgId: `${id}-7:r3`,
        task: {
          delivery: id,
          tenant,
          subscription: subscriptionId,
          eventSeq: 7,
          acceptedAtMs: 1000,
          attempt: 3,
          firstAttempt: 3,
          deadlineAtMs: nowMs + 60_000,
          event: { kind: 'inline', value: event },
        },
      },
      {
        msgId: `r:${id}-7:3`,
        fact: {
          kind: 'redelivered',
          delivery: id,
          tenant,
          subscription: subscriptionId,
          eventSeq: 7,
          acceptedAtMs: 1000,
          attempt: 3,
          atMs: nowMs,
          by: 'admin',
          from: '192.0.2.1',
        },
      },
    ]);
  });

  test('sends a large event by reference', async () => {
    const large: CloudEvent = { ...event, data: { bytes: new Uint8Array(5000), form: 'bytes' } };
    const { published, redeliver } = setUp({ readEvent: () => Promise.resolve(large) });
    await redeliver();
    expect(published[0]?.task?.event).toEqual({ kind: 'reference' });
  });

  test('may repeat what was delivered', async () => {
    const { redeliver } = setUp({ findDelivery: () => Promise.resolve({ ...dead, state: 'delivered' }) });
    expect(await redeliver()).toMatchObject({ kind: 'accepted' });
  });

  test.each<[Partial<Ports>, string]>([
    [{ findDelivery: () => Promise.resolve(undefined) }, 'not_found'],
    [{ findDelivery: () => Promise.resolve({ ...dead, state: 'retrying' }) }, 'in_progress'],
    [{ findDelivery: () => Promise.resolve({ ...dead, state: 'pending' }) }, 'in_progress'],
    [{ findSubscription: () => Promise.resolve(undefined) }, 'subscription_deleted'],
    [{ findSubscription: () => Promise.resolve({ ...subscription, state: 'disabled' }) }, 'subscription_ended'],
    [{ readEvent: () => Promise.resolve(undefined) }, 'event_gone'],
    [{ findDelivery: () => Promise.resolve({ ...dead, id: copy }) }, 'dead_letter'],
  ])('publishes nothing otherwise (%#: %s)', async (change, kind) => {
    const { published, redeliver } = setUp(change);
    expect(await redeliver()).toMatchObject({ kind });
    expect(published).toEqual([]);
  });
});
