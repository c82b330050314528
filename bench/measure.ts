import { availableParallelism } from 'node:os';
import type { Child } from './child.ts';
import { readUsage, usedBetween, type Usage } from './process-usage.ts';
import type { ProducerReport, ProducerRun } from './producer.ts';
import type { SinkReport } from './sink.ts';

/** One run: so many events, as fast as possible or at a fixed rate. */
export interface RunFigures {
  readonly load: 'max-rate' | 'open-loop';
  readonly offeredPerSecond?: number;
  readonly events: number;
  readonly delivered: number;
  readonly duplicates: number;
  /** From the first event published to the last one received. */
  readonly deliveriesPerSecond: number;
  readonly publishedPerSecond: number;
  /** From the instant at which an event is due to be published until the sink has it. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
  /** Of the system: services, nats-server and PostgreSQL; without producer and sink. */
  readonly cpuMsPerDelivery: number;
  readonly cpuMsPerDeliveryByProcess: Readonly<Record<string, number>>;
  readonly peakMiB: Readonly<Record<string, number>>;
  /** Share of the machine's CPU that others used meanwhile. Above a few per cent the figures are theirs too. */
  readonly elsewhereShare: number;
}

export interface Measured {
  readonly producer: Child;
  readonly sink: Child;
  /** Processes of the system. */
  readonly pids: () => Readonly<Record<string, number>>;
  /** Resolves when the system has nothing left to do: its work counts, also what comes after the delivery. */
  readonly settled: () => Promise<void>;
}

const IDLE_MS = 15_000;
let runs = 0;

/**
 * @throws Error when events are missing at the sink: a figure of a system that loses events is none
 */
export async function measure(
  { producer, sink, pids, settled }: Measured,
  { count, ratePerSecond }: { count: number; ratePerSecond?: number },
): Promise<RunFigures> {
  const run = `r${Date.now().toString(36)}${runs++}`;
  await sink.ask({ kind: 'reset', expected: count });
  const everybody = () => ({ ...pids(), producer: producer.pid, sink: sink.pid });
  const before = readUsage(everybody());
  const order: ProducerRun = { kind: 'run', run, count, ...(ratePerSecond === undefined ? {} : { ratePerSecond }) };
  const producing = producer.ask<ProducerReport>(order);
  const received = await producing.then(() => sink.ask<SinkReport>({ kind: 'wait', idleMs: IDLE_MS }));
  const produced = await producing;
  await settled();
  const used = usedBetween(before, readUsage(everybody()));
  if (produced.failures > 0 || received.unique < count) {
    throw new Error(`${produced.failures} events were refused, ${count - received.unique} did not arrive`);
  }
  return {
    load: ratePerSecond === undefined ? 'max-rate' : 'open-loop',
    ...(ratePerSecond === undefined ? {} : { offeredPerSecond: ratePerSecond }),
    events: count,
    delivered: received.unique,
    duplicates: received.received - received.unique,
    deliveriesPerSecond: round(received.unique / ((received.lastUs - produced.startUs) / 1e6), 0),
    publishedPerSecond: round(count / produced.seconds, 0),
    latencyMs: percentiles(received.latenciesUs),
    ...perDelivery(used, received.unique),
  };
}

const OURSELVES = new Set(['producer', 'sink']);

function perDelivery({ cpuMs, peakMiB, machineBusyMs, atMs }: Usage, deliveries: number) {
  const entries = Object.entries(cpuMs);
  const oursMs = entries.reduce((sum, [, ms]) => sum + ms, 0);
  const ofSystem = entries.filter(([name]) => !OURSELVES.has(name));
  return {
    cpuMsPerDelivery: round(ofSystem.reduce((sum, [, ms]) => sum + ms, 0) / deliveries, 3),
    cpuMsPerDeliveryByProcess: Object.fromEntries(entries.map(([name, ms]) => [name, round(ms / deliveries, 3)])),
    peakMiB: Object.fromEntries(Object.entries(peakMiB).map(([name, mib]) => [name, round(mib, 0)])),
    elsewhereShare: round(Math.max(0, machineBusyMs - oursMs) / (atMs * availableParallelism()), 2),
  };
}

function percentiles(ascendingUs: Float64Array): RunFigures['latencyMs'] {
  const at = (share: number) => {
    const index = Math.min(ascendingUs.length - 1, Math.ceil(share * ascendingUs.length) - 1);
    return round((ascendingUs[index] ?? Number.NaN) / 1000, 1);
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
