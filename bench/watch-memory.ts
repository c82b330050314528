import { round } from './measure.ts';
import { readResidentMiB } from './process-usage.ts';

/** Mean of what a process had resident while the first and the last third of the samples were taken. */
export interface MemoryTrend {
  readonly firstThirdMiB: number;
  readonly lastThirdMiB: number;
  readonly ratio: number;
}

const SAMPLE_MS = 1000;

/** Samples the memory of processes until it is stopped; answers the trend of each. */
export function watchMemory(pids: () => Readonly<Record<string, number>>): {
  stop(): Readonly<Record<string, MemoryTrend>>;
} {
  const samples = new Map<string, number[]>();
  const sample = (): void => {
    for (const [name, mib] of Object.entries(readResidentMiB(pids()))) {
      samples.set(name, [...(samples.get(name) ?? []), mib]);
    }
  };
  sample();
  const timer = setInterval(sample, SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      sample();
      return Object.fromEntries([...samples].map(([name, values]) => [name, trendOf(values)]));
    },
  };
}

function trendOf(values: readonly number[]): MemoryTrend {
  const third = Math.max(1, Math.floor(values.length / 3));
  const [first, last] = [values.slice(0, third), values.slice(-third)].map(mean) as [number, number];
  return { firstThirdMiB: round(first, 0), lastThirdMiB: round(last, 0), ratio: round(last / first, 2) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
