import { Counter, Histogram, type Registry as MetricsRegistry } from 'prom-client';
import type { CompletedAttempt, HeldDelivery } from './attempt-delivery.ts';

/** What operators watch of deliveries. */
export function makeObserveAttempt(metrics: MetricsRegistry): (result: CompletedAttempt | HeldDelivery) => void {
  const attempts = new Counter({
    name: 'posthaste_delivery_attempts_total',
    help: 'Attempts by outcome: delivered, retryable, throttled, gone, permanent, or none when no request was made.',
    labelNames: ['outcome'],
    registers: [metrics],
  });
  const settled = new Counter({
    name: 'posthaste_deliveries_settled_total',
    help: 'What followed from an attempt: delivered, retry, or dead with its reason.',
    labelNames: ['next', 'reason'],
    registers: [metrics],
  });
  const seconds = new Histogram({
    name: 'posthaste_delivery_attempt_seconds',
    help: 'Duration of an HTTP exchange with a sink.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30],
    registers: [metrics],
  });
  const lag = new Histogram({
    name: 'posthaste_delivery_first_attempt_lag_seconds',
    help: 'From the acceptance of the event to its first attempt.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [metrics],
  });
  const held = new Counter({
    name: 'posthaste_deliveries_held_total',
    help: 'How often deliveries were put off because their subscription is paused or pending.',
    registers: [metrics],
  });
  return (result) => {
    if ('held' in result) {
      held.inc();
      return;
    }
    const { fact } = result;
    attempts.inc({ outcome: fact.request?.outcome ?? 'none' });
    settled.inc({ next: fact.next.kind, reason: fact.next.kind === 'dead' ? fact.next.reason : '' });
    if (fact.request !== undefined) seconds.observe(fact.durationMs / 1000);
    if (fact.attempt === 1) lag.observe((fact.startedAtMs - fact.acceptedAtMs) / 1000);
  };
}
