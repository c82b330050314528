import { makeTestAuthority } from '#testkit/certificates';
import { startCluster, type Cluster } from '#testkit/cluster';
import type { TenantClient } from '#testkit/tenant-client';
import { BENCH_TYPE } from './bench-event.ts';
import { startChild } from './child.ts';
import {
  elsewhereShare,
  observe,
  percentiles,
  round,
  type Measured,
  type Observed,
  type RunFigures,
} from './measure.ts';
import type { BenchOptions } from './options.ts';
import type { ProducerReport } from './producer.ts';
import { until } from './scenario.ts';
import type { SinkAnswer } from './sink.ts';
import { startBenchSink, type BenchSink } from './start-sink.ts';
import { clusterOptions, producerSetup } from './steady.ts';

const BURST_EVENTS = 10;
/** Origins of the burst's sinks, so that connections of one host are not what is measured. */
const BURST_SINKS = 50;
const REGISTERED_AT_ONCE = 32;
const ROUND_SECONDS = 2;
const AT_ONCE: SinkAnswer = { kind: 'accept', afterMs: 0 };

/** A tenant's single events alone, and while another tenant's burst is delivered; milliseconds from due to received. */
export interface FairnessFigures {
  readonly burst: { readonly events: number; readonly subscriptions: number; readonly deliveriesPerSecond: number };
  readonly alone: RunFigures['latencyMs'] & { readonly events: number };
  readonly meanwhile: RunFigures['latencyMs'] & { readonly events: number };
  /** The slowest meanwhile less the median alone. */
  readonly delayMs: number;
  readonly elsewhereShare: number;
}

/** Scenario `fairness`: what one tenant's burst does to another tenant's single events. */
export async function runFairness(options: BenchOptions, say: (line: string) => void): Promise<FairnessFigures> {
  const authority = await makeTestAuthority();
  const single = await startBenchSink(options.tls, [AT_ONCE], authority);
  const many = await startBenchSink(
    options.tls,
    Array.from({ length: BURST_SINKS }, () => AT_ONCE),
    authority,
  );
  const cluster = await startCluster(clusterOptions(options, single));
  try {
    return await runOn(cluster, { single, many }, options, say);
  } finally {
    await cluster.stop();
    await Promise.all([single.stop(), many.stop()]);
  }
}

async function runOn(
  cluster: Cluster,
  { single, many }: { readonly single: BenchSink; readonly many: BenchSink },
  options: BenchOptions,
  say: (line: string) => void,
): Promise<FairnessFigures> {
  const [quiet, loud] = [await cluster.createTenantWithKey('quiet'), await cluster.createTenantWithKey('loud')];
  const subscriptions = Math.round(options.backlog / BURST_EVENTS);
  say(`fairness: registering ${subscriptions} subscriptions`);
  await quiet.subscribe(bodyFor(single.urls[0]));
  await subscribeMany(loud, many.urls, subscriptions);
  const start = async (producer: BenchOptions['producer'], tenant: TenantClient) =>
    (await startChild('producer', producerSetup(producer, cluster, tenant, [BENCH_TYPE]))).child;
  const [producer, burst] = [await start(options.producer, quiet), await start('nats', loud)];
  const measured = {
    producer,
    sink: single.child,
    pids: () => cluster.pids(),
    extras: [burst, many.child],
    settled: () => Promise.resolve(),
  } satisfies Measured;
  const { rate: ratePerSecond, seconds } = options;
  try {
    await many.child.ask({ kind: 'reset', expected: 1 });
    await Promise.all([
      observe(measured, { count: ratePerSecond * 5, ratePerSecond }),
      burst.ask<ProducerReport>({ kind: 'run', run: 'warmup', count: 1 }),
    ]);
    await until(async () => (await received(many)) >= subscriptions, 120_000);
    say(`fairness: ${ratePerSecond} single events/s for ${seconds} s, alone`);
    const alone = await observe(measured, { count: ratePerSecond * seconds, ratePerSecond });
    say(`fairness: the same beside ${BURST_EVENTS} events to ${subscriptions} subscriptions each`);
    await many.child.ask({ kind: 'reset', expected: BURST_EVENTS });
    const startedAtMs = performance.now();
    const bursting = burst.ask<ProducerReport>({ kind: 'run', run: 'burst', count: BURST_EVENTS });
    const meanwhile: Observed[] = [];
    do {
      meanwhile.push(await observe(measured, { count: ratePerSecond * ROUND_SECONDS, ratePerSecond }));
    } while ((await received(many)) < BURST_EVENTS * subscriptions);
    await bursting;
    const burstSeconds = (performance.now() - startedAtMs) / 1000;
    return figuresOf(alone, meanwhile, {
      events: BURST_EVENTS,
      subscriptions,
      deliveriesPerSecond: round((BURST_EVENTS * subscriptions) / burstSeconds, 0),
    });
  } finally {
    await Promise.all([producer.stop(), burst.stop()]);
  }
}

function bodyFor(sink = '') {
  return { sink, types: [BENCH_TYPE], config: { validation: { mode: 'none' } } };
}

async function subscribeMany(tenant: TenantClient, urls: readonly string[], count: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) await tenant.subscribe(bodyFor(urls[next++ % urls.length]));
  };
  await Promise.all(Array.from({ length: REGISTERED_AT_ONCE }, work));
}

async function received({ child }: BenchSink): Promise<number> {
  return (await child.ask<{ received: number }>({ kind: 'count' })).received;
}

function figuresOf(alone: Observed, meanwhile: readonly Observed[], burst: FairnessFigures['burst']): FairnessFigures {
  const [before, during] = [latenciesOf([alone]), latenciesOf(meanwhile)];
  return {
    burst,
    alone: before,
    meanwhile: during,
    delayMs: round(during.max - before.p50, 1),
    elsewhereShare: Math.max(...meanwhile.map(({ used }) => elsewhereShare(used))),
  };
}

function latenciesOf(observed: readonly Observed[]): FairnessFigures['alone'] {
  const all = observed.flatMap(({ received: { latenciesUs } }) => [...latenciesUs]);
  return { events: all.length, ...percentiles(Float64Array.from(all).sort()) };
}
