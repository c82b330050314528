import fc from 'fast-check';
import type { AttemptMade, DeliveryRedelivered, EventMatched, Fact } from '#contracts/bus/facts';
import type { NextStep } from '#core/delivery/outcome';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { SequencedFact } from '#store/fold-facts';

/** 2026-11-22T12:00:00Z */
export const NOON = 1_795_348_800_000;
export const ACME = 'acme' as TenantId;

export function deliveryId(n: number): DeliveryId {
  return `dlv_${String(n).padStart(26, '0')}` as DeliveryId;
}

export function subscriptionId(n: number): SubscriptionId {
  return `sub_${String(n).padStart(26, '0')}` as SubscriptionId;
}

const EVENT = {
  tenant: ACME,
  eventSeq: 1,
  acceptedAtMs: NOON,
  source: '/orders',
  id: 'event-1',
  type: 'com.example.order.placed',
};

export function aMatched(given: Partial<EventMatched> = {}): EventMatched {
  return {
    kind: 'matched',
    ...EVENT,
    atMs: NOON + 5,
    matchCount: 1,
    matches: [{ delivery: deliveryId(1), subscription: subscriptionId(1) }],
    ...given,
  };
}

export function anAttempt(given: Partial<AttemptMade> = {}): AttemptMade {
  return {
    kind: 'attempt',
    ...EVENT,
    delivery: deliveryId(1),
    subscription: subscriptionId(1),
    attempt: 1,
    startedAtMs: NOON + 10,
    durationMs: 20,
    request: { outcome: 'delivered', status: 200 },
    next: { kind: 'delivered' },
    ...given,
  };
}

export function aRedelivered(given: Partial<DeliveryRedelivered> = {}): DeliveryRedelivered {
  return {
    kind: 'redelivered',
    tenant: ACME,
    delivery: deliveryId(1),
    subscription: subscriptionId(1),
    eventSeq: 1,
    acceptedAtMs: NOON,
    attempt: 2,
    atMs: NOON + 50_000,
    by: 'admin',
    ...given,
  };
}

const next: fc.Arbitrary<NextStep> = fc.oneof(
  fc.constant<NextStep>({ kind: 'delivered' }),
  fc.nat(100_000).map((n): NextStep => ({ kind: 'retry', atMs: NOON + n })),
  fc.constantFrom<NextStep>({ kind: 'dead', reason: 'gone' }, { kind: 'dead', reason: 'deadline_passed' }),
);

const fact: fc.Arbitrary<Fact> = fc
  .record({ n: fc.integer({ min: 1, max: 3 }), attempt: fc.integer({ min: 1, max: 4 }), laterMs: fc.nat(1000), next })
  .chain(({ n, attempt, laterMs, next: step }) => {
    const of = { delivery: deliveryId(n), subscription: subscriptionId(n), acceptedAtMs: NOON + n, eventSeq: n };
    const request = laterMs % 2 === 0 ? { request: { outcome: 'retryable' as const, status: 500 + attempt } } : {};
    const { request: _, ...unrequested } = anAttempt({ ...of, attempt, startedAtMs: NOON + laterMs, next: step });
    return fc.constantFrom<Fact>(
      aMatched({ ...of, matches: [of], matchCount: attempt, atMs: NOON + laterMs }),
      { ...unrequested, ...request },
      aRedelivered({ ...of, attempt, atMs: NOON + laterMs }),
    );
  });

/** Facts about three deliveries, contradictions included, each with a sequence of its own. */
export const sequencedFacts: fc.Arbitrary<SequencedFact[]> = fc
  .array(fact, { maxLength: 30 })
  .map((facts) => facts.map((each, i) => ({ seq: i + 1, fact: each })));
