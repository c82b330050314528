import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { makeTopology } from '#bus/topology';
import { freePort } from '#embedded/free-port';
import { makeTestAuthority, type TestAuthority } from '#testkit/certificates';
import { startCluster, type Cluster } from '#testkit/cluster';
import type { TenantClient } from '#testkit/tenant-client';
import { BENCH_TYPE } from './bench-event.ts';
import { startChild, type Child } from './child.ts';
import { measure, round, type Measured, type RunFigures } from './measure.ts';
import type { BenchOptions } from './options.ts';
import type { ProducerReport } from './producer.ts';
import type { SinkAnswer } from './sink.ts';
import { startBenchSink, type BenchSink } from './start-sink.ts';
import { clusterOptions, producerSetup } from './steady.ts';
import { watchMemory, type MemoryTrend } from './watch-memory.ts';

const HEALTHY_SINKS = 50;
/** A healthy sink takes as long as many do. */
const HEALTHY: SinkAnswer = { kind: 'accept', afterMs: 20 };
/** And one that refuses connections. */
const BAD: readonly SinkAnswer[] = [
  { kind: 'hang' },
  { kind: 'accept', afterMs: 5_000 },
  { kind: 'refuse', status: 500 },
  { kind: 'refuse', status: 429, retryAfterSeconds: 5 },
];
const BAD_SINKS = BAD.length + 1;
const BAD_TYPE = `${BENCH_TYPE}.bad`;
const NEIGHBOUR_TYPE = `${BENCH_TYPE}.neighbour`;
const HEALTHY_TYPES = Array.from({ length: HEALTHY_SINKS }, (_, i) => `${BENCH_TYPE}.healthy${i}`);

/** Healthy sinks beside bad ones ÷ the same alone, in one run with so many delivery workers. */
export interface IsolationFigures {
  readonly workers: number;
  readonly backlog: {
    readonly deliveries: number;
    readonly perSecond: number;
    /** Deliveries and timers of them at the end of the run. */
    readonly waitingAtEnd: number;
  };
  readonly p50Ratio: number;
  readonly p99Ratio: number;
  readonly throughputRatio: number;
  /** The same with five more healthy sinks in the place of the bad ones: what the load alone does on this machine. */
  readonly p99RatioOfLoadAlone: number;
  /** While the backlog grew. */
  readonly memory: Readonly<Record<string, MemoryTrend>>;
}

export interface IsolationResult {
  readonly runs: readonly RunFigures[];
  readonly isolation: readonly IsolationFigures[];
}

/** Scenario `isolation`: what five sinks that are in trouble do to fifty that are well, with 1 and with 3 delivery workers. */
export async function runIsolation(options: BenchOptions, say: (line: string) => void): Promise<IsolationResult> {
  const runs: RunFigures[] = [];
  const isolation: IsolationFigures[] = [];
  for (const workers of options.workers) {
    const one = await runWith(workers, options, say);
    runs.push(...one.runs);
    isolation.push(...one.isolation);
  }
  return { runs, isolation };
}

async function runWith(workers: number, options: BenchOptions, say: (line: string) => void): Promise<IsolationResult> {
  const authority = await makeTestAuthority();
  const sinks = await startSinks(options.tls, authority);
  const cluster = await startCluster(clusterOptions({ ...options, delivery: workers }, sinks.healthy));
  const nc = await connect({ servers: cluster.natsUrl });
  try {
    const tenant = await cluster.createTenantWithKey('bench');
    await subscribeAll(tenant, sinks);
    const [producer, neighbours, troubles] = await startProducers(options, cluster, tenant);
    try {
      const measured: Measured = {
        producer,
        sink: sinks.healthy.child,
        pids: () => cluster.pids(),
        extras: [neighbours, troubles, sinks.neighbours.child, sinks.bad.child],
        settled: () => Promise.resolve(),
      };
      const jsm = await jetstreamManager(nc);
      return await compare({ workers, measured, neighbours, troubles, jsm, options, say });
    } finally {
      await Promise.all([producer, neighbours, troubles].map((child) => child.stop()));
    }
  } finally {
    await nc.close();
    await cluster.stop();
    await Promise.all(Object.values(sinks).map((sink) => sink.stop()));
  }
}

type Sinks = Readonly<Record<'healthy' | 'neighbours' | 'bad', BenchSink>>;

