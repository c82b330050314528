import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { makeTopology } from '#bus/topology';
import { startCluster, type Cluster, type ClusterOptions } from '#testkit/cluster';
import type { TenantClient } from '#testkit/tenant-client';
import { BENCH_TYPE } from './bench-event.ts';
import { startChild } from './child.ts';
import type { RunFigures } from './measure.ts';
import type { BenchOptions } from './options.ts';
import type { ProducerSetup } from './producer.ts';
import { runScenario, until } from './scenario.ts';
import type { BenchSink } from './start-sink.ts';

const topology = makeTopology();

/** Scenario `steady`: events through the whole system to one subscription, signed, every attempt in PostgreSQL. */
export async function runSteady(
  options: BenchOptions,
  sink: BenchSink,
  say: (line: string) => void,
): Promise<readonly RunFigures[]> {
  const cluster = await startCluster(clusterOptions(options, sink));
  const nc = await connect({ servers: cluster.natsUrl });
  const jsm = await jetstreamManager(nc);
  try {
    const tenant = await cluster.createTenantWithKey('bench');
    const { config } = await tenant.subscribe({ sink: sink.urls[0] ?? '', types: [BENCH_TYPE] });
    if (config.signature.profile === 'none') throw new Error('the subscription is not signed');
    const { child: producer } = await startChild(
      'producer',
      producerSetup(options.producer, cluster, tenant, [BENCH_TYPE]),
    );
    const pids = () => cluster.pids();
    const settled = () => until(() => isSettled(jsm), 120_000);
    try {
      return await runScenario('steady', { producer, sink: sink.child, pids, settled }, options, say);
    } finally {
      await producer.stop();
    }
  } finally {
    await nc.close();
    await cluster.stop();
  }
}

export function clusterOptions(
  { delivery, matcher, allInOne, profileDir }: Pick<BenchOptions, 'delivery' | 'matcher' | 'allInOne' | 'profileDir'>,
  { caFile }: Pick<BenchSink, 'caFile'>,
): ClusterOptions {
  return {
    delivery,
    matcher,
    allInOne,
    env: { POSTHASTE_SINK_HTTP: 'true' },
    ...(caFile === undefined ? {} : { caFile }),
    ...(profileDir === undefined
      ? {}
      : { nodeOptions: (name: string) => `--cpu-prof --cpu-prof-dir=${profileDir}/${name}` }),
  };
}

/** Where and as whom a tenant's events of these types are published. */
export function producerSetup(
  producer: BenchOptions['producer'],
  cluster: Cluster,
  { tenant, key }: TenantClient,
  types: readonly string[],
): ProducerSetup {
  return producer === 'http'
    ? { kind: 'http', types, publishUrl: cluster.publishUrl, key }
    : {
        kind: 'nats',
        types,
        natsUrl: cluster.natsUrl,
        subjects: types.map((type) => topology.eventSubject(tenant, type)),
      };
}

/** Everything is delivered and on its way into the last row. */
async function isSettled(jsm: JetStreamManager): Promise<boolean> {
  const { streams, consumers } = topology;
  const waiting = await jsm.streams.info(streams.DELIVERIES);
  if (waiting.state.messages > 0) return false;
  const projections = [streams.EVENTS, streams.JOURNAL].map((stream) =>
    jsm.consumers.info(stream, consumers.projector),
  );
  return (await Promise.all(projections)).every(
    ({ num_pending, num_ack_pending }) => num_pending + num_ack_pending === 0,
  );
}
