import { availableParallelism } from 'node:os';
import type { Child } from './child.ts';
import { readUsage, usedBetween, type Usage } from './process-usage.ts';
import type { ProducerReport, ProducerRun } from './producer.ts';
import type { SinkReport } from './sink.ts';

/** One run: so many events, as fast as possible or at a fixed rate. */
export interface RunFigures {
  readonly load: 'max-rate' | 'open-loop';
  /** What else went on meanwhile, in scenarios that compare. */
  readonly beside?: string;
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
  /** Other processes of the benchmark: neither the system's nor somebody else's. */
  readonly extras?: readonly Child[];
  /** Resolves when the system has nothing left to do: its work counts, also what comes after the delivery. */
  readonly settled: () => Promise<void>;
}

const IDLE_MS = 15_000;
let runs = 0;

export interface RunOrder {
  readonly count: number;
  readonly ratePerSecond?: number;
  readonly beside?: string;
}

/** What one run was like, before it is put into figures. */
export interface Observed {
  readonly received: SinkReport;
  readonly produced: ProducerReport;
  readonly used: Usage;
}

/** @throws Error as {@link observe} */
export async function measure(measured: Measured, order: RunOrder): Promise<RunFigures> {
  const { received, produced, used } = await observe(measured, order);
  const { count, ratePerSecond, beside } = order;
  return {
    load: ratePerSecond === undefined ? 'max-rate' : 'open-loop',
    ...(ratePerSecond === undefined ? {} : { offeredPerSecond: ratePerSecond }),
    ...(beside === undefined ? {} : { beside }),
    events: count,
    delivered: received.unique,
    duplicates: received.received - received.unique,
    deliveriesPerSecond: round(received.unique / ((received.lastUs - produced.startUs) / 1e6), 0),
    publishedPerSecond: round(count / produced.seconds, 0),
    latencyMs: percentiles(received.latenciesUs),
    ...perDelivery(used, received.unique),
  };
}

/**
 * @throws Error when events are missing at the sink: a figure of a system that loses events is none
 */
export async function observe(
  { producer, sink, pids, extras = [], settled }: Measured,
  { count, ratePerSecond }: RunOrder,
): Promise<Observed> {
  const run = `r${Date.now().toString(36)}${runs++}`;
  await sink.ask({ kind: 'reset', expected: count });
  const everybody = () => ({
    ...pids(),
    ...Object.fromEntries(extras.map(({ pid }, i) => [`${EXTRA}${i + 1}`, pid])),
    producer: producer.pid,
    sink: sink.pid,
  });
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
  return { received, produced, used };
}

const EXTRA = 'extra-';

/** Of the system: not of the processes that only measure it. */
export function isOfSystem(name: string): boolean {
  return name !== 'producer' && name !== 'sink' && !name.startsWith(EXTRA);
}

function perDelivery(used: Usage, deliveries: number) {
  const { cpuMs, peakMiB } = used;
  const entries = Object.entries(cpuMs);
  const ofSystem = entries.filter(([name]) => isOfSystem(name));
  return {
    cpuMsPerDelivery: round(ofSystem.reduce((sum, [, ms]) => sum + ms, 0) / deliveries, 3),
    cpuMsPerDeliveryByProcess: Object.fromEntries(entries.map(([name, ms]) => [name, round(ms / deliveries, 3)])),
    peakMiB: Object.fromEntries(Object.entries(peakMiB).map(([name, mib]) => [name, round(mib, 0)])),
    elsewhereShare: elsewhereShare(used),
  };
}

/** Share of the machine's CPU that went to others. */
export function elsewhereShare({ cpuMs, machineBusyMs, atMs }: Usage): number {
  const oursMs = Object.values(cpuMs).reduce((sum, ms) => sum + ms, 0);
  return round(Math.max(0, machineBusyMs - oursMs) / (atMs * availableParallelism()), 2);
}

/** @param digits of a millisecond */
export function percentiles(ascendingUs: Float64Array, digits = 1): RunFigures['latencyMs'] {
  const at = (share: number) => {
    const index = Math.min(ascendingUs.length - 1, Math.ceil(share * ascendingUs.length) - 1);
    return round((ascendingUs[index] ?? Number.NaN) / 1000, digits);
  };
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