async function startSinks(tls: boolean, authority: TestAuthority): Promise<Sinks> {
  const start = (answers: readonly SinkAnswer[]) => startBenchSink(tls, answers, authority);
  return {
    healthy: await start(HEALTHY_TYPES.map(() => HEALTHY)),
    neighbours: await start(Array.from({ length: BAD_SINKS }, () => HEALTHY)),
    bad: await start(BAD),
  };
}

async function subscribeAll(tenant: TenantClient, sinks: Sinks): Promise<void> {
  const config = { validation: { mode: 'none' } };
  const nobody = new URL(sinks.bad.urls[0] ?? '');
  nobody.port = String(await freePort(nobody.hostname));
  const wanted = [
    ...sinks.healthy.urls.map((sink, i) => ({ sink, types: [HEALTHY_TYPES[i] ?? ''], config })),
    ...sinks.neighbours.urls.map((sink) => ({ sink, types: [NEIGHBOUR_TYPE], config })),
    ...[...sinks.bad.urls, nobody.href].map((sink) => ({ sink, types: [BAD_TYPE], config })),
  ];
  await Promise.all(wanted.map((body) => tenant.subscribe(body)));
}

/** Of the healthy ones; of neighbours and bad ones straight onto NATS, which costs the machine less. */
async function startProducers(options: BenchOptions, cluster: Cluster, tenant: TenantClient) {
  const start = async (producer: BenchOptions['producer'], types: readonly string[]) =>
    (await startChild('producer', producerSetup(producer, cluster, tenant, types))).child;
  return [
    await start(options.producer, HEALTHY_TYPES),
    await start('nats', [NEIGHBOUR_TYPE]),
    await start('nats', [BAD_TYPE]),
  ] as const;
}

interface Comparison {
  readonly workers: number;
  readonly measured: Measured;
  readonly neighbours: Child;
  readonly troubles: Child;
  readonly jsm: JetStreamManager;
  readonly options: BenchOptions;
  readonly say: (line: string) => void;
}

async function compare(comparison: Comparison): Promise<IsolationResult> {
  const { workers, measured, neighbours, troubles, jsm, options, say } = comparison;
  const { rate: ratePerSecond, seconds, backlog, backlogRate } = options;
  const by = `${workers} worker${workers === 1 ? '' : 's'}`;
  const healthy = (forSeconds: number, beside: string) => {
    say(`isolation: ${beside}, ${HEALTHY_SINKS} healthy sinks at ${ratePerSecond}/s for ${round(forSeconds, 0)} s`);
    return measure(measured, { count: Math.round(ratePerSecond * forSeconds), ratePerSecond, beside });
  };
  const others = (producer: Child, forSeconds: number) =>
    producer.ask<ProducerReport>({
      kind: 'run',
      run: `o${Date.now().toString(36)}`,
      count: Math.round((backlogRate / BAD_SINKS) * forSeconds),
      ratePerSecond: backlogRate / BAD_SINKS,
    });

  await healthy(Math.max(5, seconds / 4), `${by}, warming up`);
  const alone = await healthy(seconds, `${by}, alone`);
  const [company] = await Promise.all([
    healthy(seconds, `${by}, ${BAD_SINKS} more healthy`),
    others(neighbours, seconds),
  ]);
  const memory = watchMemory(measured.pids);
  const [troubled] = await Promise.all([
    healthy(backlog / backlogRate, `${by}, ${BAD_SINKS} bad`),
    others(troubles, backlog / backlogRate),
  ]);
  return {
    runs: [alone, company, troubled],
    isolation: [
      {
        workers,
        backlog: { deliveries: backlog, perSecond: backlogRate, waitingAtEnd: await countWaiting(jsm) },
        p50Ratio: round(troubled.latencyMs.p50 / alone.latencyMs.p50, 2),
        p99Ratio: round(troubled.latencyMs.p99 / alone.latencyMs.p99, 2),
        throughputRatio: round(troubled.deliveriesPerSecond / alone.deliveriesPerSecond, 2),
        p99RatioOfLoadAlone: round(company.latencyMs.p99 / alone.latencyMs.p99, 2),
        memory: memory.stop(),
      },
    ],
  };
}

async function countWaiting(jsm: JetStreamManager): Promise<number> {
  const { DELIVERIES, RETRIES, LANES } = makeTopology().streams;
  const infos = await Promise.all([DELIVERIES, RETRIES, LANES].map((stream) => jsm.streams.info(stream)));
  return infos.reduce((sum, { state }) => sum + state.messages, 0);
}
