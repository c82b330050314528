import { Counter, type Registry as MetricsRegistry } from 'prom-client';
import type { StopCause } from '#core/registry/subscription';
import type { VerdictResult } from './apply-verdict.ts';

export interface EngineMetrics {
  observeVerdict(reason: StopCause, result: VerdictResult): void;
  /** An operational event was stored that was not there before. */
  observeEvent(type: string): void;
}

/** What operators watch of what the registry does for the delivery engine. */
export function makeEngineMetrics(metrics: MetricsRegistry): EngineMetrics {
  const registers = [metrics];
  const verdicts = new Counter({
    name: 'posthaste_subscription_verdicts_total',
    help: 'What delivery found out about subscriptions (gone, failing_since, ordering_blocked, credential_expired, credential_refused) and what came of it: applied, stale (changed or stopped since) or refused by its state.',
    labelNames: ['reason', 'result'],
    registers,
  });
  const events = new Counter({
    name: 'posthaste_operational_events_total',
    help: 'Operational events that were published among the events of tenants, by type.',
    labelNames: ['type'],
    registers,
  });
  return {
    observeVerdict: (reason, result) => {
      verdicts.inc({ reason, result });
    },
    observeEvent: (type) => {
      events.inc({ type });
    },
  };
}
