import { Counter, Gauge, Histogram, type Registry as MetricsRegistry } from 'prom-client';
import type { CompletedAttempt, HeldDelivery } from './attempt-delivery.ts';

/** How a delivery came to its attempt. */
export type AttemptRoad = 'common' | 'bulk' | 'retry' | 'lane';

/** Why a delivery went from a common road to its lane. `rules`: its subscription is ordered, rated, batched or waits. */
export type LaneReason = 'rules' | 'circuit' | 'overflow';

/** Looked at when the metrics are read. */
export interface DeliveryGauges {
  openCircuits(): number;
  lanesHeld(): number;
  waitingAtDoor(): number;
  /** When the oldest message of a lane that is held here was stored, Unix ms; undefined without any. */
  oldestStoredAtMs(): number | undefined;
  now(): number;
}

export interface DeliveryMetrics {
  observe(result: CompletedAttempt | HeldDelivery, road: AttemptRoad): void;
  observeLane(reason: LaneReason): void;
  /** A timer fired, or a probe was made, so long after its instant. */
  observeLateness(kind: 'retry' | 'probe', lateMs: number): void;
  /** To be called once. */
  watch(gauges: DeliveryGauges): void;
}

/** What operators watch of deliveries. */
export function makeDeliveryMetrics(metrics: MetricsRegistry): DeliveryMetrics {
  const registers = [metrics];
  const attempts = new Counter({
    name: 'posthaste_delivery_attempts_total',
    help: 'Attempts by outcome (delivered, retryable, throttled, gone, permanent, or none when no request was made) and road (common, bulk, retry, lane). Each member of a batch counts.',
    labelNames: ['outcome', 'road'],
    registers,
  });
  const settled = new Counter({
    name: 'posthaste_deliveries_settled_total',
    help: 'What followed from an attempt: delivered, retry, or dead with its reason.',
    labelNames: ['next', 'reason'],
    registers,
  });
  const seconds = new Histogram({
    name: 'posthaste_delivery_attempt_seconds',
    help: 'Duration of an HTTP exchange with a sink.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30],
    registers,
  });
  const lag = new Histogram({
    name: 'posthaste_delivery_first_attempt_lag_seconds',
    help: 'From the acceptance of the event to its first attempt.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  const held = new Counter({
    name: 'posthaste_deliveries_held_total',
    help: 'How often deliveries were put off because their signature was refused for now.',
    registers,
  });
  const appends = new Counter({
    name: 'posthaste_lane_appends_total',
    help: 'Deliveries that went from a common road to their lane: rules (ordered, rated, batched, paused, pending), circuit (it has a lane state), overflow (more than its share was waiting).',
    labelNames: ['reason'],
    registers,
  });
  const lateness = new Histogram({
    name: 'posthaste_schedule_lateness_seconds',
    help: 'How long after its instant a retry timer fired, or a probe of an open circuit was made.',
    labelNames: ['kind'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  return {
    observe(result, road) {
      if ('held' in result) {
        held.inc();
        return;
      }
      const { fact } = result;
      attempts.inc({ outcome: fact.request?.outcome ?? 'none', road });
      settled.inc({ next: fact.next.kind, reason: fact.next.kind === 'dead' ? fact.next.reason : '' });
      if (fact.request !== undefined) seconds.observe(fact.durationMs / 1000);
      if (fact.attempt === 1) lag.observe((fact.startedAtMs - fact.acceptedAtMs) / 1000);
    },
    observeLane: (reason) => {
      appends.inc({ reason });
    },
    observeLateness: (kind, lateMs) => {
      lateness.observe({ kind }, Math.max(0, lateMs) / 1000);
    },
    watch(gauges) {
      watchGauges(metrics, gauges);
    },
  };
}

function watchGauges(metrics: MetricsRegistry, gauges: DeliveryGauges): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [metrics],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('posthaste_circuits_open', 'Subscriptions whose circuit is open, in the whole cluster.', gauges.openCircuits);
  gauge('posthaste_lanes_held', 'Lanes that this process drains now.', gauges.lanesHeld);
  gauge(
    'posthaste_door_waiting',
    'Deliveries that this process has pulled and that wait for their turn.',
    gauges.waitingAtDoor,
  );
  gauge(
    'posthaste_lane_oldest_age_seconds',
    'Age of the oldest delivery in the lanes that this process drains now; 0 without any.',
    () => {
      const oldestAtMs = gauges.oldestStoredAtMs();
      return oldestAtMs === undefined ? 0 : Math.max(0, gauges.now() - oldestAtMs) / 1000;
    },
  );
}
