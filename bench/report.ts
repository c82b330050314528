import { cpus, totalmem } from 'node:os';
import { round, type RunFigures } from './measure.ts';
import type { BenchOptions } from './options.ts';

export interface BenchReport {
  readonly at: string;
  readonly machine: {
    readonly cpus: number;
    readonly model: string;
    readonly memoryGiB: number;
    readonly node: string;
  };
  readonly options: BenchOptions;
  readonly scenarios: Readonly<Record<string, readonly RunFigures[]>>;
  /** steady ÷ bare, when both ran. */
  readonly ratio?: { readonly deliveriesPerSecond: number; readonly cpuMsPerDelivery: number };
}

export function makeReport(options: BenchOptions, scenarios: BenchReport['scenarios'], nowMs: number): BenchReport {
  const [steady] = scenarios['steady'] ?? [];
  const [bare] = scenarios['bare'] ?? [];
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
  const rows = Object.entries(scenarios).flatMap(([name, runs]) => runs.map((run) => row(name, run)));
  lines.push(...table([head, ...rows]), '');
  for (const [name, runs] of Object.entries(scenarios)) {
    for (const run of runs) lines.push(`${name}, ${loadOf(run)}: CPU-ms per delivery: ${byProcess(run)}`);
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
    .filter(([process]) => process !== 'producer' && process !== 'sink')
    .reduce((sum, [, mib]) => sum + mib, 0);
  const elsewhere = `${Math.round(run.elsewhereShare * 100)} %`;
  return [name, loadOf(run), run.deliveriesPerSecond, p50, p95, p99, run.cpuMsPerDelivery, peak, elsewhere].map(String);
}

function loadOf({ load, offeredPerSecond }: RunFigures): string {
  return load === 'max-rate' ? 'max' : `${offeredPerSecond}/s`;
}

function byProcess({ cpuMsPerDeliveryByProcess }: RunFigures): string {
  return Object.entries(cpuMsPerDeliveryByProcess)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, ms]) => `${name} ${ms}`)
    .join(', ');
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows.map((cells) => cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  '));
}
