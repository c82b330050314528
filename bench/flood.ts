import { setTimeout as delay } from 'node:timers/promises';
import { makeTopology } from '#bus/topology';
import { BENCH_TYPE } from './bench-event.ts';
import { startChild } from './child.ts';
import { startFloodStage, type FloodStage, type FloodTenant } from './flood-stage.ts';
import { elsewhereShare, isOfSystem, percentiles, round, type RunFigures } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { readUsage, usedBetween, type Usage } from './process-usage.ts';
import type { ProducerReport } from './producer.ts';
import { until } from './scenario.ts';

const LOUD = 'loud';

type Latencies = RunFigures['latencyMs'] & { readonly events: number };

/** Milliseconds from publishing an event until its delivery is stored. */
export interface FloodFigures {
  /** Events of one tenant, put onto NATS as fast as it stores them, and matched. */
  readonly flood: { readonly events: number; readonly matchedPerSecond: number; readonly cpuMsPerEvent: CpuMs };
  /** Of two quiet tenants, without the flood. */
  readonly alone: Latencies;
  /** Meanwhile, of the one in its partition of EVENTS, and of the one in another. */
  readonly samePartition: Latencies;
  readonly otherPartition: Latencies;
  /** CPU milliseconds per second while there is nothing to do. */
  readonly idleCpuMsPerSecond: CpuMs;
  readonly elsewhereShare: number;
}

type CpuMs = Readonly<Record<string, number>>;

/** Scenario `flood`: what the many single events of one tenant do to those of others on their way through the matchers. */
export async function runFlood(options: BenchOptions, say: (line: string) => void): Promise<FloodFigures> {
  const { stage, tenants } = await startFloodStage([LOUD, ...quietNames()], options.matcher);
  try {
    const [loud, near, far] = tenants as [FloodTenant, FloodTenant, FloodTenant];
    return await runOn(stage, { loud, near, far }, options, say);
  } finally {
    await stage.stop();
  }
}

/** One in the partition of the flood, one in another. */
function quietNames(): [near: string, far: string] {
  const { matcherOf } = makeTopology();
  const names = Array.from({ length: 200 }, (_, i) => `quiet-${i}`);
  const isNear = (name: string): boolean => matcherOf(name) === matcherOf(LOUD);
  return [names.find(isNear) ?? '', names.find((name) => !isNear(name)) ?? ''];
}

async function runOn(
  stage: FloodStage,
  { loud, near, far }: Readonly<Record<'loud' | 'near' | 'far', FloodTenant>>,
  { rate, seconds, backlog, warmUp }: BenchOptions,
  say: (line: string) => void,
): Promise<FloodFigures> {
  const subjects = [stage.bus.topology.eventSubject(loud.tenant, BENCH_TYPE)];
  const setup = { kind: 'nats', types: [BENCH_TYPE], natsUrl: stage.natsUrl, subjects };
  const { child: producer } = await startChild('producer', setup);
  const usedBy = async (work: () => Promise<unknown>): Promise<Usage> => {
    const pids = { ...stage.pids(), producer: producer.pid, 'extra-1': process.pid };
    const before = readUsage(pids);
    await work();
    return usedBetween(before, readUsage(pids));
  };
  const flood = async (run: string, count: number, storedBefore: number): Promise<void> => {
    const { failures } = await producer.ask<ProducerReport>({ kind: 'run', run, count });
    if (failures > 0) throw new Error(`${failures} events were refused`);
    await until(async () => (await stage.storedCount(loud)) >= storedBefore + count, 600_000);
  };
  try {
    say(`flood: warming up with ${warmUp} events`);
    await publishAt(stage, [near, far], rate, flood('warmup', warmUp, 0));
    await stage.latenciesMs();
    say(`flood: nothing for ${seconds} s`);
    const idle = await usedBy(() => delay(seconds * 1000));
    say(`flood: ${rate} events/s of two tenants each for ${seconds} s`);
    await publishAt(stage, [near, far], rate, delay(seconds * 1000));
    const alone = [...(await stage.latenciesMs()).values()].flat();
    say(`flood: the same beside ${backlog} events of another tenant`);
    const used = await usedBy(() => publishAt(stage, [near, far], rate, flood('flood', backlog, warmUp)));
    const meanwhile = await stage.latenciesMs();
    return {
      flood: {
        events: backlog,
        matchedPerSecond: round(backlog / (used.atMs / 1000), 0),
        cpuMsPerEvent: cpuMsPer(used, backlog, 3),
      },
      alone: latenciesOf(alone),
      samePartition: latenciesOf(meanwhile.get(near.subscription) ?? []),
      otherPartition: latenciesOf(meanwhile.get(far.subscription) ?? []),
      idleCpuMsPerSecond: cpuMsPer(idle, idle.atMs / 1000, 1),
      elsewhereShare: Math.max(elsewhereShare(used), elsewhereShare(idle)),
    };
  } finally {
    await producer.stop();
  }
}

/** Events of each tenant at this rate until `end`, however long the answers take. */
async function publishAt(
  stage: FloodStage,
  tenants: readonly FloodTenant[],
  ratePerSecond: number,
  end: Promise<unknown>,
): Promise<void> {
  const published: Promise<void>[] = [];
  const failures: Error[] = [];
  const timer = setInterval(() => {
    for (const tenant of tenants)
      published.push(stage.publish(tenant).catch((error: Error) => void failures.push(error)));
  }, 1000 / ratePerSecond);
  await end.finally(() => clearInterval(timer));
  await Promise.all(published);
  const [failure] = failures;
  if (failure !== undefined) throw failure;
}

function cpuMsPer({ cpuMs }: Usage, units: number, digits: number): CpuMs {
  const ofSystem = Object.entries(cpuMs).filter(([name]) => isOfSystem(name));
  return Object.fromEntries(ofSystem.map(([name, ms]) => [name, round(ms / units, digits)]));
}

function latenciesOf(ms: readonly number[]): Latencies {
  return { events: ms.length, ...percentiles(Float64Array.from(ms, (each) => each * 1000).sort()) };
}

/** For people. */
export function floodLines(figures: FloodFigures): string[] {
  const { flood, idleCpuMsPerSecond } = figures;
  const latencies = ({ events, p50, p99, max }: Latencies) =>
    `p50 ${p50}, p99 ${p99}, max ${max} ms of ${events} events`;
  const cpu = (ms: CpuMs) =>
    Object.entries(ms)
      .map(([name, each]) => `${name} ${each}`)
      .join(', ');
  return [
    `flood: ${flood.events} events of one tenant, matched at ${flood.matchedPerSecond}/s; from publish to stored delivery of others'`,
    `  alone:           ${latencies(figures.alone)}`,
    `  same partition:  ${latencies(figures.samePartition)}`,
    `  other partition: ${latencies(figures.otherPartition)}; elsewhere ${Math.round(figures.elsewhereShare * 100)} %`,
    `  CPU-ms per event of the flood: ${cpu(flood.cpuMsPerEvent)}`,
    `  CPU-ms per second with nothing to do: ${cpu(idleCpuMsPerSecond)}`,
  ];
}
