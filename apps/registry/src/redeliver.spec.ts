import { describe, expect, test } from '@jest/globals';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { DeliveryRedelivered } from '#contracts/bus/facts';
import { DEFAULT_RETRY_POLICY } from '#core/delivery/retry-policy';
import type { CloudEvent } from '#core/event/cloud-event';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeRedeliver, type RedeliverableDelivery, type RedeliverPorts } from './redeliver.ts';

const tenant = 'acme' as TenantId;
const id = 'dlv_1' as DeliveryId;
const subscriptionId = 'sub_1' as SubscriptionId;
const nowMs = 2_000_000;

const event: CloudEvent = { attributes: new Map([['id', '1']]) };
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

function setUp(change: Partial<RedeliverPorts> = {}) {
  const published: { task?: DeliveryTask; fact?: DeliveryRedelivered; msgId: string }[] = [];
  const redeliver = makeRedeliver({
    findDelivery: () => Promise.resolve(dead),
    findSubscription: () => Promise.resolve(subscription),
    readEvent: () => Promise.resolve(event),
    publishTask: (task, msgId) => Promise.resolve(void published.push({ task, msgId })),
    publishFact: (fact, msgId) => Promise.resolve(void published.push({ fact, msgId })),
    now: () => nowMs,
    ...change,
  });
  return { published, redeliver: () => redeliver(tenant, id, 'admin') };
}

describe('redelivering', () => {
  test('begins a new round after the last attempt, with a fresh deadline, and tells of it afterwards', async () => {
    const { published, redeliver } = setUp();
    expect(await redeliver()).toEqual({ kind: 'accepted', attempt: 3 });
    expect(published).toEqual([
      {
        msgId: 'dlv_1:r3',
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
        msgId: 'r:dlv_1:3',
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

  test.each<[Partial<RedeliverPorts>, string]>([
    [{ findDelivery: () => Promise.resolve(undefined) }, 'not_found'],
    [{ findDelivery: () => Promise.resolve({ ...dead, state: 'retrying' }) }, 'in_progress'],
    [{ findDelivery: () => Promise.resolve({ ...dead, state: 'pending' }) }, 'in_progress'],
    [{ findSubscription: () => Promise.resolve(undefined) }, 'subscription_deleted'],
    [{ readEvent: () => Promise.resolve(undefined) }, 'event_gone'],
  ])('publishes nothing otherwise (%#: %s)', async (change, kind) => {
    const { published, redeliver } = setUp(change);
    expect(await redeliver()).toMatchObject({ kind });
    expect(published).toEqual([]);
  });
});
