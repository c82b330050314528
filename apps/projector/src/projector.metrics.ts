import { Counter, Gauge, Histogram, type Registry as MetricsRegistry } from 'prom-client';
import type { ProjectedBatch } from './project-batch.ts';

/** What operators watch of projections. */
export interface ProjectorMetrics {
  observe(stream: string, batch: ProjectedBatch, nowMs: number): void;
  observeFailure(): void;
}

export function makeProjectorMetrics(metrics: MetricsRegistry): ProjectorMetrics {
  const registers = [metrics];
  const messages = new Counter({
    name: 'posthaste_projector_messages_total',
    help: 'Messages projected, by stream.',
    labelNames: ['stream'],
    registers,
  });
  const faults = new Counter({
    name: 'posthaste_projector_faults_total',
    help: 'Messages that could not be stored and were recorded in projection_faults, by stream and code.',
    labelNames: ['stream', 'code'],
    registers,
  });
  const failures = new Counter({
    name: 'posthaste_projector_failures_total',
    help: 'Batches that PostgreSQL did not take and that were tried again.',
    registers,
  });
  const batchSize = new Histogram({
    name: 'posthaste_projector_batch_messages',
    help: 'Messages per batch.',
    labelNames: ['stream'],
    buckets: [1, 10, 50, 100, 500, 1000, 2000, 5000, 10_000],
    registers,
  });
  const lag = new Gauge({
    name: 'posthaste_projector_lag_seconds',
    help: 'Age of the last message of the last batch when it had been written, by stream.',
    labelNames: ['stream'],
    registers,
  });
  return {
    observe(stream, batch, nowMs) {
      messages.inc({ stream }, batch.messages);
      batchSize.observe({ stream }, batch.messages);
      lag.set({ stream }, Math.max(0, nowMs - batch.lastStoredAtMs) / 1000);
      for (const { code } of batch.faults) faults.inc({ stream, code });
    },
    observeFailure() {
      failures.inc();
    },
  };
}
