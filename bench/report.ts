import { cpus, totalmem } from 'node:os';
import type { FairnessFigures } from './fairness.ts';
import { floodLines, type FloodFigures } from './flood.ts';
import type { IsolationFigures } from './isolation.ts';
import { isOfSystem, round, type RunFigures } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { signLines } from './sign-report.ts';
import type { SignProfileFigures } from './sign-figures.ts';
import { table } from './table.ts';

export interface ScenarioFigures {
  readonly runs: readonly RunFigures[];
  readonly isolation?: readonly IsolationFigures[];
  readonly fairness?: FairnessFigures;
  readonly flood?: FloodFigures;
  readonly sign?: readonly SignProfileFigures[];
}

export interface BenchReport {
  readonly at: string;
  readonly machine: {
    readonly cpus: number;
    readonly model: string;
    readonly memoryGiB: number;
    readonly node: string;
  };
  readonly options: BenchOptions;
  readonly scenarios: Readonly<Record<string, ScenarioFigures>>;
  /** steady ÷ bare, when both ran. */
  readonly ratio?: { readonly deliveriesPerSecond: number; readonly cpuMsPerDelivery: number };
}

export function makeReport(options: BenchOptions, scenarios: BenchReport['scenarios'], nowMs: number): BenchReport {
  const [steady] = scenarios['steady']?.runs ?? [];
  const [bare] = scenarios['bare']?.runs ?? [];
  return {
    at: new Date(nowMs).toISOString(),
    machine: {
      cpus: cpus().length,
      model: cpus()[0]?.model.trim() ?? 'unknown',
      memoryGiB: round(totalmem() / 1024 ** 3, 0),
      node: process.version,
    },
    options,
    scenarios,
    ...(steady === undefined || bare === undefined
      ? {}
      : {
          ratio: {
            deliveriesPerSecond: round(steady.deliveriesPerSecond / bare.deliveriesPerSecond, 2),
            cpuMsPerDelivery: round(steady.cpuMsPerDelivery / bare.cpuMsPerDelivery, 1),
          },
        }),
  };
}

/** For people. */
export function formatReport({ machine, scenarios, ratio }: BenchReport): string {
  const lines = [`${machine.cpus} × ${machine.model}, ${machine.memoryGiB} GiB, Node ${machine.node}`, ''];
  const head = [
    'scenario',
    'load',
    'deliveries/s',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'CPU-ms/delivery',
    'peak MiB',
    'elsewhere',
  ];
  const all = Object.entries(scenarios).flatMap(([name, { runs }]) => runs.map((run) => ({ name, run })));
  if (all.length > 0) lines.push(...table([head, ...all.map(({ name, run }) => row(name, run))]), '');
  for (const { name, run } of all) lines.push(`${name}, ${loadOf(run)}: CPU-ms per delivery: ${byProcess(run)}`);
  for (const { isolation = [], fairness, flood, sign } of Object.values(scenarios)) {
    for (const one of isolation) lines.push('', ...isolationLines(one));
    if (fairness !== undefined) lines.push('', ...fairnessLines(fairness));
    if (flood !== undefined) lines.push('', ...floodLines(flood));
    if (sign !== undefined) lines.push(...signLines(sign));
  }
  lines.push(
    '',
    'elsewhere: CPU of the machine that went to other programs during the run; above a few % run it again.',
  );
  if (ratio !== undefined) {
    const percent = Math.round(ratio.deliveriesPerSecond * 100);
    lines.push('', `steady reaches ${percent} % of the deliveries/s of bare, for ${ratio.cpuMsPerDelivery} × the CPU.`);
  }
  return `${lines.join('\n')}\n`;
}

function row(name: string, run: RunFigures): string[] {
  const { p50, p95, p99 } = run.latencyMs;
  const peak = Object.entries(run.peakMiB)
    .filter(([process]) => isOfSystem(process))
    .reduce((sum, [, mib]) => sum + mib, 0);
  const elsewhere = `${Math.round(run.elsewhereShare * 100)} %`;
  return [name, loadOf(run), run.deliveriesPerSecond, p50, p95, p99, run.cpuMsPerDelivery, peak, elsewhere].map(String);
}

function loadOf({ load, offeredPerSecond, beside }: RunFigures): string {
  const rate = load === 'max-rate' ? 'max' : `${offeredPerSecond}/s`;
  return beside === undefined ? rate : `${rate} (${beside})`;
}

function isolationLines({ workers, backlog, memory, ...ratios }: IsolationFigures): string[] {
  const { deliveries, perSecond, waitingAtEnd } = backlog;
  const trends = Object.entries(memory).map(
    ([name, { firstThirdMiB, lastThirdMiB, ratio }]) => `${name} ${firstThirdMiB} → ${lastThirdMiB} (${ratio} ×)`,
  );
  return [
    `isolation, ${workers} delivery worker${workers === 1 ? '' : 's'}: healthy sinks while 5 bad ones were sent ${deliveries} deliveries at ${perSecond}/s, ${waitingAtEnd} waiting at the end`,
    `  p99 ${ratios.p99Ratio} × alone (aim ≤ 1.2), p50 ${ratios.p50Ratio} ×, throughput ${ratios.throughputRatio} × (aim ≥ 0.9)`,
    `  with healthy sinks in the place of the bad ones: p99 ${ratios.p99RatioOfLoadAlone} ×`,
    `  resident MiB, first → last third: ${trends.join(', ')}`,
  ];
}

function fairnessLines({ burst, alone, meanwhile, delayMs, elsewhereShare }: FairnessFigures): string[] {
  const latencies = ({ events, p50, p99, max }: FairnessFigures['alone']) =>
    `p50 ${p50}, p99 ${p99}, max ${max} ms of ${events} events`;
  return [
    `fairness: another tenant's burst of ${burst.events} events to ${burst.subscriptions} subscriptions each, delivered at ${burst.deliveriesPerSecond}/s`,
    `  alone:     ${latencies(alone)}`,
    `  meanwhile: ${latencies(meanwhile)}; elsewhere ${Math.round(elsewhereShare * 100)} %`,
    `  slowest single event meanwhile, less the median alone: ${delayMs} ms (aim ≤ 250)`,
  ];
}

function byProcess({ cpuMsPerDeliveryByProcess }: RunFigures): string {
  return Object.entries(cpuMsPerDeliveryByProcess)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, ms]) => `${name} ${ms}`)
    .join(', ');
}
